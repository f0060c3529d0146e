import {
  type AccountSession,
  asUid,
  type MailboxView,
  type Message,
  sequenceNumberAt,
  type Uid,
  type UidSpan,
  type ViewChanges,
} from "@restante/engine";
import { isTurnOver, takeTurn } from "@restante/host";
import { AppendQueue } from "./append-queue.ts";
import { SearchContexts } from "./contexts.ts";
import type { Incoming } from "./incoming.ts";
import type { Output } from "./output.ts";
import { claimRecent } from "./recent.ts";
import type { Watch } from "./watch.ts";
import type { CommandReader } from "./wire/command-reader.ts";
import type { FetchItem } from "./wire/fetch-items.ts";
import { formatAstring, formatUtf8 } from "./wire/format.ts";
import { encodeMailboxName } from "./wire/mailbox-name.ts";
import { formatSequenceSet } from "./wire/sequence-set.ts";

const SYSTEM_FLAGS = ["\\Answered", "\\Flagged", "\\Deleted", "\\Seen", "\\Draft"];

/** Answers that are made before it is looked whether others should have their turn. */
const ANSWERS_AT_ONCE = 256;

/** RFC 9051 §3. */
export type SessionState = "not-authenticated" | "authenticated" | "selected" | "logout";

const NOTHING_SAVED = new Uint32Array(0);

/** Extensions that ENABLE can switch on: RFC 9051 §6.3.1. */
export const EXTENSIONS = ["IMAP4rev2", "UTF8=ACCEPT", "CONDSTORE", "QRESYNC", "UIDONLY"] as const;
export type Extension = (typeof EXTENSIONS)[number];

/** The part of a connection that commands may use. */
export interface Link {
  readonly secure: boolean;
  /** Plain-text login is taken here: over TLS, or on loopback. */
  readonly loginAllowed: boolean;
  readonly startTlsOffered: boolean;
  /** Key of the client's address for throttling. */
  readonly address: string;
  readonly reader: CommandReader;
  /** When the newest bytes of the client came, by the monotonic clock. */
  readonly arrivedAt: number;
  /** Sends a continuation request and waits for the client's line; undefined when it is gone. */
  ask(prompt: string): Promise<Uint8Array | undefined>;
  signIn(user: string, password: string): Promise<AccountSession>;
  /** The connection is a stranger's again, and its session has no account. */
  signOut(): void;
  /** Runs until the client sends a line, calling `onWake` when something may have changed. */
  idle(onWake: () => Promise<void>): Promise<Uint8Array | undefined>;
  /** Switches on or off that events are told between commands too. */
  watch(on: boolean): void;
  /** Where JMAP shows the same mail, if it does. */
  readonly jmapUrl: string | undefined;
  /** Messages that one command may work on: RFC 9738. Undefined for any number. */
  readonly messageLimit: number | undefined;
  readonly isCompressed: boolean;
  /** From now on what is said is compressed, both ways. */
  compress(): void;
  /** From now on nothing is compressed any more. */
  decompress(): void;
  /** Goes over to TLS. */
  secureNow(): Promise<void>;
  capabilities(): string;
  /** True for a capability that is announced to this client. */
  offers(capability: string): boolean;
  /** Sends the output without waiting for a slow reader. */
  flushSoon(): void;
  /** Milliseconds since 1970. */
  nowMs(): number;
}

/** The selected mailbox: its view, and which of its uids are \Recent for this session. */
export interface Selected {
  readonly view: MailboxView;
  /** Uids from `from` up to, not including, `to`; another session may have what lies between two ranges. */
  readonly recent: { readonly from: Uid; readonly to: Uid }[];
  /** Keywords that the client was told of. */
  readonly keywords: Set<string>;
  /** Uids that `$` stands for, ascending: the first and the last of each range. RFC 5182 §2.1. */
  saved: Uint32Array;
  readonly contexts: SearchContexts;
}

/** One client's state: RFC 9051 §3. Commands read and change it; only the connection turns errors into replies. */
export class Session {
  readonly link: Link;
  readonly output: Output;
  /** Extensions that ENABLE has switched on, or a command that does so by the way (SELECT with CONDSTORE). */
  readonly enabled: Set<Extension> = new Set();
  account: AccountSession | undefined;
  selected: Selected | undefined;
  /** The literal that the running command is to read. */
  message: Incoming | undefined;
  /** Messages that APPEND brought, on their way into the store. */
  readonly appends: AppendQueue = new AppendQueue((mailbox, prepared) => this.mail.appendMany(mailbox, prepared));
  loggedOut = false;
  /** Events that the client asked for by NOTIFY: RFC 5465. */
  watch: Watch | undefined;
  /** An act to do after the completion was sent: the handshake of STARTTLS. */
  afterwards: (() => Promise<void>) | undefined;

  constructor(link: Link, output: Output) {
    this.link = link;
    this.output = output;
  }

  get state(): SessionState {
    if (this.loggedOut) return "logout";
    if (!this.account) return "not-authenticated";
    return this.selected ? "selected" : "authenticated";
  }

  /** The signed-in account; the command table sees to it that there is one. */
  get mail(): AccountSession {
    if (!this.account) throw new Error("command ran without an account");
    return this.account;
  }

  /** Brings the account up to date with the store as it was when the command came: changes and deliveries by other processes
   * too. One look serves all commands that came together. */
  refresh(): Promise<void> {
    return this.mail.refresh(this.link.arrivedAt);
  }

  get view(): MailboxView {
    if (!this.selected) throw new Error("command ran without a mailbox");
    return this.selected.view;
  }

  /** Nothing of the signed-in user stays: RFC 8437 §4.1. */
  signOut(): void {
    this.account = undefined;
    this.selected = undefined;
    this.watch = undefined;
    this.enabled.clear();
    this.link.signOut();
  }

  /** Messages that the last search saved: `$` of RFC 9051 §6.4.4.1. */
  get savedUids(): readonly UidSpan[] {
    const saved = this.selected?.saved ?? NOTHING_SAVED;
    return Array.from({ length: saved.length / 2 }, (_, at) => ({
      first: asUid(saved[at * 2]!),
      last: asUid(saved[at * 2 + 1]!),
    }));
  }

  save(uids: readonly UidSpan[]): void {
    if (this.selected) this.selected.saved = Uint32Array.from(uids.flatMap(({ first, last }) => [first, last]));
  }

  /** IMAP4rev2, RFC 9051: no RECENT, ESEARCH's answers, names in UTF-8. */
  get isRev2(): boolean {
    return this.enabled.has("IMAP4rev2");
  }

  /** Text in quotes may be UTF-8, and names of mailboxes are: RFC 9051 §5.1, RFC 6855 §3. */
  get isUtf8(): boolean {
    return this.isRev2 || this.enabled.has("UTF8=ACCEPT");
  }

  get tellsModSeqs(): boolean {
    return this.enabled.has("CONDSTORE");
  }

  /** The first command that asks for modseqs turns them on: RFC 7162 §3.1. */
  enableCondstore(): void {
    if (this.tellsModSeqs) return;
    this.enabled.add("CONDSTORE");
    if (!this.selected) return;
    this.untagged(`OK [${this.highestModSeq()}] Highest`);
  }

  /** HIGHESTMODSEQ, as far as the client was told what happened. */
  highestModSeq(): string {
    return `HIGHESTMODSEQ ${this.view.highestModSeq}`;
  }

  /** A mailbox's name as this session writes it. */
  formatName(path: string): string {
    return this.isUtf8 ? formatUtf8(path) : formatAstring(encodeMailboxName(path));
  }

  /** Bound, so that commands can name it among what they use. */
  readonly untagged = (text: string): void => {
    this.output.text(`* ${text}\r\n`);
  };

  /** Answers for each of many things: others have their turn in between, and a slow client is waited for. */
  async answerEach<T>(things: readonly T[], answer: (thing: T) => string): Promise<void> {
    for (let at = 0; at < things.length; at += ANSWERS_AT_ONCE) {
      for (const thing of things.slice(at, at + ANSWERS_AT_ONCE)) this.untagged(answer(thing));
      if (this.output.isFull) await this.output.flush();
      await takeTurn();
    }
  }

  /** The same where finding an answer is work, and there may be none: undefined then. */
  async answerSome(answers: Iterable<string | undefined>): Promise<void> {
    for (const answer of answers) {
      if (answer !== undefined) this.untagged(answer);
      if (this.output.isFull) await this.output.flush();
      if (isTurnOver()) await takeTurn();
    }
  }

  /** VANISHED takes EXPUNGE's place: RFC 7162 §3.2.10, RFC 9586 §3.3. */
  get tellsVanished(): boolean {
    return this.enabled.has("QRESYNC") || this.isUidOnly;
  }

  /** Messages are named by their uids alone: RFC 9586. */
  get isUidOnly(): boolean {
    return this.enabled.has("UIDONLY");
  }

  /** Tells what changed in the selected mailbox: RFC 9051 §5.2. */
  async syncView(options: { readonly expunges: boolean; readonly uid: boolean }): Promise<void> {
    const { selected } = this;
    if (!selected) return;
    const { view } = selected;
    const changes = view.sync(options);
    if (changes.invalidated) throw new MailboxInvalidated();
    await this.telling(() => this.#tell(changes, selected, options.uid));
  }

  /** While what was found of the selected mailbox is told others may change it: nothing above what was found is told. */
  async telling(tell: () => Promise<void>): Promise<void> {
    const { view } = this;
    view.isTelling = true;
    try {
      await tell();
    } finally {
      view.isTelling = false;
    }
  }

  async #tell(changes: ViewChanges, selected: Selected, uid: boolean): Promise<void> {
    const { view, contexts } = selected;
    await this.answerSome(contexts.expunged(this, changes.expungedUids));
    if (!this.tellsVanished) await this.answerEach(changes.expunged, (number) => `${number} EXPUNGE`);
    else if (changes.expungedUids.length > 0) this.untagged(`VANISHED ${formatSequenceSet(changes.expungedUids)}`);
    if (changes.added > 0 || changes.flagged.length > 0) this.tellKeywords();
    if (changes.added > 0) {
      this.#claimRecent(selected);
      this.untagged(`${view.length} EXISTS`);
      this.tellRecent();
      if (this.watch) await this.tellNew(view.length - changes.added, this.watch.newItems);
    }
    await this.answerEach(changes.flagged, (position) => this.flagsAnswer(position, uid));
    const came = Array.from({ length: changes.added }, (_, at) => view.length - changes.added + at);
    for await (const text of contexts.changed(this, [...changes.flagged, ...came])) this.untagged(text);
  }

  /** Answers for messages that came into the selected mailbox, with the items of NOTIFY: RFC 5465 §5.2. Set by the file of
   * FETCH. */
  tellNew: (from: number, items: readonly FetchItem[]) => Promise<void> = async () => undefined;

  /** Tells the events of NOTIFY since the last time. */
  async tellNews(): Promise<void> {
    const { watch } = this;
    if (!watch) return;
    if (this.selected && watch.selected !== "none")
      await this.syncView({ expunges: watch.selected === "all", uid: true });
    await watch.tell();
  }

  select(view: MailboxView): void {
    const keywords = new Set(this.mail.keywordsIn(view.mailbox));
    this.selected = { view, recent: [], keywords, saved: NOTHING_SAVED, contexts: new SearchContexts() };
    this.#claimRecent(this.selected);
  }

  /** FLAGS: RFC 9051 §7.3.5. */
  flagsList(): string {
    return [...SYSTEM_FLAGS, ...(this.selected?.keywords ?? [])].join(" ");
  }

  /** PERMANENTFLAGS: RFC 9051 §7.1. A client may make new keywords. */
  tellPermanentFlags(): void {
    const flags = this.view.readOnly ? "" : `${this.flagsList()} \\*`;
    this.untagged(`OK [PERMANENTFLAGS (${flags})] Flags that are kept`);
  }

  /** Before a message is shown with a keyword that is new in the mailbox the client is told that there is such a one. */
  tellKeywords(): void {
    const { selected } = this;
    const mailbox = selected && this.mail.state.findMailbox(selected.view.id);
    if (!mailbox) return;
    const before = selected.keywords.size;
    for (const keyword of this.mail.keywordsIn(mailbox)) selected.keywords.add(keyword);
    if (selected.keywords.size === before) return;
    this.untagged(`FLAGS (${this.flagsList()})`);
    this.tellPermanentFlags();
  }

  /** RFC 3501 §7.3.2. */
  tellRecent(): void {
    if (!this.isRev2) this.untagged(`${this.recentCount()} RECENT`);
  }

  #claimRecent({ view, recent }: Selected): void {
    if (this.isRev2) return;
    const from = claimRecent(this.mail, view.mailbox, view.readOnly);
    const to = view.mailbox.uidNext;
    // A session that only reads claims nothing: what it is shown stays recent for others, and for itself.
    if (view.readOnly) recent.length = 0;
    if (from < to) recent.push({ from, to });
  }

  isRecent(uid: Uid): boolean {
    return this.selected?.recent.some(({ from, to }) => uid >= from && uid < to) ?? false;
  }

  recentCount(): number {
    const { selected } = this;
    if (!selected) return 0;
    const { view, recent } = selected;
    return recent.reduce((sum, { from, to }) => sum + view.lowerBound(to) - view.lowerBound(from), 0);
  }

  /** FETCH's answer to a change of flags: RFC 9051 §7.5.2; with MODSEQ, and under QRESYNC with UID: RFC 7162 §3.2.4. */
  flagsAnswer(position: number, uid: boolean): string {
    const message = this.view.message(position);
    return this.#answerOf(message, [`FLAGS ${this.flagsOf(message)}`, ...this.#namesOf(message, uid)]);
  }

  /** The FETCH answer to a STORE with .SILENT: the modseq without flags. RFC 7162 §3.1.3. */
  modSeqAnswer(position: number, uid: boolean): string {
    const message = this.view.message(position);
    return this.#answerOf(message, this.#namesOf(message, uid));
  }

  #namesOf(message: Message, uid: boolean): string[] {
    const { view } = this;
    const names: string[] = [];
    if ((uid || this.enabled.has("QRESYNC")) && !this.isUidOnly) names.push(`UID ${view.uidAt(message.position)}`);
    if (this.tellsModSeqs) names.push(`MODSEQ (${view.modSeqOf(message)})`);
    return names;
  }

  #answerOf(message: Message, items: readonly string[]): string {
    return `${this.fetchHead()(message)}(${items.join(" ")})`;
  }

  /** How answers to FETCH begin, with the message's number: RFC 9051 §7.5.2, RFC 9586 §3.2. */
  fetchHead(): (message: Message) => string {
    const { view } = this;
    if (this.isUidOnly) return ({ position }) => `${view.uidAt(position)} UIDFETCH `;
    return ({ position }) => `${sequenceNumberAt(position)} FETCH `;
  }

  /** `(\Seen …)`: a message's flags and keywords. */
  flagsOf({ position, state, row }: Message): string {
    const { selected } = this;
    const isRecent = selected !== undefined && selected.recent.length > 0 && this.isRecent(this.view.uidAt(position));
    const number = state.flagsNumber(row) * 2 + (isRecent ? 1 : 0);
    let texts = flagTexts.get(state);
    if (!texts) {
      texts = new Map();
      flagTexts.set(state, texts);
    }
    let text = texts.get(number);
    if (text === undefined) {
      const names = state.flagNames(row);
      text = `(${(isRecent ? ["\\Recent", ...names] : names).join(" ")})`;
      texts.set(number, text);
    }
    return text;
  }
}

/** Text of flags by their number, for each state. An account has few combinations of flags. */
const flagTexts = new WeakMap<Message["state"], Map<number, string>>();

/** The selected mailbox was deleted, or its uids mean other messages now: the client must begin anew. */
export class MailboxInvalidated extends Error {
  constructor() {
    super("mailbox is no more what it was");
    this.name = "MailboxInvalidated";
  }
}
