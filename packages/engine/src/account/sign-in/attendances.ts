import { entryName } from "../../bay/entry.ts";
import { NOWHERE, type Position } from "../../bay/position.ts";
import type { ReadState } from "../../mail/state/read-state.ts";
import { folderOf } from "../../storage/object-kinds.ts";
import type { ObjectStore } from "../../storage/object-store.ts";
import type { Account } from "../account.ts";
import { slotExists } from "../keys/slot-exists.ts";
import { isStillListed } from "../keys/slots.ts";
import type { Platform } from "../platform.ts";
import type { AccountSession } from "../session.ts";

/** How often it is looked, in milliseconds, whether a way in is still there that nothing tells of. */
export const ATTENDANCE_LOOK_MS = 60_000;

/** News of an account: its state while it is open; else no more than the name of a new object, and not always that. */
export type News = { readonly state: ReadState } | { readonly state?: undefined; readonly name: string | undefined };

/** An attendant hears of an account for as long as its owner may use it. */
export interface Attendant {
  /** Something came or changed, or may have. */
  changed(news: News): void;
  /** Its owner may no longer use it by what they came in by: nothing more is told. */
  ended(): void;
}

/** The way in by which an attendant came. */
type Way = Pick<AccountSession, "slot" | "terms">;

interface Attended {
  readonly attendants: Map<Attendant, Way>;
  /** The account while it is open. */
  account: Account | undefined;
  /** Where its log was when it was closed. */
  position: Position;
  /** Ends what tells of it now. */
  stop: () => void;
  readonly stopLooking: () => void;
}

/**
 * Event streams and their like: they want news and hold no keys. While an account is open, they hear of it from its log;
 * once it is closed, from the names of new objects, and their way in is looked for each {@link ATTENDANCE_LOOK_MS}.
 */
export class Attendances {
  readonly #store: ObjectStore;
  readonly #platform: Platform;
  readonly #attended = new Map<string, Attended>();

  constructor({ store, platform }: { readonly store: ObjectStore; readonly platform: Platform }) {
    this.#store = store;
    this.#platform = platform;
  }

  /** Until the returned function is called, or `ended` was. `prefix` is that of the account's objects. */
  attend(prefix: string, { slot, terms }: Way, attendant: Attendant): () => void {
    const attended = this.#attended.get(prefix) ?? this.#begin(prefix);
    attended.attendants.set(attendant, { slot, terms });
    return () => this.#leave(prefix, attended, attendant);
  }

  /** The account is open: told by {@link Accounts}. Again is no error. */
  opened(prefix: string, account: Account): void {
    const attended = this.#attended.get(prefix);
    if (!attended || attended.account === account) return;
    attended.stop();
    attended.account = account;
    // Mail that is delivered is taken in at once, as for all who wait for it.
    const leave = account.enter();
    const stop = account.onChange(() => this.#changed(prefix, attended));
    attended.stop = () => {
      leave();
      stop();
    };
    this.#changed(prefix, attended);
  }

  /** Its keys are wiped. */
  closed(prefix: string): void {
    const attended = this.#attended.get(prefix);
    if (!attended?.account) return;
    // The account may be closed since nobody may use it any more.
    this.#endThose(prefix, attended, ({ slot }) => this.#isOver(attended, slot));
    if (attended.attendants.size === 0) return;
    attended.position = attended.account.position;
    attended.account = undefined;
    attended.stop();
    this.#watch(prefix, attended);
    void this.#look(prefix, attended);
  }

  dispose(): void {
    for (const { stop, stopLooking } of this.#attended.values()) {
      stop();
      stopLooking();
    }
    this.#attended.clear();
  }

  #begin(prefix: string): Attended {
    const look = (): void => void this.#look(prefix, attended);
    const attended: Attended = {
      attendants: new Map(),
      account: undefined,
      position: NOWHERE,
      stop: () => undefined,
      stopLooking: this.#platform.every?.(ATTENDANCE_LOOK_MS, look) ?? (() => undefined),
    };
    this.#attended.set(prefix, attended);
    this.#watch(prefix, attended);
    return attended;
  }

  #leave(prefix: string, attended: Attended, attendant: Attendant): void {
    attended.attendants.delete(attendant);
    if (attended.attendants.size > 0 || this.#attended.get(prefix) !== attended) return;
    this.#attended.delete(prefix);
    attended.stop();
    attended.stopLooking();
  }

  #watch(prefix: string, attended: Attended): void {
    const tell = (name?: string): void => this.#tell(attended, { name: name?.slice(prefix.length) });
    const { quietEntries } = this.#platform;
    // It may be another service of this process that has the account open, or its last work before it is closed.
    const tellOfEntry = (name?: string): void =>
      quietEntries ? quietEntries.tellOfOthers(name, () => tell(name)) : tell(name);
    const after = attended.position > 0 ? prefix + entryName(attended.position) : undefined;
    const notUrgent = { isUrgent: () => false };
    const stops = [
      this.#store.watch(prefix + folderOf("note"), tell, notUrgent),
      this.#store.watch(prefix + folderOf("log"), tellOfEntry, { ...notUrgent, after }),
    ];
    attended.stop = () => {
      for (const stop of stops) stop();
    };
  }

  #tell({ attendants }: Attended, news: News): void {
    for (const attendant of [...attendants.keys()]) attendant.changed(news);
  }

  #changed(prefix: string, attended: Attended): void {
    this.#endThose(prefix, attended, ({ slot, terms }) => this.#isOver(attended, slot) || this.#hasExpired(terms));
    if (attended.account) this.#tell(attended, { state: attended.account.mail.state });
  }

  /** True if the open account says that the slot is no way in. */
  #isOver({ account }: Attended, slot: string | undefined): boolean {
    if (!account) return false;
    return account.ended !== undefined || (slot !== undefined && !isStillListed(slot, account.mail.state.slots.names));
  }

  #hasExpired(terms: Way["terms"]): boolean {
    return terms !== undefined && terms.expiresMs <= this.#platform.now();
  }

  async #look(prefix: string, attended: Attended): Promise<void> {
    this.#endThose(prefix, attended, ({ terms }) => this.#hasExpired(terms));
    if (attended.account) return;
    const slots = new Set([...attended.attendants.values()].flatMap(({ slot }) => (slot === undefined ? [] : [slot])));
    for (const slot of slots) {
      try {
        if (await slotExists(this.#store, prefix, slot)) continue;
        this.#endThose(prefix, attended, (way) => way.slot === slot);
      } catch (error) {
        // A store that can't be asked is no reason to end anything.
        this.#platform.log({ level: "debug", event: "a way in can't be looked for", error });
      }
    }
  }

  #endThose(prefix: string, attended: Attended, isOver: (way: Way) => boolean): void {
    for (const [attendant, way] of [...attended.attendants]) {
      if (!isOver(way)) continue;
      this.#leave(prefix, attended, attendant);
      attendant.ended();
    }
  }
}
