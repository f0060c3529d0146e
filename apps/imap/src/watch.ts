import type { MailboxId, ModSeq, ReadMailbox, ReadState, Uid } from "@restante/engine";
import { takeTurn } from "@restante/host";
import { fitting } from "./mailbox-filter.ts";
import { changedEntries } from "./metadata.ts";
import type { Session } from "./session.ts";
import { formatStatus, type StatusItem } from "./status-answer.ts";
import type { FetchItem } from "./wire/fetch-items.ts";
import { type EventName, type Interest, MESSAGE_EVENTS } from "./wire/notify-events.ts";

/** A mailbox as it was last told. */
interface Told {
  readonly path: string;
  readonly messages: number;
  readonly uidNext: Uid;
  readonly uidValidity: number;
  readonly highestModSeq: ModSeq;
}

/** An account as of a modseq. Clients that were told the same hold the same one: it costs each of them nothing. */
interface Snapshot {
  readonly modSeq: ModSeq;
  readonly mailboxes: ReadonlyMap<MailboxId, Told>;
  readonly subscriptions: ReadonlySet<string>;
}

/** The newest of each state. */
const snapshots = new WeakMap<ReadState, Snapshot>();

function snapshotOf(state: ReadState): Snapshot {
  const before = snapshots.get(state);
  if (before?.modSeq === state.modSeq) return before;
  const mailboxes = new Map<MailboxId, Told>();
  for (const mailbox of state.liveMailboxes()) {
    const [known, told] = [before?.mailboxes.get(mailbox.id), toldOf(mailbox)];
    mailboxes.set(mailbox.id, known && isSame(known, told) ? known : told);
  }
  const snapshot = { modSeq: state.modSeq, mailboxes, subscriptions: new Set(state.subscriptions) };
  snapshots.set(state, snapshot);
  return snapshot;
}

/** Events that a client asked for by NOTIFY: RFC 5465. Nothing is queued. The state of each mailbox as it was last told is
 * compared with the present one. So a slow reader is told less often and not later, and there is never too much to tell. */
export class Watch {
  readonly #session: Session;
  readonly #interests: readonly Interest[];
  /** The filter of each interest, by its index: true for a mailbox that fits. */
  readonly #fits: readonly ((path: string, isSubscribed: boolean) => boolean)[];
  #told: Snapshot;

  constructor(session: Session, interests: readonly Interest[]) {
    this.#session = session;
    this.#interests = interests;
    this.#fits = interests.map(({ filter }) => fitting(filter, session.isUtf8));
    this.#told = snapshotOf(session.mail.state);
  }

  /** Events of the selected mailbox: not told between commands (`none`), told without expunges (`delayed`), or with them
   * (`all`). */
  get selected(): "none" | "delayed" | "all" {
    const own = this.#ofSelected();
    if (!own || own.events.size === 0) return "none";
    return own.filter.kind === "selected" ? "all" : "delayed";
  }

  /** FETCH items for a message that comes into the selected mailbox. */
  get newItems(): readonly FetchItem[] {
    return this.#ofSelected()?.items ?? [];
  }

  #ofSelected(): Interest | undefined {
    return this.#interests.find(({ filter }) => filter.kind === "selected" || filter.kind === "selected-delayed");
  }

  /** How all mailboxes are whose messages are watched. */
  async tellStatus(): Promise<void> {
    for (const mailbox of this.#session.mail.state.liveMailboxes()) {
      const events = this.#eventsOf(mailbox);
      if (MESSAGE_EVENTS.some((event) => events.has(event)) && !this.#isSelected(mailbox)) this.#tellCounts(mailbox);
      await this.#breathe();
    }
  }

  /** Tells the events of all mailboxes but the selected one since the last time. */
  async tell(): Promise<void> {
    const { state } = this.#session.mail;
    const before = this.#told;
    const now = snapshotOf(state);
    if (now === before) return;
    this.#told = now;
    const exchanged = exchangedOf(before, now);
    for (const [id, { path }] of before.mailboxes)
      if ((exchanged.has(id) || !now.mailboxes.has(id)) && this.#eventsAt(path, false).has("MailboxName"))
        this.#session.untagged(`LIST (\\NonExistent) "/" ${this.#session.formatName(path)}`);
    for (const [id, present] of now.mailboxes) {
      const known = exchanged.has(id) ? undefined : before.mailboxes.get(id);
      if (known && isSame(known, present)) continue;
      const mailbox = state.findMailbox(id);
      if (mailbox) this.#tellMailbox(mailbox, known, present);
      await this.#breathe();
    }
    this.#tellSubscriptions(before.subscriptions, now.subscriptions);
    this.#tellMetadata(before.modSeq);
  }

  #tellMailbox(mailbox: ReadMailbox, known: Told | undefined, present: Told): void {
    const events = this.#eventsOf(mailbox);
    if (events.has("MailboxName") && known?.path !== present.path) this.#tellName(present.path, known?.path);
    if (!this.#isSelected(mailbox) && changes(known, present).some((event) => events.has(event)))
      this.#tellCounts(mailbox);
  }

  #tellSubscriptions(before: ReadonlySet<string>, now: ReadonlySet<string>): void {
    for (const path of new Set([...before, ...now])) {
      const is = now.has(path);
      const isWatched = this.#eventsAt(path, true).has("SubscriptionChange");
      if (is !== before.has(path) && isWatched)
        this.#session.untagged(`LIST (${is ? "\\Subscribed" : ""}) "/" ${this.#session.formatName(path)}`);
    }
  }

  /** RFC 5465 §5.6 and §5.7: without their values. */
  #tellMetadata(since: ModSeq): void {
    const session = this.#session;
    for (const [id, names] of changedEntries(session, since)) {
      const mailbox = id && session.mail.state.findMailbox(id);
      if (mailbox && this.#eventsOf(mailbox).has("MailboxMetadataChange"))
        session.untagged(`METADATA ${session.formatName(mailbox.path)} ${names.join(" ")}`);
      // The server is no mailbox: whatever the filter is.
      if (id === undefined && this.#interests.some(({ events }) => events.has("ServerMetadataChange")))
        session.untagged(`METADATA "" ${names.join(" ")}`);
    }
  }

  #tellName(path: string, before: string | undefined): void {
    const session = this.#session;
    const old = before === undefined ? "" : ` ("OLDNAME" (${session.formatName(before)}))`;
    session.untagged(`LIST () "/" ${session.formatName(path)}${old}`);
  }

  #tellCounts(mailbox: ReadMailbox): void {
    const items: StatusItem[] = ["MESSAGES", "UIDNEXT", "UIDVALIDITY", "UNSEEN"];
    if (this.#session.tellsModSeqs) items.push("HIGHESTMODSEQ");
    this.#session.untagged(formatStatus(mailbox, items, this.#session));
  }

  async #breathe(): Promise<void> {
    if (this.#session.output.isFull) await this.#session.output.flush();
    await takeTurn();
  }

  #isSelected({ id }: ReadMailbox): boolean {
    return this.#session.selected?.view.id === id;
  }

  #eventsOf({ path }: ReadMailbox): ReadonlySet<EventName> {
    return this.#eventsAt(path, this.#session.mail.state.subscriptions.has(path));
  }

  /** Of the first filter that a mailbox fits: RFC 5465 §6. */
  #eventsAt(path: string, isSubscribed: boolean): ReadonlySet<EventName> {
    const found = this.#fits.findIndex((fits) => fits(path, isSubscribed));
    return this.#interests[found]?.events ?? NONE;
  }
}

const NONE: ReadonlySet<EventName> = new Set();

function toldOf({ path, messages, uidNext, uidValidity, highestModSeq }: ReadMailbox): Told {
  return { path, messages: messages.length, uidNext, uidValidity, highestModSeq };
}

/** Mailboxes that were renamed in a row, or in a circle, and whose old path another one has now. They are told as gone and made:
 * no order of renames says it for all clients. */
function exchangedOf(before: Snapshot, now: Snapshot): ReadonlySet<MailboxId> {
  const renamed: { readonly id: MailboxId; readonly from: string; readonly to: string }[] = [];
  for (const [id, { path: to }] of now.mailboxes) {
    const from = before.mailboxes.get(id)?.path;
    if (from !== undefined && from !== to) renamed.push({ id, from, to });
  }
  const taken = new Set(renamed.map(({ to }) => to));
  return new Set(renamed.filter(({ from }) => taken.has(from)).map(({ id }) => id));
}

function isSame(a: Told, b: Told): boolean {
  return (
    a.highestModSeq === b.highestModSeq && a.path === b.path && a.uidNext === b.uidNext && a.messages === b.messages
  );
}

/** Events by which a mailbox's counts can have changed. `known` is undefined for a mailbox that is new. */
function changes(known: Told | undefined, now: Told): EventName[] {
  if (!known) return now.messages > 0 ? ["MessageNew"] : [];
  const events: EventName[] = [];
  const added = now.uidNext - known.uidNext;
  if (added > 0) events.push("MessageNew");
  if (now.messages < known.messages + added) events.push("MessageExpunge");
  if (events.length === 0 && known.highestModSeq !== now.highestModSeq && known.path === now.path)
    events.push("FlagChange");
  return events;
}
