import type { ModSeq, ReadMailbox, Uid } from "@restante/engine";
import { takeTurn } from "@restante/host";
import { fitting } from "./mailbox-filter.ts";
import type { Session } from "./session.ts";
import { formatStatus, type StatusItem } from "./status-answer.ts";
import type { FetchItem } from "./wire/fetch-items.ts";
import type { EventName, Interest } from "./wire/notify-events.ts";

/** A mailbox as it was last told. */
interface Told {
  readonly path: string;
  readonly messages: number;
  readonly uidNext: Uid;
  readonly uidValidity: number;
  readonly highestModSeq: ModSeq;
}

const MESSAGE_EVENTS: readonly EventName[] = ["MessageNew", "MessageExpunge", "FlagChange"];

/** Events that a client asked for by NOTIFY: RFC 5465. Nothing is queued. The state of each mailbox as it was last told is
 * compared with the present one. So a slow reader is told less often and not later, and there is never too much to tell. */
export class Watch {
  readonly #session: Session;
  readonly #interests: readonly Interest[];
  /** The filter of each interest, by its index: true for a mailbox that fits. */
  readonly #fits: readonly ((path: string, isSubscribed: boolean) => boolean)[];
  #told = new Map<ReadMailbox["id"], Told>();
  #subscriptions: ReadonlySet<string>;

  constructor(session: Session, interests: readonly Interest[]) {
    this.#session = session;
    this.#interests = interests;
    this.#fits = interests.map(({ filter }) => fitting(filter, session.isUtf8));
    const { state } = session.mail;
    for (const mailbox of state.liveMailboxes()) this.#told.set(mailbox.id, toldOf(mailbox));
    this.#subscriptions = new Set(state.subscriptions);
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
    const now = new Map<ReadMailbox["id"], Told>();
    this.#told = now;
    for (const mailbox of state.liveMailboxes()) {
      const [known, present] = [before.get(mailbox.id), toldOf(mailbox)];
      now.set(mailbox.id, present);
      if (known && isSame(known, present)) continue;
      const events = this.#eventsOf(mailbox);
      if (events.has("MailboxName") && known?.path !== present.path) this.#tellName(present.path, known?.path);
      if (!this.#isSelected(mailbox) && changes(known, present, mailbox).some((event) => events.has(event)))
        this.#tellCounts(mailbox);
      await this.#breathe();
    }
    for (const [id, { path }] of before)
      if (!now.has(id) && !state.findMailbox(id) && this.#eventsAt(path, false).has("MailboxName"))
        this.#session.untagged(`LIST (\\NonExistent) "/" ${this.#session.formatName(path)}`);
    this.#tellSubscriptions();
  }

  #tellSubscriptions(): void {
    const { subscriptions } = this.#session.mail.state;
    const before = this.#subscriptions;
    if (before.size === subscriptions.size && [...before].every((path) => subscriptions.has(path))) return;
    this.#subscriptions = new Set(subscriptions);
    for (const path of new Set([...before, ...subscriptions])) {
      const is = subscriptions.has(path);
      const isWatched = this.#eventsAt(path, true).has("SubscriptionChange");
      if (is !== before.has(path) && isWatched)
        this.#session.untagged(`LIST (${is ? "\\Subscribed" : ""}) "/" ${this.#session.formatName(path)}`);
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

function isSame(a: Told, b: Told): boolean {
  return (
    a.highestModSeq === b.highestModSeq && a.path === b.path && a.uidNext === b.uidNext && a.messages === b.messages
  );
}

/** Events by which a mailbox's counts can have changed. `known` is undefined for a mailbox that is new. */
function changes(known: Told | undefined, now: Told, { messages }: ReadMailbox): EventName[] {
  if (!known) return now.messages > 0 ? ["MessageNew"] : [];
  const events: EventName[] = [];
  const added = now.uidNext - known.uidNext;
  if (added > 0) events.push("MessageNew");
  if (messages.length < known.messages + added) events.push("MessageExpunge");
  if (events.length === 0 && known.highestModSeq !== now.highestModSeq && known.path === now.path)
    events.push("FlagChange");
  return events;
}
