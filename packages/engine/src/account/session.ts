import type { HeaderBlock } from "@restante/mime";
import { BARRED } from "../bay/linear-bay.ts";
import type { TokenTerms } from "../crypto/index.ts";
import { EngineError } from "../errors.ts";
import type { Body, Contents } from "../mail/contents/contents.ts";
import type { Summary } from "../mail/contents/summary.ts";
import type { Appended, Mail } from "../mail/mail.ts";
import { type MailboxView, type Message, openView } from "../mail/mailbox-view.ts";
import type { MailboxId } from "../mail/ops/names.ts";
import type { SpecialUse } from "../mail/ops/op.ts";
import type { Mailbox } from "../mail/state/mailbox.ts";
import type { MailState } from "../mail/state/state.ts";
import type { Condition } from "../query/condition.ts";
import { type Searched, search } from "../query/filter.ts";
import type { EmailCounts } from "../query/mailbox-lists.ts";
import type { Pace } from "../query/pace.ts";
import { type EmailPage, type EmailQuery, queryEmails } from "../query/query-emails.ts";
import type { Account } from "./account.ts";
import type { RepairReport } from "./care/repair.ts";
import type { Arrival, Prepared } from "./delivery/message-writer.ts";
import { isStillListed } from "./keys/slots.ts";
import { addToken, endToken, type NewToken, readTokens, type TokenEntry, tokenSlotName } from "./keys/tokens.ts";

/** By the kind of the slot. */
const WAYS: Readonly<Record<string, Way>> = { app: "app-password", recovery: "recovery-code", token: "token" };

/** By what an owner came in: their password, what stands in for it, or their keys themselves. */
export type Way = "password" | "app-password" | "recovery-code" | "token" | "keys";

export interface SignedInBy {
  readonly address: string;
  /** The key slot; none if they brought the keys themselves. */
  readonly slot?: string;
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
  get state(): MailState {
    return this.#mail.state;
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
  async repair(): Promise<RepairReport> {
    return this.#open.repair();
  }
  onChange(listener: () => void): () => void {
    return this.#open.onChange(listener);
  }
  getMailbox(path: string): Mailbox {
    return this.#mail.getMailbox(path);
  }
  openView(path: string, options: { readonly readOnly: boolean }): MailboxView {
    return openView(this.#mail, path, options);
  }
  async create(path: string, specialUse?: SpecialUse): Promise<MailboxId> {
    return this.#mail.create(path, specialUse);
  }
  async delete(path: string): Promise<void> {
    return this.#mail.delete(path);
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
  async append(path: string, prepared: Prepared): Promise<Appended> {
    return this.#open.append(path, prepared);
  }
  async appendMany(path: string, prepared: readonly Prepared[]): Promise<Appended> {
    return this.#open.appendMany(path, prepared);
  }
  /** A prepared message takes the place of the one at `position`: RFC 8508 §3.1. Errors: `expunged`, `not-permitted`, as
   * {@link append}. */
  async replace(view: MailboxView, position: number, prepared: Prepared): Promise<Appended> {
    return this.#open.replace(view.targetOf(position), prepared, view.mailbox.path);
  }
  async readSummaries(messages: readonly Message[]): Promise<Summary[]> {
    return this.#contents.readSummaries(messages);
  }
  async readHeaders(messages: readonly Message[]): Promise<HeaderBlock[]> {
    return this.#contents.readHeaders(messages);
  }
  async openBody(message: Message): Promise<Body> {
    return this.#contents.openBody(message);
  }
  /** The places in `list`, ascending, of those that fulfil the condition: `query/filter.ts`. Ends with the session. Errors:
   * `unavailable`, `corrupt`, `invalid`. */
  async search(list: Searched, condition: Condition, { pace, signal }: SearchOptions): Promise<readonly number[]> {
    const { contents, scans } = this.#open;
    return search(list, condition, { contents, scans, pace, signal: this.#untilEnd(signal) });
  }
  /** One page of the account's emails: `query/query-emails.ts`. Ends with the session. Errors: `not-found` for the anchor,
   * `unavailable`, `corrupt`, `invalid`. */
  async queryEmails(query: EmailQuery, { pace, signal }: SearchOptions): Promise<EmailPage> {
    const { contents, scans, lists } = this.#open;
    return queryEmails(query, lists, { contents, scans, pace, signal: this.#untilEnd(signal) });
  }
  /** What a mailbox has of emails and threads. Errors: `not-found`. */
  async countEmails(path: string, { pace, signal }: SearchOptions): Promise<EmailCounts> {
    const lists = await this.#open.lists.mailboxes(pace, this.#untilEnd(signal));
    return lists.countsOf(this.getMailbox(path).ordinal);
  }
  #untilEnd(signal: AbortSignal | undefined): AbortSignal {
    return signal ? AbortSignal.any([signal, this.ended]) : this.ended;
  }
  claimRecent(mailbox: Mailbox, readOnly: boolean): number {
    return this.#open.claimRecent(mailbox, readOnly);
  }
  recentIn(mailbox: Mailbox): number {
    return this.#open.recentIn(mailbox);
  }

  /** Keywords on messages of `mailbox`. */
  keywordsIn(mailbox: Mailbox): readonly string[] {
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
