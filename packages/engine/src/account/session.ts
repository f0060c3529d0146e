import type { HeaderBlock } from "@restante/mime";
import { BARRED } from "../bay/bay.ts";
import type { TokenTerms } from "../crypto/index.ts";
import { EngineError } from "../errors.ts";
import type { Body, Contents } from "../mail/contents/contents.ts";
import type { Summary } from "../mail/contents/summary.ts";
import type { Appended, FoldersAuthor, Mail } from "../mail/mail.ts";
import { type MailboxView, type Message, openView } from "../mail/mailbox-view.ts";
import type { Uid } from "../mail/numbers.ts";
import type { MailboxId } from "../mail/ops/names.ts";
import type { NewRecord, SpecialUse, StateClaim } from "../mail/ops/op.ts";
import type { Outcome } from "../mail/ops/outcome.ts";
import type { ReadMailbox, ReadState } from "../mail/state/read-state.ts";
import {
  type Changes,
  emailChanges,
  type MailboxListChanges,
  mailboxListChanges,
  type Point,
  threadChanges,
} from "../query/changes.ts";
import type { Condition } from "../query/condition.ts";
import type { Searched } from "../query/filter.ts";
import type { Lists } from "../query/lists.ts";
import { type QueryChanges, type QueryChangesOptions, queryChanges } from "../query/live.ts";
import type { EmailCounts } from "../query/mailbox-lists.ts";
import type { Pace } from "../query/pace.ts";
import { type EmailPage, type EmailQuery, type QueryTools, queryEmails } from "../query/query-emails.ts";
import { findShown, type ShownEmail } from "../query/shown-email.ts";
import type { SortKey } from "../query/sort.ts";
import { readSnippets, type Snippet } from "../query/text.ts";
import type { ThreadAlgorithm, Threads } from "../query/threading/threads.ts";
import type { Account } from "./account.ts";
import { lostDerived, type RepairReport } from "./care/repair.ts";
import type { AddedMessage, Addition, Arrival, Prepared } from "./delivery/message-writer.ts";
import type { DeviceStates } from "./devices/device-states.ts";
import { type EmailEdit, editEmails } from "./edit-emails.ts";
import { isStillListed } from "./keys/slots.ts";
import { addToken, endToken, type NewToken, readTokens, type TokenEntry, tokenSlotName } from "./keys/tokens.ts";
import type { Mandate } from "./mandates/mandates.ts";
import type { Vacation } from "./mandates/vacation.ts";
import type { Submission } from "./outbound/submission.ts";
import type { SubmitRequest } from "./outbound/submit.ts";
import type { KnownSubscription, NewPushSubscription, PushSubscriptionChange } from "./push/push-subscriptions.ts";
import type { QuotaUsage } from "./quota.ts";

/** By the kind of the slot. */
const WAYS: Readonly<Record<string, Way>> = { app: "app-password", recovery: "recovery-code", token: "token" };

/** By what an owner came in: their password, what stands in for it, or their keys themselves. */
export type Way = "password" | "app-password" | "recovery-code" | "token" | "keys";

export interface SignedInBy {
  readonly address: string;
  /** The key slot; none if they brought the keys themselves. */
  readonly slot?: string | undefined;
  /** Of a token. */
  readonly terms?: TokenTerms | undefined;
}

export interface SearchOptions {
  readonly pace: Pace;
  /** Ends the search, which rejects with its reason. */
  readonly signal?: AbortSignal;
}

/** One signed-in use of an account: what front ends hold. */
export class AccountSession {
  readonly address: string;
  /** The key slot by which its owner came in. */
  readonly slot: string | undefined;
  /** Of the token by which they came in, if it was one. */
  readonly terms: TokenTerms | undefined;
  readonly #account: Account;
  readonly #mail: Mail;
  readonly #leave: () => void;
  readonly #stopLooking: () => void;
  readonly #onClose: (idleMs: number) => void;
  readonly #ended = new AbortController();
  #end: EngineError | undefined;
  /** The list of slots that this one was last looked for in. */
  #slots: readonly string[] = [];
  #closed = false;

  /** `onClose` gets how long, in milliseconds, it was not used when it was closed. */
  constructor({ address, slot, terms }: SignedInBy, account: Account, onClose: (idleMs: number) => void) {
    this.address = address;
    this.slot = slot;
    this.terms = terms;
    this.#account = account;
    this.#mail = account.mail.guarded(() => this.#check());
    this.#leave = account.enter();
    this.#onClose = onClose;
    this.#stopLooking = account.onApplied(() => this.#look());
    this.#look();
    void account.handOver(address);
  }

  /** Throws what ended the session. */
  #check(): void {
    if (this.terms && this.terms.expiresMs <= this.#account.now())
      this.#endBy(new EngineError("not-permitted", "your token has expired: sign in again"));
    if (this.#end) throw this.#end;
  }

  /** The account, as long as this session may use it. */
  get #open(): Account {
    this.#check();
    return this.#account;
  }
  get #contents(): Contents {
    return this.#open.contents;
  }

  /** Ends the session if the account is gone, or the password that it came in by is listed no more. */
  #look(): void {
    if (this.#end) return;
    const { ended, mail } = this.#account;
    const { names } = mail.state.slots;
    if (names === this.#slots && !ended) return;
    this.#slots = names;
    const isRevoked = this.slot !== undefined && !isStillListed(this.slot, names);
    if (!ended && !isRevoked) return;
    this.#endBy(ended ?? new EngineError("not-permitted", "your password was changed or revoked: sign in again"));
  }

  #endBy(error: EngineError): void {
    if (this.#end) return;
    this.#end = error;
    this.#ended.abort(error);
  }

  /** Aborted when the session may do nothing more, with the EngineError that says why: its password was changed or
   * revoked, the account has new keys, or was moved or deleted. All that is asked of it from then on is refused by that error. */
  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  /** The account's id, in hex. */
  get account(): string {
    return this.#account.prefix.slice(0, -1);
  }

  get way(): Way {
    const kind = /^slot\/([a-z]+)-/.exec(this.slot ?? "")?.[1];
    return kind === undefined ? "keys" : (WAYS[kind] ?? "password");
  }

  /** The account's tokens. Errors: `unavailable`. */
  async tokens(): Promise<readonly TokenEntry[]> {
    return readTokens(this.#open.slotAccess);
  }
  /** Makes a token, which only who came in by the password may. Errors: `not-permitted`, `invalid`, `conflict`. */
  async addToken(wanted: NewToken): Promise<{ readonly token: string; readonly entry: TokenEntry }> {
    const { slotAccess } = this.#open;
    if (this.way !== "password") throw new EngineError("not-permitted", "a token is made with the password alone");
    return addToken(slotAccess, this.address, wanted);
  }
  /** Ends a token: any by the password, and its own by a token. Errors: `not-permitted`, `not-found`, `conflict`. */
  async endToken(id: string): Promise<void> {
    const { slotAccess } = this.#open;
    if (this.way !== "password" && this.slot !== tokenSlotName(id))
      throw new EngineError("not-permitted", "a token ends no other");
    await endToken(slotAccess, id);
  }

  /** The account's state now: taken anew after each await. */
  get state(): ReadState {
    return this.#mail.state;
  }

  /** True if a part of the account is lost: {@link repair} mends it as far as the store has it. */
  get isPartial(): boolean {
    return this.#account.barred === "partial";
  }

  /** Why nothing of the account can be changed, in a sentence for its owner; undefined if it can. */
  get barred(): string | undefined {
    const { barred } = this.#account;
    return barred && BARRED[barred];
  }

  /** All that was there at the time `since` of the monotonic clock, by default all that is there now. */
  async refresh(since?: number): Promise<void> {
    return this.#open.refresh(since);
  }
  /** Notes that can't be opened, after another try. */
  async retryNotes(): Promise<readonly string[]> {
    return this.#open.retryNotes();
  }
  /** How many pages of lists' texts, and of ids, can't be read. */
  async countLostPages(): Promise<number> {
    const { texts, ids } = await lostDerived(this.#open.mail.state, this.#contents);
    return texts.size + ids.size;
  }
  /** `account/care/repair.ts`; `onDone` hears of each message. */
  async repair(onDone?: () => void): Promise<RepairReport> {
    return this.#open.repair(onDone);
  }
  onChange(listener: () => void): () => void {
    return this.#open.onChange(listener);
  }
  getMailbox(path: string): ReadMailbox {
    return this.#mail.getMailbox(path);
  }
  openView(mailbox: MailboxId, options: { readonly readOnly: boolean }): MailboxView {
    return openView(this.#mail, mailbox, options);
  }
  async create(path: string, specialUse?: SpecialUse): Promise<MailboxId> {
    return this.#mail.create(path, specialUse);
  }
  async delete(mailbox: MailboxId): Promise<void> {
    return this.#mail.delete(mailbox);
  }
  async rename(from: string, to: string): Promise<void> {
    return this.#mail.rename(from, to);
  }
  async subscribe(path: string, on: boolean): Promise<void> {
    return this.#mail.subscribe(path, on);
  }
  async prepare(source: AsyncIterable<Uint8Array>, arrival: Arrival): Promise<Prepared> {
    return this.#open.prepare(source, arrival);
  }
  async append(mailbox: MailboxId, prepared: Prepared): Promise<Appended> {
    return this.#open.append(mailbox, prepared);
  }
  async appendMany(mailbox: MailboxId, prepared: readonly Prepared[]): Promise<Appended> {
    return this.#open.appendMany(mailbox, prepared);
  }
  /** Puts prepared messages into their mailboxes, each into one or several, by one op: `MessageWriter.addMany`. */
  async addMany(additions: readonly Addition[]): Promise<readonly (AddedMessage | undefined)[]> {
    return this.#open.addMany(additions);
  }
  /** A prepared message takes the place of the one at `position`: RFC 8508 §3.1. Errors: `expunged`, `not-permitted`, as
   * {@link append}. */
  async replace(view: MailboxView, position: number, prepared: Prepared): Promise<Appended> {
    return this.#open.replace(view.targetOf(position), prepared, view.mailbox.path);
  }
  async readSummaries(messages: readonly Message[]): Promise<Summary[]> {
    return this.#contents.readSummaries(messages);
  }
  /** The same, all of the present format: what came with an older one is made of its body. Errors: `unavailable`. */
  async readFullSummaries(messages: readonly Message[]): Promise<Summary[]> {
    return this.#contents.readFullSummaries(messages);
  }
  async readHeaders(messages: readonly Message[]): Promise<HeaderBlock[]> {
    return this.#contents.readHeaders(messages);
  }
  async openBody(message: Message): Promise<Body> {
    return this.#contents.openBody(message);
  }
  /** The places in `list`, ascending, of those that fulfil the condition: `query/filter.ts`. Ends with the session. Errors:
   * `unavailable`, `corrupt`, `invalid`. */
  async search(list: Searched, condition: Condition, { pace, signal }: SearchOptions): Promise<Uint32Array> {
    return this.#open.lists.inMailboxes.search(list, condition, this.#tools(pace, signal));
  }
  /** The same, sorted: `query/sort.ts`. */
  async sort(
    list: Searched,
    condition: Condition,
    keys: readonly SortKey[],
    { pace, signal }: SearchOptions,
  ): Promise<Uint32Array> {
    return this.#open.lists.inMailboxes.sort(list, condition, keys, this.#tools(pace, signal));
  }
  /** The same, as threads: `query/threading/thread.ts`. */
  async thread(
    list: Searched,
    algorithm: ThreadAlgorithm,
    condition: Condition,
    { pace, signal }: SearchOptions,
  ): Promise<Threads> {
    return this.#open.lists.inMailboxes.thread(list, algorithm, condition, this.#tools(pace, signal));
  }
  /** Where a condition's texts stand in messages: `query/text.ts`. Ends with the session. Errors: `unavailable`, `corrupt`. */
  async readSnippets(
    messages: readonly Message[],
    condition: Condition,
    { pace, signal }: SearchOptions,
  ): Promise<Snippet[]> {
    return readSnippets(messages, condition, this.#tools(pace, signal));
  }
  /** One page of the account's emails: `query/query-emails.ts`. Ends with the session. Errors: `not-found` for the anchor,
   * `unavailable`, `corrupt`, `invalid`. */
  async queryEmails(query: EmailQuery, { pace, signal }: SearchOptions): Promise<EmailPage> {
    return queryEmails(query, this.#open.lists, this.#tools(pace, signal));
  }
  /** How the result of a query changed since a point: `query/live.ts`. Ends with the session. Errors: `unavailable`,
   * `corrupt`, `invalid`. */
  async queryChanges(
    query: Omit<EmailQuery, "page">,
    since: Point,
    { pace, signal, ...options }: SearchOptions & QueryChangesOptions,
  ): Promise<QueryChanges | "too-old" | "too-many"> {
    return queryChanges(query, since, this.#open.lists, this.#tools(pace, signal), options);
  }
  /** The emails with these ids, in order, and where they are shown; undefined for one that is not. Ends with the session. */
  async findEmails(
    ids: readonly Uint8Array[],
    { pace, signal }: SearchOptions,
  ): Promise<readonly (ShownEmail | undefined)[]> {
    const lists = await this.#open.lists.get(pace, this.#untilEnd(signal));
    return ids.map((id) => findShown(lists, id));
  }
  /** Counts of a mailbox's emails and threads. Errors: `not-found`. */
  async countEmails(mailbox: MailboxId, { pace, signal }: SearchOptions): Promise<EmailCounts> {
    const lists = await this.#open.lists.mailboxes(pace, this.#untilEnd(signal));
    return lists.countsOf(this.#mail.mailboxOf(mailbox).ordinal);
  }
  /** The same of every mailbox that is asked for: to be used before the next await. */
  async mailboxCounts({ pace, signal }: SearchOptions): Promise<(mailbox: ReadMailbox) => EmailCounts> {
    const lists = await this.#open.lists.mailboxes(pace, this.#untilEnd(signal));
    return ({ ordinal }) => lists.countsOf(ordinal);
  }
  /** Edits whole emails by one op: `account/edit-emails.ts`. Resolves with what became of each, in order: undefined if it was
   * done. Errors: `conflict` where `ifState` doesn't hold, `unavailable`, `invalid`. */
  async editEmails(
    edits: readonly EmailEdit[],
    options: SearchOptions,
    ifState?: StateClaim,
  ): Promise<readonly (EngineError | undefined)[]> {
    this.#check();
    return editEmails(this.#mail, () => this.lists(options), edits, ifState);
  }
  /** Mailboxes made, changed and destroyed by one op: `Mail.changeFolders`. */
  async changeFolders(author: FoldersAuthor): Promise<Outcome> {
    return this.#mail.changeFolders(author);
  }
  /** True if mail can be sent here. */
  get sends(): boolean {
    return this.#account.sends;
  }
  /** Milliseconds that a mail may be held before it is sent; 0 where none is sent. */
  get holdMsMax(): number {
    return this.#account.outbound?.limits.holdMsMax ?? 0;
  }
  /** Submits a mail: `account/outbound/submit.ts`. Throws `SubmitRefusal`; errors: `not-permitted`, `unavailable`,
   * `unknown-outcome`, `over-quota`. */
  async submit(request: SubmitRequest): Promise<Submission> {
    return this.#open.submissions.submit(this.address, request);
  }
  /** Submissions, the newest first. Errors: `unavailable`, `corrupt`. */
  async submissions(): Promise<Submission[]> {
    return this.#open.submissions.list();
  }
  /** One of them; undefined if there is none. Errors: `unavailable`, `corrupt`. */
  async findSubmission(id: string): Promise<Submission | undefined> {
    return this.#open.submissions.find(id);
  }
  /** The submission by this repeat key: a repeated request is answered with it. Errors: `unavailable`, `corrupt`. */
  async findRepeated(repeatKey: string): Promise<Submission | undefined> {
    return this.#open.submissions.findRepeated(this.address, repeatKey);
  }
  /** Takes one back. Resolves with whether it is; undefined if there is none. Errors: `unavailable`, `unknown-outcome`. */
  async cancelSubmission(id: string): Promise<boolean | undefined> {
    return this.#open.submissions.cancel(this.address, id);
  }
  /** Forgets them, whatever becomes of them. Errors: `unavailable`, `unknown-outcome`. */
  async forgetSubmissions(ids: readonly string[]): Promise<void> {
    return this.#open.submissions.forget(ids);
  }
  /** True for an address that the owner may send from. */
  async isOwnAddress(address: string): Promise<boolean> {
    return (await this.#open.outbound?.isOwn(this.address, address)) ?? false;
  }
  /** The account's use and its limits. */
  get quota(): QuotaUsage {
    return this.#open.quota;
  }
  /** True if owners can give mandates here. */
  get hasMandates(): boolean {
    return this.#account.hasMandates;
  }
  /** The vacation response. Errors: `unavailable`, `corrupt`. */
  async vacation(): Promise<Vacation> {
    return this.#open.mandates.vacation();
  }
  /** Says it anew: when it resolves the server answers so, or not at all. Errors: `invalid`, `too-large`, `not-permitted` where
   * nothing is answered, `conflict` where `ifState` doesn't hold, `unavailable`, `unknown-outcome`. */
  async setVacation(vacation: Vacation, ifState?: StateClaim): Promise<void> {
    return this.#open.mandates.setVacation(this.address, vacation, ifState);
  }
  /** The key for push subscriptions of devices: a P-256 public key in base64url; undefined where no device is woken. */
  get pushKey(): string | undefined {
    return this.#account.pushKey;
  }
  /** Devices that are woken and came in as this session did. Errors: `unavailable`. */
  async pushSubscriptions(): Promise<readonly KnownSubscription[]> {
    return this.#open.pushSubscriptions.listOf(this);
  }
  /** Throws `PushRefusal`; errors: `over-quota`, `not-permitted` where nobody is woken, `unavailable`, `unknown-outcome`. */
  async createPushSubscription(asked: NewPushSubscription): Promise<KnownSubscription> {
    return this.#open.pushSubscriptions.create(this, asked);
  }
  /** Resolves with what it is then; undefined if there is none. Throws and errors: as {@link createPushSubscription}. */
  async updatePushSubscription(id: string, change: PushSubscriptionChange): Promise<KnownSubscription | undefined> {
    return this.#open.pushSubscriptions.update(this, id, change);
  }
  /** Resolves with whether there was one. Errors: `unavailable`, `unknown-outcome`. */
  async endPushSubscription(id: string): Promise<boolean> {
    return this.#open.pushSubscriptions.end(id, this);
  }
  /** All that the server may do for it while nobody is signed in. Errors: `unavailable`, `corrupt`. */
  async mandates(): Promise<readonly Mandate[]> {
    const { mandates, submissions, pushSubscriptions } = this.#open;
    const waiting = (await submissions.list()).filter(({ undoStatus }) => undoStatus === "pending");
    const mails = waiting.map(({ id, envelope, madeMs, sendAtMs }): Mandate => {
      const about = envelope.recipients.map(({ address }) => address).join(", ");
      return { id, kind: "mail", about, madeMs, untilMs: sendAtMs };
    });
    const devices = (await pushSubscriptions.list()).map(
      ({ id, client, madeMs, expiresMs }): Mandate => ({ id, kind: "push", about: client, madeMs, untilMs: expiresMs }),
    );
    return [...(await mandates.list()), ...devices, ...mails];
  }
  /** Ends one of them: what the server knew by it is gone when this resolves. Errors: `not-found`; `conflict` for a mail that goes
   * just now; `unavailable`, `unknown-outcome`. */
  async endMandate(id: string): Promise<void> {
    const { mandates, submissions, pushSubscriptions } = this.#open;
    if (await mandates.end(this.address, id)) return;
    if (await pushSubscriptions.end(id)) return;
    const waiting = await submissions.find(id);
    if (waiting?.undoStatus !== "pending") throw new EngineError("not-found", "there is no such mandate");
    if (!(await submissions.cancel(this.address, id)))
      throw new EngineError("conflict", "the mail can't be taken back any more");
  }
  /** Registers of the account by type and id: all or none are written. Errors: `too-large`, `invalid`, `over-quota`. */
  async writeRecords(records: readonly NewRecord[]): Promise<void> {
    return this.#mail.writeRecords(records);
  }
  /** A record's value; undefined if there is none. Errors: `unavailable`, `corrupt`. */
  async readRecord(type: string, id: string): Promise<Uint8Array | undefined> {
    const record = this.state.records.find(type, id);
    return record?.value && this.#contents.readValue(record);
  }
  /** States of the account's phones. */
  get devices(): DeviceStates {
    return this.#open.devices;
  }
  /** Stores octets that nothing names yet, for some hours: `account/uploads.ts`. Errors: `over-quota`, `unavailable`. */
  async upload(source: AsyncIterable<Uint8Array>): Promise<{ readonly id: Uint8Array; readonly size: number }> {
    return this.#open.uploads.write(source);
  }
  /** The octets of an email, or of an upload, by its 16 bytes; undefined if there is none. Errors: `unavailable`, `corrupt`. */
  async openBlob(id: Uint8Array): Promise<Body | undefined> {
    const { contents, uploads } = this.#open;
    const { state } = this;
    const email = state.findEmail(id);
    if (email === undefined) return uploads.open(id);
    return state.isHeld(email) ? contents.openEmail(state, email) : undefined;
  }
  /** The memberships of each email, and the emails of each thread: to be used before the next await. */
  async lists({ pace, signal }: SearchOptions): Promise<Lists> {
    return this.#open.lists.get(pace, this.#untilEnd(signal));
  }
  /** Changes of emails since a point, up to `max` items: `query/changes.ts`. Undefined if the point lies too far back. */
  emailChanges(since: Point, max?: number): Changes | undefined {
    return emailChanges(this.#open.mail.state, since, max);
  }
  async threadChanges(since: Point, options: SearchOptions & { readonly max?: number }): Promise<Changes | undefined> {
    return threadChanges(await this.lists(options), since, options.max);
  }
  async mailboxListChanges(
    since: Point,
    options: SearchOptions & { readonly max?: number },
  ): Promise<MailboxListChanges | undefined> {
    return mailboxListChanges(await this.lists(options), since, options.max);
  }
  #tools(pace: Pace, signal: AbortSignal | undefined): QueryTools {
    const { contents, scans, keptHeaders: kept } = this.#open;
    return { contents, scans, kept, pace, signal: this.#untilEnd(signal) };
  }
  #untilEnd(signal: AbortSignal | undefined): AbortSignal {
    return signal ? AbortSignal.any([signal, this.ended]) : this.ended;
  }
  /** The uid that came next in each mailbox when this process opened the account; mailboxes made since are none of them. One
   * map for all sessions, as long as the account stays open. */
  get uidNextAtOpening(): ReadonlyMap<MailboxId, Uid> {
    return this.#open.uidNextAtOpening;
  }

  /** Keywords on messages of `mailbox`. */
  keywordsIn(mailbox: ReadMailbox): readonly string[] {
    const { keywords } = this.state;
    return [...new Set([...mailbox.keywordSets.keys()].flatMap((set) => keywords.get(set)))].sort();
  }

  /** Ends this use, the last of which was so many milliseconds ago; the account stays open for a while. Again is no error. */
  close(idleMs = 0): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#leave();
    this.#stopLooking();
    this.#onClose(idleMs);
  }
}
