import type { HeaderBlock } from "@restante/mime";
import { EngineError } from "../errors.ts";
import type { Body, Contents } from "../mail/contents/contents.ts";
import type { Summary } from "../mail/contents/summary.ts";
import type { Appended, Mail } from "../mail/mail.ts";
import { type MailboxView, type Message, openView } from "../mail/mailbox-view.ts";
import type { Mailbox } from "../mail/state/mailbox.ts";
import type { MailState } from "../mail/state/state.ts";
import type { Account } from "./account.ts";
import type { RepairReport } from "./care/repair.ts";
import type { Arrival, Prepared } from "./delivery/message-writer.ts";
import { isStillListed } from "./keys/slots.ts";

/** One signed-in use of an account: what front ends hold. */
export class AccountSession {
  readonly address: string;
  readonly #slot: string | undefined;
  readonly #account: Account;
  readonly #leave: () => void;
  readonly #onClose: () => void;
  #closed = false;

  /** `slot` is the key slot by which its owner came in; none if they brought the keys themselves. */
  constructor(
    { address, slot }: { readonly address: string; readonly slot?: string },
    account: Account,
    onClose: () => void,
  ) {
    this.address = address;
    this.#slot = slot;
    this.#account = account;
    this.#leave = account.enter();
    this.#onClose = onClose;
  }

  /** The account, as long as this session's password is valid. */
  get #open(): Account {
    if (this.isRevoked)
      throw new EngineError("not-permitted", "the password that you signed in with is no longer valid");
    return this.#account;
  }
  get #mail(): Mail {
    return this.#open.mail;
  }
  get #contents(): Contents {
    return this.#open.contents;
  }

  /** The password that this session came in by was changed or revoked: nothing more is answered. */
  get isRevoked(): boolean {
    return this.#slot !== undefined && !isStillListed(this.#slot, this.#account.mail.state.slots.names);
  }

  /** The account's state now: taken anew after each await. */
  get state(): MailState {
    return this.#mail.state;
  }

  /** The store shows an older state than was seen here before. */
  get rolledBack(): boolean {
    return this.#account.rolledBack;
  }

  /** All that was there at the time `since` of the monotonic clock, by default all that is there now. */
  refresh(since?: number): Promise<void> {
    return this.#open.refresh(since);
  }
  /** Notes that can't be opened, after another try. */
  retryNotes(): Promise<readonly string[]> {
    return this.#open.retryNotes();
  }
  repair(): Promise<RepairReport> {
    return this.#open.repair();
  }
  onChange(listener: () => void): () => void {
    return this.#account.onChange(listener);
  }
  getMailbox(path: string): Mailbox {
    return this.#mail.getMailbox(path);
  }
  openView(path: string, options: { readonly readOnly: boolean }): MailboxView {
    return openView(this.#mail, path, options);
  }
  async create(path: string): Promise<void> {
    await this.#mail.create(path);
  }
  delete(path: string): Promise<void> {
    return this.#mail.delete(path);
  }
  rename(from: string, to: string): Promise<void> {
    return this.#mail.rename(from, to);
  }
  subscribe(path: string, on: boolean): Promise<void> {
    return this.#mail.subscribe(path, on);
  }
  prepare(source: AsyncIterable<Uint8Array>, arrival: Arrival): Promise<Prepared> {
    return this.#open.prepare(source, arrival);
  }
  append(path: string, prepared: Prepared): Promise<Appended> {
    return this.#open.append(path, prepared);
  }
  appendMany(path: string, prepared: readonly Prepared[]): Promise<Appended> {
    return this.#account.appendMany(path, prepared);
  }
  readSummaries(messages: readonly Message[]): Promise<Summary[]> {
    return this.#contents.readSummaries(messages);
  }
  readHeaders(messages: readonly Message[]): Promise<HeaderBlock[]> {
    return this.#contents.readHeaders(messages);
  }
  openBody(message: Message): Promise<Body> {
    return this.#contents.openBody(message);
  }
  claimRecent(mailbox: Mailbox, readOnly: boolean): number {
    return this.#account.claimRecent(mailbox, readOnly);
  }
  recentIn(mailbox: Mailbox): number {
    return this.#account.recentIn(mailbox);
  }

  /** Keywords on messages of `mailbox`. */
  keywordsIn(mailbox: Mailbox): readonly string[] {
    const { keywords } = this.state;
    return [...new Set([...mailbox.keywordSets.keys()].flatMap((set) => keywords.get(set)))].sort();
  }

  /** Ends this use; the account stays open for a while. Again is no error. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#leave();
    this.#onClose();
  }
}
