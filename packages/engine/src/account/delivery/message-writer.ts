import { hexText } from "../../bay/entry.ts";
import { earliest, type Position } from "../../bay/position.ts";
import { asStoreFailure } from "../../bay/store-failure.ts";
import { bodyContext, type Ring, wrapForOwner } from "../../crypto/index.ts";
import { EngineError } from "../../errors.ts";
import type { Contents } from "../../mail/contents/contents.ts";
import type { Threads } from "../../mail/contents/threads.ts";
import { type TakenBody, takeBody } from "../../mail/intake.ts";
import type { Appended, Carried, Mail } from "../../mail/mail.ts";
import type { BodyPlace, NewEmail } from "../../mail/ops/email.ts";
import { bodyName, type MailboxId } from "../../mail/ops/names.ts";
import type { Placement, Targets } from "../../mail/ops/op.ts";
import type { NewObject, ObjectStore } from "../../storage/object-store.ts";
import type { MailLog } from "../open-log.ts";
import type { Platform } from "../platform.ts";

/** A message that is sealed, but in no mailbox yet. A large one is stored: if it is never appended it is collected. */
export interface Prepared {
  readonly email: Omit<NewEmail, "thread">;
  readonly flags: readonly string[];
  /** The root of its conversation, if it begins one: `Threads`. */
  readonly root: Uint8Array;
  /** The sealed body, if it rides in the log entry or is stored along with it. */
  readonly carried: Carried;
  /** Bytes of it. */
  readonly heldBytes: number;
  /** The log's position before the body's first byte was stored. */
  readonly since: Position;
}

/** A prepared message, and the mailboxes that it goes into: one at least. */
export interface Addition {
  readonly prepared: Prepared;
  readonly mailboxes: readonly MailboxId[];
}

/** The email of an added message: its id, 16 bytes, its thread, 8 bytes, and its octets. */
export interface AddedMessage {
  readonly id: Uint8Array;
  readonly thread: Uint8Array;
  readonly size: number;
}

export interface Arrival {
  /** The mailbox's path, kept with the body for salvage. */
  readonly mailbox: string;
  readonly flags: readonly string[];
  /** INTERNALDATE: now, if it is left out. */
  readonly received?: { readonly timeMs: number; readonly zoneMinutes: number };
}

/** A message that another takes the place of, and the flags that it has. */
export interface Replaced {
  readonly of: Targets;
  readonly flags: readonly string[];
}

export interface MessageWriterOptions {
  readonly bay: MailLog;
  readonly mail: Mail;
  readonly contents: Contents;
  readonly threads: Threads;
  readonly store: ObjectStore;
  readonly prefix: string;
  readonly platform: Platform;
  readonly ring: Ring;
}

/** Messages, and bytes of small bodies, that one op of {@link MessageWriter.appendMany} should bring at most. */
export const APPEND_EMAILS_MAX = 256;
export const APPEND_BYTES_MAX: number = 2 ** 20;

/** Where salvage puts a message whose mailbox is gone. */
const INBOX = "INBOX";
/** How often a message is brought again because the collector came between. */
const APPEND_TRIES = 3;

/** Seals, stores and appends messages that their owner brings. */
export class MessageWriter {
  readonly #options: MessageWriterOptions;

  constructor(options: MessageWriterOptions) {
    this.#options = options;
  }

  /** Takes a message in as it streams, in bounded memory. Errors: `unavailable`, `over-quota`. */
  async write(source: AsyncIterable<Uint8Array>, { mailbox, flags, received }: Arrival): Promise<Prepared> {
    const { bay, store, prefix, platform, ring } = this.#options;
    const id = platform.crypto.random(16);
    const key = platform.crypto.random(32);
    const { timeMs, zoneMinutes } = received ?? { timeMs: platform.now(), zoneMinutes: 0 };
    const preamble = wrapForOwner(platform.crypto, ring, hexText(id), { key, receivedMs: timeMs, mailbox, flags });
    const since = bay.position;
    const taken = await takeBody(source, {
      seal: bodyContext(platform.crypto, ring.account, hexText(id), key),
      preamble,
      receivedMs: timeMs,
      putLarge: (content) => asStoreFailure(store.put(prefix + bodyName(id), content)),
      breathe: platform.breathe,
    });
    const place: BodyPlace = taken.inline ? { in: "entry", attachment: 0 } : { in: "object", length: taken.length };
    const { root, ...digest } = taken.digest;
    const email = { ...digest, id, key, place, receivedMs: timeMs, receivedZone: zoneMinutes };
    return { email, flags, root, carried: this.#carried(id, taken), heldBytes: taken.sealed?.length ?? 0, since };
  }

  #carried(id: Uint8Array, { sealed, inline }: TakenBody): Carried {
    if (!sealed) return {};
    if (inline) return { attachments: [sealed] };
    return { along: [{ name: this.#options.prefix + bodyName(id), content: sealed }] };
  }

  /** Puts a prepared message into a mailbox. Errors: `not-found` where that is gone, `unavailable`, `unknown-outcome`. */
  append(mailbox: MailboxId, prepared: Prepared): Promise<Appended> {
    return this.appendMany(mailbox, [prepared]);
  }

  /** Puts prepared messages into a mailbox by one op: all or none. The caller keeps to
   * {@link APPEND_EMAILS_MAX} and {@link APPEND_BYTES_MAX}. Errors: as {@link append}. */
  async appendMany(mailbox: MailboxId, messages: readonly Prepared[]): Promise<Appended> {
    const additions = messages.map((prepared) => ({ prepared, mailboxes: [mailbox] }));
    return (await this.#push(additions, await this.#threadsOf(additions))).appended;
  }

  /** Puts prepared messages into their mailboxes, each into one or several, by one op within the same bounds. Resolves with
   * what each became, in order; undefined for one whose mailboxes are all gone. Errors: `not-found` if all of all are; as
   * {@link append}. */
  async addMany(additions: readonly Addition[]): Promise<(AddedMessage | undefined)[]> {
    const threads = await this.#threadsOf(additions);
    const { pushed } = await this.#push(additions, threads);
    const { state } = this.#options.bay;
    return pushed.map(({ prepared: { email } }, at) =>
      state.findEmail(email.id) === undefined ? undefined : { id: email.id, thread: threads[at]!, size: email.size },
    );
  }

  #threadsOf(additions: readonly Addition[]): Promise<Uint8Array[]> {
    return this.#options.threads.assign(additions.map(({ prepared: { email, root } }) => ({ ...email, root })));
  }

  /** Resolves with what was pushed in the end, too: a body may have got another name. */
  async #push(
    additions: readonly Addition[],
    threads: readonly Uint8Array[],
  ): Promise<{ readonly appended: Appended; readonly pushed: readonly Addition[] }> {
    for (let tries = 1; ; tries++) {
      const attachments: Uint8Array[] = [];
      const along: NewObject[] = [];
      const emails = additions.map(({ prepared: { email, flags, carried }, mailboxes }, at) => {
        const isInEntry = email.place.in === "entry";
        const place = isInEntry ? ({ in: "entry", attachment: attachments.length } as const) : email.place;
        attachments.push(...(carried.attachments ?? []));
        along.push(...(carried.along ?? []));
        const places: readonly Placement[] = mailboxes.map((mailbox) => ({ mailbox, flags }));
        return { email: { ...email, place, thread: threads[at]! }, places };
      });
      const since = earliest(additions.map(({ prepared }) => prepared.since));
      try {
        const appended = await this.#options.mail.add(emails, since, { attachments, along });
        return { appended, pushed: additions };
      } catch (error) {
        const isInTheWay = error instanceof EngineError && error.code === "conflict";
        if (!isInTheWay || tries === APPEND_TRIES) throw error;
        additions = await this.#againMany(additions);
      }
    }
  }

  /** Puts a prepared message into the place of another, in the same mailbox, by one op. Errors: `expunged`, `not-found`,
   * `unavailable`, `unknown-outcome`. */
  async replace({ of, flags }: Replaced, prepared: Prepared, path: string): Promise<Appended> {
    const { mail, threads } = this.#options;
    let message = prepared;
    for (let tries = 1; ; tries++) {
      const { email, root, carried, since } = message;
      const [thread] = await threads.assign([{ ...email, root }]);
      try {
        return await mail.replace(
          of,
          { ...email, thread: thread! },
          { add: message.flags, remove: flags },
          since,
          carried,
        );
      } catch (error) {
        const isInTheWay = error instanceof EngineError && error.code === "conflict";
        if (!isInTheWay || tries === APPEND_TRIES) throw error;
        message = await this.#uponPresent(message, path);
      }
    }
  }

  async #againMany(additions: readonly Addition[]): Promise<Addition[]> {
    const again: Addition[] = [];
    for (const { prepared, mailboxes } of additions) {
      const path = this.#options.mail.state.findMailbox(mailboxes[0]!)?.path ?? INBOX;
      again.push({ prepared: await this.#uponPresent(prepared, path), mailboxes });
    }
    return again;
  }

  /** Only bodies of their own are in the collector's way; the small ones are made upon the present once more. */
  async #uponPresent(prepared: Prepared, path: string): Promise<Prepared> {
    const since = this.#options.bay.position;
    return prepared.email.place.in === "object" ? this.again(prepared, path) : { ...prepared, since };
  }

  /**
   * An op that brings this message was refused because the collector came between: its body may be gone, or going. What
   * surely stays is brought again as it is; what is condemned is stored under a new name. Errors: `unavailable` if it
   * is gone.
   */
  async again({ email, flags, root }: Pick<Prepared, "email" | "flags" | "root">, mailbox: string): Promise<Prepared> {
    const { bay, store, prefix, contents } = this.#options;
    await bay.sync();
    const since = bay.position;
    const name = bodyName(email.id);
    if (email.place.in !== "object") throw new Error("only bodies of their own are condemned");
    if (bay.state.condemned.has(name)) {
      const body = await contents.openStored(
        { ...email, object: { name, offset: 0, length: email.place.length } },
        email.size,
      );
      const received = { timeMs: email.receivedMs, zoneMinutes: email.receivedZone };
      return this.write(body.read(0, email.size), { mailbox, flags, received });
    }
    const { found } = await asStoreFailure(store.get(prefix + name, { start: 0, end: 1 }));
    if (!found) throw new EngineError("unavailable", "the message took too long to be stored, send it again");
    return { email, flags, root, carried: {}, heldBytes: 0, since };
  }
}
