import type { HeaderBlock } from "@restante/mime";
import type { Body, Contents } from "../mail/contents.ts";
import type { Appended, Mail } from "../mail/mail.ts";
import type { Mailbox } from "../mail/mailbox.ts";
import { type MailboxView, type Message, openView } from "../mail/mailbox-view.ts";
import type { MailState } from "../mail/state.ts";
import type { Summary } from "../mail/summary.ts";
import type { Account } from "./account.ts";
import type { Arrival, Prepared } from "./message-writer.ts";

/** One signed-in use of an account: what front ends hold. */
export class AccountSession {
  readonly address: string;
  readonly #account: Account;
  readonly #onClose: () => void;
  #closed = false;

  constructor(address: string, account: Account, onClose: () => void) {
    this.address = address;
    this.#account = account;
    this.#onClose = onClose;
  }

  get #mail(): Mail {
    return this.#account.mail;
  }
  get #contents(): Contents {
    return this.#account.contents;
  }

  /** The account's state now: taken anew after each await. */
  get state(): MailState {
    return this.#mail.state;
  }

  /** The store shows an older state than was seen here before. */
  get rolledBack(): boolean {
    return this.#account.rolledBack;
  }

  refresh(): Promise<void> {
    return this.#account.refresh();
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
    return this.#account.prepare(source, arrival);
  }
  append(path: string, prepared: Prepared): Promise<Appended> {
    return this.#account.append(path, prepared);
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
    this.#onClose();
  }
}
