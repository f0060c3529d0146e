import { hexText } from "../bay/entry.ts";
import type { Prefetched } from "../bay/log-objects.ts";
import type { Position } from "../bay/position.ts";
import type { Ring } from "../crypto/index.ts";
import { EngineError } from "../errors.ts";
import type { Contents } from "../mail/contents/contents.ts";
import type { Threads } from "../mail/contents/threads.ts";
import { type Appended, Mail } from "../mail/mail.ts";
import type { Uid } from "../mail/numbers.ts";
import type { NewEmail } from "../mail/ops/email.ts";
import { bodyName, type MailboxId } from "../mail/ops/names.ts";
import { checkFlags } from "../mail/state/flags.ts";
import { CurrentLists } from "../query/current-lists.ts";
import { KeptHeaders } from "../query/kept-headers.ts";
import { Scans } from "../query/scans.ts";
import { folderOf } from "../storage/object-kinds.ts";
import type { ObjectStore } from "../storage/object-store.ts";
import { endEmailRecords } from "./care/email-records.ts";
import { fillSummaries } from "./care/fill-summaries.ts";
import { type RepairReport, repairAccount } from "./care/repair.ts";
import { Upkeep } from "./care/upkeep.ts";
import {
  type AddedMessage,
  type Addition,
  type Arrival,
  MessageWriter,
  type Prepared,
  type Replaced,
} from "./delivery/message-writer.ts";
import { Notices } from "./delivery/notices.ts";
import { TakeIn } from "./delivery/take-in.ts";
import { DeviceStates } from "./devices/device-states.ts";
import { removeExpiredTokens, type SlotAccess } from "./keys/tokens.ts";
import { Facts } from "./mandates/facts.ts";
import { Mandates } from "./mandates/mandates.ts";
import type { Vacation } from "./mandates/vacation.ts";
import { keepWitness, type MailLog, type OpenLog, openWitnessed, tellRestored } from "./open-log.ts";
import type { Report } from "./outbound/report.ts";
import type { Submission } from "./outbound/submission.ts";
import { type ReadEmail, Submissions } from "./outbound/submissions.ts";
import type { Outbound } from "./outbound/submit.ts";
import type { Platform } from "./platform.ts";
import { PushSubscriptions } from "./push/push-subscriptions.ts";
import { checkRoom, limitsOf, type QuotaUsage, usageOf } from "./quota.ts";
import { accountOf, accountPrefix } from "./sign-in/users.ts";
import { Uploads } from "./uploads.ts";

/** How long an answer waits for what was delivered before it. */
const TAKE_IN_WAIT_MS = 2000;

/** How long an account that nothing was written to is taken for fresh: what failed is tried again then. */
const FRESH_MS = 60_000;

export interface AccountPlace {
  readonly store: ObjectStore;
  readonly platform: Platform;
}

export interface OpenFrom {
  readonly slot?: string;
  readonly prefetched?: Prefetched | undefined;
}

/** Recipients that a notice names. */
const RECIPIENTS_TOLD_MAX = 100;

/** A slot that opens and that the log does not list: of a change that was cut short, or put back by the store. */
export class SlotUnlisted extends EngineError {
  constructor() {
    super("not-permitted", "the key slot is not listed");
    this.name = "SlotUnlisted";
  }
}

/**
 * An open account, shared by all its sessions in this process. It takes delivered mail in while anyone is signed in,
 * and tells sessions of changes.
 */
export class Account {
  readonly mail: Mail;
  readonly contents: Contents;
  readonly scans: Scans = new Scans();
  readonly lists: CurrentLists = new CurrentLists(() => this.mail.state);
  readonly keptHeaders: KeptHeaders;
  readonly upkeep: Upkeep;
  readonly uploads: Uploads;
  readonly devices: DeviceStates;
  readonly submissions: Submissions;
  readonly mandates: Mandates;
  readonly pushSubscriptions: PushSubscriptions;
  /** Of its objects in the store. */
  readonly prefix: string;
  /** The uid that came next in each mailbox when the account was opened. */
  readonly uidNextAtOpening: ReadonlyMap<MailboxId, Uid>;
  readonly #bay: MailLog;
  readonly #threads: Threads;
  readonly #messages: MessageWriter;
  readonly #takeIn: TakeIn;
  readonly #notices: Notices;
  readonly #facts: Facts;
  readonly #place: AccountPlace;
  readonly #ring: Ring;
  readonly #stopWatching: (() => void)[] = [];
  /** Sessions that wait for changes. */
  readonly #idling: Set<() => void>;
  #sessions = 0;
  /** The last entry that the host's witness names, and the write of it that is under way. */
  #witnessed = -1;
  #keeping: Promise<void> | undefined;
  /** The store's version when all that was in it had been applied and taken in. */
  #freshVersion: number | undefined;
  #freshSince = 0;
  /** When the last look at the store began that is over. */
  #lookedAt = Number.NEGATIVE_INFINITY;

  private constructor(place: AccountPlace, ring: Ring, { bay, contents, threads }: OpenLog, idling: Set<() => void>) {
    this.#place = place;
    this.#ring = ring;
    this.#idling = idling;
    this.#bay = bay;
    const { store, platform } = place;
    const prefix = accountPrefix(ring);
    this.prefix = prefix;
    const mail = new Mail(bay, platform.now);
    this.mail = mail;
    this.contents = contents;
    this.#threads = threads;
    this.keptHeaders = new KeptHeaders(() => mail.state, platform.delay);
    const messages = new MessageWriter({ bay, mail, contents, threads, store, prefix, platform, ring });
    const notices = new Notices({ mail, messages, platform });
    this.#messages = messages;
    this.uploads = new Uploads({ store, prefix, platform, ring, state: () => bay.state });
    this.devices = new DeviceStates({ store, prefix, platform, ring });
    this.#notices = notices;
    this.submissions = new Submissions({ mail, contents, platform, ring });
    this.pushSubscriptions = new PushSubscriptions(platform, ring.account.slice());
    const account = ring.account.slice();
    const vacation = (): Promise<Vacation> => this.mandates.vacation();
    this.#facts = new Facts({ store, prefix, platform, ring, state: () => bay.state, vacation });
    this.mandates = new Mandates({ mail, contents, platform, account, facts: () => this.#facts });
    const onReport = (report: Report): Promise<void> => this.submissions.take(report);
    const onStatusMail = (email: NewEmail): Promise<void> => this.#takeStatus(email);
    const following = { onReport, onStatusMail };
    this.#takeIn = new TakeIn({ bay, mail, threads, messages, notices, store, prefix, platform, ring, ...following });
    const also = async (): Promise<void> => {
      await removeExpiredTokens(this.slotAccess);
      await this.devices.sweep();
      const isLighter = await endEmailRecords(mail);
      if ((await fillSummaries(bay, contents, platform)) || isLighter) await this.upkeep.checkpoint();
    };
    this.upkeep = new Upkeep({ bay, contents, store, prefix, platform, also, hasNotes: () => this.#takeIn.isWanted });
    const { epoch } = bay.state;
    this.#stopWatching.push(
      bay.onApplied(() => {
        // Another process pushed the owner's word for it.
        if (bay.isRolledBack && bay.state.epoch > epoch) bay.acceptHistory();
        this.#keepWitness();
        this.#facts.noteChange();
      }),
    );
    this.#facts.noteChange();
    this.#keepWitness();
    this.uidNextAtOpening = new Map(bay.state.liveMailboxes().map(({ id, uidNext }) => [id, uidNext]));
    const tell = (name?: string): void => {
      this.#takeIn.tell(name);
      const taken = this.#sessions > 0 ? this.takeIn() : this.#takeIn.runWhenQuiet();
      taken.catch((error: unknown) => platform.log({ level: "warn", event: "take-in failed", error }));
    };
    this.#stopWatching.push(store.watch(prefix + folderOf("note"), tell, { isUrgent: () => idling.size > 0 }));
  }

  /**
   * `slot` is the key slot that the ring came out of: if the log does not list it, nothing is written with its keys.
   * `prefetched` is what `prefetchLog` gave while the ring was not there yet. The ring is wiped with the account, and
   * if it is not opened. Throws EngineError `unavailable`, `corrupt` or {@link SlotUnlisted}.
   */
  static async open(place: AccountPlace, ring: Ring, from: OpenFrom = {}): Promise<Account> {
    try {
      return await Account.#open(place, ring, from);
    } catch (error) {
      ring[Symbol.dispose]();
      throw error;
    }
  }

  static async #open(place: AccountPlace, ring: Ring, { slot, prefetched }: OpenFrom): Promise<Account> {
    const { store, platform } = place;
    const prefix = accountPrefix(ring);
    const idling = new Set<() => void>();
    const isUrgent = (): boolean => idling.size > 0;
    const log = await openWitnessed(store, prefix, platform, ring, { prefetched, isUrgent, slot });
    try {
      if (slot !== undefined) await checkListed(log.bay, slot);
    } catch (error) {
      await log.bay.dispose();
      throw error;
    }
    // The witness tells of a history that is gone.
    await tellRestored(log, platform, hexText(ring.account));
    return new Account(place, ring, log, idling);
  }

  /** Why nothing of it can be changed; undefined if it can. */
  get barred(): MailLog["barred"] {
    return this.#bay.barred;
  }

  /** Why it can be used no further: it was moved or deleted, or has new keys. */
  get ended(): MailLog["ended"] {
    return this.#bay.ended;
  }

  /** The queue and senders of this server; undefined where no mail is sent. */
  get outbound(): Outbound | undefined {
    return this.#place.platform.outbound;
  }
  get sends(): boolean {
    return this.outbound !== undefined;
  }

  /** The last entry of its log that is applied. */
  get position(): Position {
    return this.#bay.position;
  }

  /** Milliseconds since 1970. */
  now(): number {
    return this.#place.platform.now();
  }

  /** For who may change its ways in. */
  get slotAccess(): SlotAccess {
    const { store, platform } = this.#place;
    return { store, platform, prefix: this.prefix, ring: this.#ring, mail: this.mail };
  }

  /** True if owners can give mandates here. */
  get hasMandates(): boolean {
    return this.#place.platform.mandates !== undefined;
  }

  get pushKey(): string | undefined {
    return this.#place.platform.mandates?.pushKey;
  }

  /** Does the rest of what a process that was killed had begun: what it had submitted, and what it had let the server do. */
  async handOver(address: string): Promise<void> {
    // An older history tells of mail that may have gone.
    if (this.barred !== undefined) return;
    await this.mandates.settle(address);
    await this.submissions.handOver(address, this.#readEmail, (one) => this.#tellOfUnknown(one));
  }

  /** A mail waited when the backup was made that the account was brought back from. */
  #tellOfUnknown({ id, madeMs, envelope }: Submission): Promise<void> {
    return this.#notices.tell("INBOX", `unknown ${id}`, "A message may not have been sent", [
      "Your mail server was brought back from a backup. When that was made, a message of yours waited to be sent:",
      `written on ${new Date(madeMs).toUTCString()}, to`,
      ...envelope.recipients.slice(0, RECIPIENTS_TOLD_MAX).map(({ address }) => `  ${address}`),
      "Whether it was sent since is not known, so it is not sent again. If it has not arrived, send it once more.",
    ]);
  }

  readonly #readEmail: ReadEmail = async (id) => {
    const { state } = this.mail;
    const email = state.findEmail(id);
    return email !== undefined && state.isHeld(email) ? this.contents.openEmail(state, email) : undefined;
  };

  /** A mail that is about to be taken in may say what became of another. One that is damaged says nothing. */
  async #takeStatus({ id, key, place, size }: NewEmail): Promise<void> {
    if (place.in === "entry") return;
    const object = place.in === "note" ? place : { name: bodyName(id), offset: 0, length: place.length };
    try {
      const body = await this.contents.openStored({ id, key, object }, size);
      await this.submissions.takeStatus(id, body, this.#readEmail);
    } catch (error) {
      if (!(error instanceof EngineError && error.code === "corrupt")) throw error;
      this.#place.platform.log({ level: "warn", event: "what a mail says of another can't be read", error });
    }
  }

  /** Somebody is signed in, until the returned function is called: what is delivered meanwhile is taken in at once. */
  enter(): () => void {
    this.#sessions++;
    return () => {
      this.#sessions--;
    };
  }

  /** Tells of each change that is seen here, until the returned function is called. */
  onApplied(listener: () => void): () => void {
    return this.#bay.onApplied(() => listener());
  }

  /** The same for a caller that waits for changes: others' are looked for often meanwhile. */
  onChange(listener: () => void): () => void {
    const tell = (): void => listener();
    this.#idling.add(tell);
    const end = this.onApplied(tell);
    return () => {
      this.#idling.delete(tell);
      end();
    };
  }

  async dispose(): Promise<void> {
    for (const stop of this.#stopWatching) stop();
    this.#facts.end();
    await this.#takeIn.end();
    await this.upkeep.dispose();
    await this.#keeping;
    await this.#bay.dispose();
    this.contents.dispose();
    this.keptHeaders.dispose();
    this.#threads.dispose();
    this.#ring[Symbol.dispose]();
  }

  /** Keeps what was seen of the log outside the store, as it is seen: one write at a time. */
  #keepWitness(): void {
    this.#keeping ??= this.#keepSeen().then((isKept) => {
      this.#keeping = undefined;
      if (isKept && this.#witnessed < this.#bay.position) this.#keepWitness();
    });
  }

  /** Resolves with whether it is kept. */
  async #keepSeen(): Promise<boolean> {
    while (this.#witnessed < this.#bay.position) {
      const { position } = this.#bay;
      if (!(await keepWitness(this.#bay, this.#place.platform, hexText(this.#ring.account)))) return false;
      this.#witnessed = position;
    }
    return true;
  }

  /** Moves to the present: others' changes, and what was delivered before the call, if that takes no longer than {@link
   * TAKE_IN_WAIT_MS}. A caller that needs the account as it was at the time `since` (of the monotonic clock) asks the store
   * nothing if there was a look later than that. */
  async refresh(since: number = Number.POSITIVE_INFINITY): Promise<void> {
    if (this.#lookedAt > since) return;
    const lookedAt = this.#place.platform.monotonic();
    await this.#look();
    this.#lookedAt = Math.max(this.#lookedAt, lookedAt);
  }

  async #look(): Promise<void> {
    const { store, platform } = this.#place;
    const version = store.freshen?.();
    const isFresh = version !== undefined && version === this.#freshVersion;
    if (isFresh && platform.monotonic() - this.#freshSince < FRESH_MS) return;
    if (version === undefined) this.#takeIn.tell();
    const mayWait = this.#takeIn.isWanted;
    const synced = this.#bay.sync();
    const takenIn = this.takeIn();
    const fresh = (): void => {
      this.#freshVersion = version;
      this.#freshSince = platform.monotonic();
    };
    // Their failures are told below.
    const looked = Promise.all([synced, takenIn]);
    looked.then(fresh, () => undefined);
    if (!mayWait) {
      await looked;
      return;
    }
    const waited = new AbortController();
    try {
      await Promise.all([synced, Promise.race([takenIn, platform.delay(TAKE_IN_WAIT_MS, waited.signal)])]);
    } finally {
      waited.abort();
    }
  }

  /** Deliveries that came and are not taken in yet, as far as is known. */
  get waitingNotes(): number {
    return this.#takeIn.waitingCount;
  }

  /** Takes delivered mail in. Errors: `unavailable`. */
  takeIn(): Promise<void> {
    return this.#takeIn.run();
  }

  /** Takes in all that waits, what could not be opened before too. Resolves with the names of the notes that still can't
   * be. Errors: `unavailable`. */
  async retryNotes(): Promise<readonly string[]> {
    await this.#bay.sync();
    await this.#takeIn.retry();
    return this.#takeIn.unreadable;
  }

  /** Puts a message to its owner into the mailbox at `path`, unless `about` was told before. Errors: `unavailable`. */
  tell(path: string, about: string, subject: string, lines: readonly string[]): Promise<void> {
    return this.#notices.tell(path, about, subject, lines);
  }

  /** Mends what can be mended. Errors: `unavailable`. */
  repair(onDone: () => void = () => undefined): Promise<RepairReport> {
    const { store, platform } = this.#place;
    const { mail, contents, upkeep, prefix } = this;
    const notices = this.#notices;
    return repairAccount({
      bay: this.#bay,
      messages: this.#messages,
      mail,
      contents,
      threads: this.#threads,
      notices,
      upkeep,
      store,
      prefix,
      platform,
      ring: this.#ring,
      onDone,
    });
  }

  /** Takes a message in from its owner, sealed and stored, for {@link append}: it is in no mailbox yet. */
  prepare(source: AsyncIterable<Uint8Array>, arrival: Arrival): Promise<Prepared> {
    checkFlags(arrival.flags);
    // Where there is no room for one octet it need not be read.
    checkRoom(this.quota, { bytes: 1, messages: 1 });
    return this.#messages.write(source, arrival);
  }

  /** The account's use and its limits. */
  get quota(): QuotaUsage {
    return usageOf(this.mail.state, limitsOf(this.#place.platform, accountOf(this.prefix)));
  }

  /** Throws `QuotaExceeded` where these are too much. */
  #checkRoomFor(messages: readonly Prepared[]): void {
    const bytes = messages.reduce((sum, { email }) => sum + email.size, 0);
    checkRoom(this.quota, { bytes, messages: messages.length });
  }

  async append(mailbox: MailboxId, prepared: Prepared): Promise<Appended> {
    this.#checkRoomFor([prepared]);
    return this.#messages.append(mailbox, prepared);
  }

  async replace(replaced: Replaced, prepared: Prepared, path: string): Promise<Appended> {
    this.#checkRoomFor([prepared]);
    return this.#messages.replace(replaced, prepared, path);
  }

  /** Appends several by one op: an import. */
  async appendMany(mailbox: MailboxId, prepared: readonly Prepared[]): Promise<Appended> {
    this.#checkRoomFor(prepared);
    return this.#messages.appendMany(mailbox, prepared);
  }

  /** Puts prepared messages into their mailboxes, by one op. */
  async addMany(additions: readonly Addition[]): Promise<(AddedMessage | undefined)[]> {
    this.#checkRoomFor(additions.map(({ prepared }) => prepared));
    return this.#messages.addMany(additions);
  }
}

/** Throws {@link SlotUnlisted}. Prefetched answers may be older than the slot. */
async function checkListed(bay: MailLog, slot: string): Promise<void> {
  if (bay.state.slots.names.includes(slot)) return;
  await bay.sync();
  if (!bay.state.slots.names.includes(slot)) throw new SlotUnlisted();
}
