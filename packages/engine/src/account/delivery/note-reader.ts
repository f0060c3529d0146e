import { findHeader, isReport as isStatusMail, parseHeaders } from "@restante/mime";
import { hexText } from "../../bay/entry.ts";
import { limited, serial } from "../../bay/serial.ts";
import { asStoreFailure } from "../../bay/store-failure.ts";
import { CryptoError, type OpenedNote, openNote, type Ring } from "../../crypto/index.ts";
import { decodeDelivered } from "../../mail/contents/delivered.ts";
import { conversationOf } from "../../mail/contents/digest.ts";
import { decodeHeader } from "../../mail/contents/header.ts";
import type { Mail } from "../../mail/mail.ts";
import type { NewEmail } from "../../mail/ops/email.ts";
import { INBOX_ID } from "../../mail/ops/names.ts";
import type { TakenNote } from "../../mail/ops/op.ts";
import { isOfForgotten } from "../../mail/state/note-streams.ts";
import type { ObjectStore } from "../../storage/object-store.ts";
import type { MailLog } from "../open-log.ts";
import { decodeReport, isReport, type Report } from "../outbound/report.ts";
import type { Platform } from "../platform.ts";
import type { Notices } from "./notices.ts";

/** Notes whose signatures and secrets are looked at at once: other work of those threads, reads of files, has its turn. */
export const OPENED_AT_ONCE = 16;
/** How old a note may be whose copy will do: its name came from a list, or from who put it. Much less than the day after
 * which a note that was taken in may be gone and forgotten: one that is read still would be taken in twice. */
const NOTE_COPY_AGE_MAX_MS: number = 60 * 60_000;
/** A note that does not open is tried so often, so long apart, before its owner is told. */
const UNREADABLE_TRIES = 3;
const UNREADABLE_RETRY_MS: number = 30 * 60_000;

/** Where mail without a good signature goes. */
export const UNVERIFIED = "Unverified";
/** Where the owner is told of mail that can't be opened. */
export const UNREADABLE = "Unreadable";

export interface NoteReaderOptions {
  readonly bay: MailLog;
  readonly mail: Mail;
  readonly notices: Notices;
  readonly store: ObjectStore;
  readonly prefix: string;
  readonly platform: Platform;
  readonly ring: Ring;
}

/** A note that was opened, and what its conversation is known by, if it begins one; or a report, which is no mail. */
export type ReadNote = TakenNote & { readonly root: Uint8Array; readonly report?: Report; readonly isStatus?: boolean };

interface Failure {
  readonly tries: number;
  readonly lastTry: number;
}

/** Fetches notes and opens them. One that can't be opened stays where it is, is tried again and told to its owner. */
export class NoteReader {
  readonly #options: NoteReaderOptions;
  readonly #failures = new Map<string, Failure>();

  constructor(options: NoteReaderOptions) {
    this.#options = options;
  }

  /** Notes that could not be opened when they were last tried. */
  get unreadable(): readonly string[] {
    return [...this.#failures.keys()].sort();
  }

  /** Lets all of them be tried again now. */
  retry(): void {
    for (const [name, { tries }] of this.#failures)
      this.#failures.set(name, { tries, lastTry: Number.NEGATIVE_INFINITY });
  }

  /** Contents of these notes, in their order; undefined for those that are gone or can't be opened. Errors: `unavailable`, once
   * none of them is worked on any more. */
  async read(names: readonly string[]): Promise<(ReadNote | undefined)[]> {
    // Asked for at once, and opened by some at once, but each with a turn of the event loop of its own.
    const inTurn = serial();
    const opened = limited(OPENED_AT_ONCE);
    const notes = names.map(async (name) => {
      const bytes = await this.#getNote(name);
      return bytes && opened(() => this.#openNote(name, bytes, inTurn));
    });
    // Whoever ends the account waits for this: a note that is opened after that finds its keys wiped.
    await Promise.allSettled(notes);
    return Promise.all(notes);
  }

  async #getNote(name: string): Promise<Uint8Array | undefined> {
    const { store, prefix } = this.#options;
    // A note that did not open may have been damaged on its way here.
    const copyAgeMaxMs = this.#failures.has(name) ? undefined : NOTE_COPY_AGE_MAX_MS;
    const got = await asStoreFailure(store.get(prefix + name, undefined, { copyAgeMaxMs }));
    return got.found ? got.bytes : undefined;
  }

  /** Signature and secret are looked at in other threads; what the note says is read in a turn of its own. */
  async #openNote(name: string, bytes: Uint8Array, inTurn: ReturnType<typeof serial>): Promise<ReadNote | undefined> {
    const { platform, ring } = this.#options;
    try {
      const note = await openNote(platform.crypto, ring, name, bytes, platform.trustedHosts);
      return await inTurn(async () => {
        await platform.breathe?.();
        return this.#readNote(name, bytes, this.#vouch(name, note));
      });
    } catch (error) {
      if (!(error instanceof CryptoError || error instanceof RangeError)) throw error;
      await this.#noteFailure(name, bytes.length, error);
      return undefined;
    }
  }

  async #readNote(name: string, bytes: Uint8Array, note: OpenedNote): Promise<ReadNote> {
    if (isReport(note.summary)) return this.#readReport(name, note, decodeReport(note.summary));
    const { bodyId, objectLength, ...mail } = decodeDelivered(note.summary);
    const fields = parseHeaders(decodeHeader(mail.header));
    const { ids, subject, root } = conversationOf(fields);
    const email: NewEmail = {
      ...mail,
      ids,
      subject,
      id: bodyId,
      place:
        objectLength === 0
          ? { in: "note", name, offset: note.bodyOffset, length: bytes.length - note.bodyOffset }
          : { in: "object", length: objectLength },
      thread: new Uint8Array(8),
    };
    this.#failures.delete(name);
    return {
      note: name,
      email,
      root,
      places: [{ mailbox: note.verified ? INBOX_ID : await this.#options.mail.ensure(UNVERIFIED), flags: [] }],
      stream: note.verified ? streamOf(note) : "",
      counter: note.origin.counter,
      givenUp: note.origin.givenUp,
      isStatus: note.verified && isStatusMail(findHeader(fields, "content-type") ?? ""),
    };
  }

  /** A note of a stream that is forgotten may have been taken in long ago: it counts as one that nobody signed. */
  #vouch(name: string, note: OpenedNote): OpenedNote {
    const { bay, platform } = this.#options;
    const isForgotten = isOfForgotten(bay.state, { note: name, stream: streamOf(note), nowMs: platform.now() });
    return isForgotten ? { ...note, verified: false } : note;
  }

  /** Reads a report: it counts in its stream as notes do, and goes into no mailbox. One that no trusted host signed has no
   * effect. */
  #readReport(note: string, { origin, verified }: OpenedNote, report: Report): ReadNote {
    this.#failures.delete(note);
    return {
      note,
      email: NO_EMAIL,
      root: NO_EMAIL.thread,
      places: [],
      stream: verified ? streamOf({ origin }) : "",
      counter: origin.counter,
      givenUp: origin.givenUp,
      ...(verified && { report }),
    };
  }

  /** True unless it did not open a short while ago. */
  isDue(name: string): boolean {
    const failure = this.#failures.get(name);
    return failure === undefined || this.#options.platform.monotonic() - failure.lastTry >= UNREADABLE_RETRY_MS;
  }

  async #noteFailure(name: string, size: number, error: Error): Promise<void> {
    const { platform, notices } = this.#options;
    const tries = (this.#failures.get(name)?.tries ?? 0) + 1;
    this.#failures.set(name, { tries, lastTry: platform.monotonic() });
    platform.log({ level: "warn", event: "note can't be opened", note: name, tries, error });
    if (tries < UNREADABLE_TRIES) return;
    const came = new Date(Number.parseInt(name.slice(5, 17), 16));
    await notices.tell(UNREADABLE, `unreadable ${name}`, "A message can't be opened", [
      `A message of about ${size} bytes came at ${Number.isNaN(came.getTime()) ? "an unknown time" : came.toUTCString()}`,
      "and can't be opened: it was damaged, or sealed to a key that this account does not have.",
      "It is kept as it is, and tried again each time the account is opened.",
      `Your provider knows it as ${name}.`,
    ]);
  }
}

/** Stands in an op where no mail is. */
const NO_EMAIL: NewEmail = {
  id: new Uint8Array(16),
  key: new Uint8Array(32),
  size: 0,
  place: { in: "object", length: 0 },
  receivedMs: 0,
  receivedZone: 0,
  sentMs: 0,
  sentZone: 0,
  thread: new Uint8Array(8),
  ids: new Uint8Array(0),
  subject: new Uint8Array(0),
  summary: new Uint8Array(0),
  header: new Uint8Array(0),
};

function streamOf({ origin }: Pick<OpenedNote, "origin">): string {
  return hexText(origin.host) + hexText(origin.stream);
}
