import { hexText } from "../bay/entry.ts";
import type { LinearBay } from "../bay/linear-bay.ts";
import { asStoreFailure } from "../bay/store-failure.ts";
import { bodyContext, CryptoError, openNote, publicRecord, type Ring, wrapForOwner } from "../crypto/index.ts";
import { bodyName, type Outcome } from "../mail/apply.ts";
import type { Contents } from "../mail/contents.ts";
import { decodeDelivered } from "../mail/delivered.ts";
import { checkFlags } from "../mail/flags.ts";
import { takeBody } from "../mail/intake.ts";
import { type Appended, Mail } from "../mail/mail.ts";
import type { Mailbox } from "../mail/mailbox.ts";
import { INBOX_ID, type MailboxId } from "../mail/names.ts";
import type { BodyPlace, NewEmail, Op, TakenNote } from "../mail/op.ts";
import type { MailState } from "../mail/state.ts";
import type { ObjectStore } from "../storage/object-store.ts";
import { openLog } from "./open-log.ts";
import type { Platform } from "./platform.ts";
import { accountPrefix } from "./users.ts";

/** Notes of one take-in op, and bytes of them in memory at once. */
const TAKE_IN_NOTES_MAX = 256;
/** How long an answer waits for what was delivered before it. */
const TAKE_IN_WAIT_MS = 2000;

/** How much later than its name says a note may come: deliveries end within two hours, and hosts' clocks differ. Each
 * opening of an account looks at all. */
const NOTE_DELAY_MAX_MS: number = 3 * 60 * 60_000;

/** A name that sorts before all notes whose time is within `ms` of this one's. */
function noteNameBefore(name: string, ms: number): string {
  const time = Number.parseInt(name.slice(5, 17), 16);
  return `note/${Math.max(0, time - ms)
    .toString(16)
    .padStart(12, "0")}`;
}

/** Where mail without a good signature goes. */
const UNVERIFIED = "Unverified";
/** Entries after which a checkpoint is due. */
const CHECKPOINT_ENTRIES = 1000;

/** Entries after which the witness is kept anew. */
const WITNESS_ENTRIES = 32;

export interface AccountPlace {
  readonly store: ObjectStore;
  readonly platform: Platform;
  /** Public keys of the hosts whose deliveries are believed. */
  readonly trustedHosts: readonly Uint8Array[];
}

/** A message that was taken in and is stored, but in no mailbox yet. */
export interface Prepared {
  readonly email: Omit<NewEmail, "thread">;
  readonly attachments: readonly Uint8Array[];
  readonly since: number;
}

/**
 * An open account, shared by all its sessions in this process. It takes delivered mail in while anyone is signed in,
 * and tells sessions of changes.
 */
export class Account {
  readonly mail: Mail;
  readonly contents: Contents;
  readonly #bay: LinearBay<MailState, Op, Outcome>;
  readonly #place: AccountPlace;
  readonly #ring: Ring;
  readonly #prefix: string;
  readonly #recentFrom = new Map<MailboxId, number>();
  readonly #stopWatching: (() => void)[] = [];
  #checkpointing: Promise<void> | undefined;
  #takingIn: Promise<void> | undefined;
  #lastNote = "";
  #witnessed = 0;
  readonly #unreadable = new Set<string>();

  private constructor(place: AccountPlace, ring: Ring, bay: LinearBay<MailState, Op, Outcome>, contents: Contents) {
    this.#place = place;
    this.#ring = ring;
    this.#bay = bay;
    this.#prefix = accountPrefix(publicRecord(ring));
    this.mail = new Mail(bay, place.platform.now);
    this.contents = contents;
    const { epoch } = bay.state;
    this.#stopWatching.push(
      bay.onApplied(() => {
        // Another process pushed the owner's word for it.
        if (bay.rolledBack && bay.state.epoch > epoch) bay.acceptHistory();
        this.#checkpointIfDue();
        this.#witnessIfDue();
      }),
    );
    this.#witnessed = bay.position;
    void this.#keepWitness();
    for (const mailbox of bay.state.liveMailboxes()) this.#recentFrom.set(mailbox.id, mailbox.uidNext);
    const endWatch = place.store.watch(`${this.#prefix}note/`, () => {
      this.takeIn().catch((error: unknown) => place.platform.log({ level: "warn", event: "take-in failed", error }));
    });
    this.#stopWatching.push(endWatch);
  }

  /** Throws EngineError `unavailable` or `corrupt`. */
  static async open(place: AccountPlace, ring: Ring): Promise<Account> {
    const { store, platform } = place;
    const witness = await platform.witnesses?.read(hexText(ring.account));
    const { bay, contents } = await openLog(store, accountPrefix(publicRecord(ring)), platform, ring, witness);
    if (bay.rolledBack)
      platform.log({ level: "error", event: "store shows an older history", account: hexText(ring.account) });
    return new Account(place, ring, bay, contents);
  }

  /** The store shows an older state than this host has seen: the account is read-only until its owner accepts that. */
  get rolledBack(): boolean {
    return this.#bay.rolledBack;
  }

  onChange(listener: () => void): () => void {
    return this.#bay.onApplied(listener);
  }

  async dispose(): Promise<void> {
    for (const stop of this.#stopWatching) stop();
    // Their failures were told to who began them.
    await this.#takingIn?.catch(() => undefined);
    await this.#checkpointing;
    await this.#keepWitness();
    await this.#bay.dispose();
    this.#ring[Symbol.dispose]();
  }

  /** Keeps what was seen of the log outside the store. */
  async #keepWitness(): Promise<void> {
    const { platform } = this.#place;
    if (this.#bay.rolledBack) return;
    try {
      await platform.witnesses?.write(hexText(this.#ring.account), this.#bay.witness);
      this.#witnessed = this.#bay.position;
    } catch (error) {
      platform.log({ level: "warn", event: "witness can't be kept", error });
    }
  }

  #witnessIfDue(): void {
    if (this.#bay.position - this.#witnessed < WITNESS_ENTRIES) return;
    this.#witnessed = this.#bay.position;
    void this.#keepWitness();
  }

  /** Keeps the log that an opening reads short. Sessions go on meanwhile; a failure costs nothing but the next try. */
  #checkpointIfDue(): void {
    if (this.#bay.rolledBack || this.#checkpointing !== undefined || this.#bay.tailLength < CHECKPOINT_ENTRIES) return;
    this.#checkpointing = this.#bay
      .checkpoint(({ covers, manifest, emails }) => ({
        kind: "checkpoint",
        covers,
        manifest,
        emailRows: emails,
        startedAt: covers,
      }))
      .catch((error: unknown) => this.#place.platform.log({ level: "warn", event: "checkpoint failed", error }))
      .finally(() => {
        this.#checkpointing = undefined;
      });
  }

  /** Moves to the present: others' changes, and what was delivered before the call, if that takes no longer than
   * {@link TAKE_IN_WAIT_MS}. */
  async refresh(): Promise<void> {
    await this.#bay.sync();
    const takenIn = this.takeIn();
    await Promise.race([takenIn, this.#place.platform.delay(TAKE_IN_WAIT_MS)]);
  }

  /** Takes delivered mail in, exactly once, in order of delivery: STORAGE rules of take-in. */
  async takeIn(): Promise<void> {
    // One under way may have listed before the newest note came: wait for it, then look again.
    while (this.#takingIn !== undefined) await this.#takingIn;
    this.#takingIn = this.#takeInAll().finally(() => {
      this.#takingIn = undefined;
    });
    await this.#takingIn;
  }

  async #takeInAll(): Promise<void> {
    if (this.#bay.rolledBack) return;
    // A note may be stored after one of a later name: its name is given before its bytes are there.
    let after = this.#lastNote === "" ? "" : `${this.#prefix}${noteNameBefore(this.#lastNote, NOTE_DELAY_MAX_MS)}`;
    for (;;) {
      const listed = this.#bay.position;
      const { store } = this.#place;
      const { objects } = await asStoreFailure(store.list(`${this.#prefix}note/`, { after, limit: TAKE_IN_NOTES_MAX }));
      if (objects.length === 0) return;
      const names = objects.map(({ name }) => name.slice(this.#prefix.length));
      const fresh = names.filter((name) => !this.mail.state.takenNotes.has(name) && !this.#unreadable.has(name));
      const notes = await Promise.all(fresh.map((name) => this.#readNote(name)));
      const good = notes.filter((note) => note !== undefined);
      if (good.length > 0) {
        const seconds = Math.floor(this.#place.platform.now() / 1000);
        const outcome = await this.#bay.push({ op: { kind: "take-in", notes: this.#threaded(good), listed, seconds } });
        if (outcome.refusal) continue;
      }
      after = objects.at(-1)!.name;
      if (names.at(-1)! > this.#lastNote) this.#lastNote = names.at(-1)!;
    }
  }

  async #readNote(name: string): Promise<TakenNote | undefined> {
    const { store, platform, trustedHosts } = this.#place;
    const got = await asStoreFailure(store.get(this.#prefix + name));
    if (!got.found) return undefined;
    try {
      const note = openNote(platform.crypto, this.#ring, name, got.bytes, trustedHosts);
      const { bodyId, objectLength, ...mail } = decodeDelivered(note.summary);
      const email: NewEmail = {
        ...mail,
        id: bodyId,
        place:
          objectLength === 0
            ? { in: "note", name, offset: note.bodyOffset, length: got.bytes.length - note.bodyOffset }
            : { in: "object", length: objectLength },
        thread: new Uint8Array(8),
        flags: [],
      };
      const stream = note.verified ? hexText(note.origin.host) + hexText(note.origin.stream) : "";
      return {
        note: name,
        mailbox: note.verified ? INBOX_ID : await this.#unverified(),
        email,
        stream,
        counter: note.origin.counter,
        givenUp: note.origin.givenUp,
      };
    } catch (error) {
      if (!(error instanceof CryptoError || error instanceof RangeError)) throw error;
      // It stays where it is and blocks nothing; the next opening of the account tries again.
      this.#unreadable.add(name);
      platform.log({ level: "warn", event: "note can't be opened", note: name, error });
      return undefined;
    }
  }

  /** The folder for mail that no trusted host signed: it may be forged, and is shown apart. */
  async #unverified(): Promise<MailboxId> {
    const known = this.mail.state.findPath(UNVERIFIED);
    return known ? known.id : this.mail.create(UNVERIFIED);
  }

  /** Gives each its thread: that of a message it refers to, of one before it here too, else a new one. */
  #threaded(notes: readonly TakenNote[]): TakenNote[] {
    const fresh = new Map<string, Uint8Array>();
    return notes.map((note) => {
      const thread = this.#findThread(note.email.ids, fresh);
      return { ...note, email: { ...note.email, thread } };
    });
  }

  #findThread(ids: Uint8Array, fresh: Map<string, Uint8Array> = new Map()): Uint8Array {
    const keys = Array.from({ length: ids.length / 8 }, (_, at) => hexText(ids.subarray(at * 8, at * 8 + 8)));
    const near = keys.map((key) => fresh.get(key)).find((thread) => thread !== undefined);
    const thread = near ?? this.mail.state.findThread(ids) ?? this.#place.platform.crypto.random(8);
    for (const key of keys) if (!fresh.has(key)) fresh.set(key, thread);
    return thread;
  }

  /**
   * Takes a message in from its owner, sealed and stored, for {@link append}. It is in no mailbox yet: what is never
   * appended is collected.
   */
  async prepare(
    path: string,
    source: AsyncIterable<Uint8Array>,
    options: {
      readonly flags: readonly string[];
      readonly received?: { readonly timeMs: number; readonly zoneMinutes: number };
    },
  ): Promise<Prepared> {
    checkFlags(options.flags);
    const { store, platform } = this.#place;
    const id = platform.crypto.random(16);
    const key = platform.crypto.random(32);
    const received = options.received ?? { timeMs: platform.now(), zoneMinutes: 0 };
    const salvage = { key, receivedMs: received.timeMs, mailbox: path, flags: options.flags };
    const preamble = wrapForOwner(platform.crypto, this.#ring, hexText(id), salvage);
    const since = this.#bay.position;
    const context = bodyContext(platform.crypto, this.#ring.account, hexText(id), key);
    const taken = await takeBody(source, context, preamble, received.timeMs, (content) =>
      asStoreFailure(store.put(this.#prefix + bodyName(id), content)),
    );
    const place: BodyPlace = taken.inline ? { in: "entry", attachment: 0 } : { in: "object", length: taken.length };
    const email = {
      ...taken.digest,
      id,
      key,
      place,
      receivedMs: received.timeMs,
      receivedZone: received.zoneMinutes,
      flags: options.flags,
    };
    return { email, attachments: taken.inline ? [taken.inline] : [], since };
  }

  async append(path: string, { email, attachments, since }: Prepared): Promise<Appended> {
    return this.mail.append(path, [{ ...email, thread: this.#findThread(email.ids) }], since, attachments);
  }

  /** The first uid of `mailbox` that no session was told to be \Recent, which a session that may write claims:
   * RFC 3501 §2.3.2. Kept by this process alone. */
  claimRecent(mailbox: Mailbox, readOnly: boolean): number {
    const from = this.#recentFrom.get(mailbox.id) ?? 1;
    if (!readOnly) this.#recentFrom.set(mailbox.id, mailbox.uidNext);
    return from;
  }

  recentIn(mailbox: Mailbox): number {
    const from = this.#recentFrom.get(mailbox.id) ?? 1;
    const { uid } = this.mail.state.memberships.columns;
    return mailbox.messages.length - mailbox.messages.lowerBound(from, (row) => uid.get(row));
  }
}
