import type { News, ReadState } from "@restante/engine";
import { DATA_TYPES, type DataType, stateOf } from "../core/states.ts";

/** Where each type is, as a client was told last. */
export type States = Readonly<Record<DataType, string>>;

/** Changed states, as a listening client is told: RFC 8620 §7.1. */
export interface StateChange {
  readonly "@type": "StateChange";
  readonly changed: Readonly<Record<string, Readonly<Partial<States>>>>;
}

export function statesOf(state: ReadState): States {
  return Object.fromEntries(DATA_TYPES.map((type) => [type, stateOf(state, type)])) as States;
}

/** Where an account is that is not open: all that can be said is that mail is elsewhere. A name of what is new stands for it; as
 * a state that somebody asks changes since it is none of ours. */
function lockedStates(known: States, name: string): States {
  const state = lockedState(name);
  return { ...known, Email: state, EmailDelivery: state, Mailbox: state, Thread: state, Quota: state };
}

export function lockedState(name: string): string {
  return `n${name.replaceAll(/[^\w-]/g, "_")}`;
}

const SEPARATOR = "~";

/** All states in one text: an event's id, and the pushState of RFC 8887 §4.3.5.2. */
function textOf(states: States): string {
  return DATA_TYPES.map((type) => states[type]).join(SEPARATOR);
}

function readStates(text: string): States | undefined {
  const states = text.split(SEPARATOR);
  if (states.length !== DATA_TYPES.length) return undefined;
  return Object.fromEntries(DATA_TYPES.map((type, at) => [type, states[at]])) as States;
}

const NOTHING = Object.fromEntries(DATA_TYPES.map((type) => [type, ""])) as States;

/** An account that is listened to. */
export interface Listened {
  readonly accountId: string;
  /** There is something that may be used up: RFC 9425 §5. */
  readonly hasQuota: boolean;
}

/** Follows an account for one listener: tells what differs from what they know. */
export class StateListener {
  readonly #accountId: string;
  readonly #types: ReadonlySet<DataType>;
  readonly #tell: (change: StateChange, id: string) => void;
  #known: States;
  /** Stands for a name that is not known. */
  #count = 0;

  /** `types`: null for all. `since`: what the listener knew when they last listened, as an id told it; without it they know
   * what is so now. One that can't be read is of who may have missed anything: they are told all. */
  constructor(
    { accountId, hasQuota }: Listened,
    types: readonly string[] | null,
    now: States,
    since: string | undefined,
    tell: (change: StateChange, id: string) => void,
  ) {
    this.#accountId = accountId;
    const known = DATA_TYPES.filter((type) => type !== "Quota" || hasQuota);
    this.#types = new Set(known.filter((type) => types === null || types.includes(type)));
    this.#tell = tell;
    this.#known = since === undefined ? now : (readStates(since) ?? NOTHING);
    this.#show(now);
  }

  hear(news: News): void {
    this.#show(news.state ? statesOf(news.state) : lockedStates(this.#known, news.name ?? String(++this.#count)));
  }

  #show(now: States): void {
    const differing = DATA_TYPES.filter((type) => this.#types.has(type) && now[type] !== this.#known[type]);
    this.#known = now;
    if (differing.length === 0) return;
    const changed = Object.fromEntries(differing.map((type) => [type, now[type]]));
    this.#tell({ "@type": "StateChange", changed: { [this.#accountId]: changed } }, textOf(now));
  }
}
