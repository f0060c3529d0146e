import { equalBytes, keyedHash, utf8 } from "../../crypto/index.ts";
import type { Platform } from "../platform.ts";
import { networkOf } from "./client-address.ts";

/**
 * Wrong passwords, counted by user and client address: after one, the next try waits, twice as long each time. A right
 * password from another address is not delayed.
 *
 * A guess counts from when it begins until it is found right, so that many at once wait as they would one after another.
 * The same password twice at once is one guess: a mail program opens several connections, and none waits for another.
 * Several programs of one owner, each with a password of its own, wait for no longer than the ones before them take: who
 * is right clears the count. Nobody is refused by it, since who guesses may share the owner's address: each has its
 * turn after {@link DELAY_MAX_MS}.
 */
export const FIRST_DELAY_MS = 250;
export const DELAY_MAX_MS = 30_000;
export const FORGET_MS: number = 15 * 60_000;
/** Pairs that are remembered at once; beyond it the oldest go. */
const ENTRIES_MAX = 10_000;

/** A password that is tried, by one connection or more. */
interface Guess {
  readonly digest: Uint8Array;
  tries: number;
  /** True once the guess was found right or wrong. The same password from now on is another guess. */
  isSettled: boolean;
}

/** Guesses for a user from one address. */
interface Pending {
  /** The first begun first. */
  readonly guesses: Set<Guess>;
  /** Wakes who waits for a turn: it may come earlier. */
  readonly waiting: Set<() => void>;
}

/** One try at signing in; it counts until it is disposed of. */
export interface Try extends Disposable {
  /** This user signed in from here before: such tries go before those of strangers. */
  readonly isKnown: boolean;
  /** Resolves when it may go on. */
  turn(): Promise<void>;
  failed(): void;
  succeeded(): void;
}

export class Throttle {
  readonly #platform: Pick<Platform, "crypto" | "monotonic" | "delay">;
  readonly #digestKey: Uint8Array;
  readonly #failures = new Map<string, { readonly count: number; readonly at: number }>();
  readonly #succeeded = new Set<string>();
  readonly #pending = new Map<string, Pending>();

  /** Of how many users, each from one network, wrong passwords are remembered. */
  get remembered(): number {
    return this.#failures.size;
  }

  constructor(platform: Pick<Platform, "crypto" | "monotonic" | "delay">) {
    this.#platform = platform;
    this.#digestKey = platform.crypto.random(32);
  }

  /** Begins a try. One that is told neither `failed` nor `succeeded`, since nobody could say, leaves no trace. */
  begin(user: string, address: string, password: string): Try {
    const key = this.#keyOf(user, address);
    const pending = this.#pending.get(key) ?? { guesses: new Set(), waiting: new Set() };
    this.#pending.set(key, pending);
    const guess = guessOf(pending, keyedHash(this.#digestKey, utf8(password)));
    guess.tries++;
    return {
      isKnown: this.#succeeded.has(key),
      turn: () => this.#turn(key, pending, guess),
      failed: () => this.#failed(key, guess),
      succeeded: () => this.#succeed(key, pending, guess),
      [Symbol.dispose]: () => this.#end(key, pending, guess),
    };
  }

  /** Of one size, however long the name that a stranger gives; and no list of names for a reader of our memory. */
  #keyOf(user: string, address: string): string {
    return String.fromCharCode(...keyedHash(this.#digestKey, utf8(`${user}\n${networkOf(address)}`)));
  }

  async #turn(key: string, pending: Pending, guess: Guess): Promise<void> {
    const begun = this.#platform.monotonic();
    for (let isWoken = true; isWoken; ) {
      const left = this.#delay(key, pending, guess) - (this.#platform.monotonic() - begun);
      if (left <= 0) return;
      const woken = new AbortController();
      const wake = (): void => woken.abort();
      pending.waiting.add(wake);
      await this.#platform.delay(left, woken.signal);
      pending.waiting.delete(wake);
      isWoken = woken.signal.aborted;
    }
  }

  /** How long a guess waits: behind the wrong ones, and behind those that began before it and may be. */
  #delay(key: string, { guesses }: Pending, guess: Guess): number {
    const begun = [...guesses];
    const before = begun.slice(0, begun.indexOf(guess)).filter(({ isSettled }) => !isSettled).length;
    const count = this.#count(key) + before;
    return count === 0 ? 0 : Math.min(FIRST_DELAY_MS * 2 ** (count - 1), DELAY_MAX_MS);
  }

  #count(key: string): number {
    const failure = this.#failures.get(key);
    return failure && this.#platform.monotonic() - failure.at <= FORGET_MS ? failure.count : 0;
  }

  #failed(key: string, guess: Guess): void {
    if (guess.isSettled) return;
    guess.isSettled = true;
    const count = this.#count(key) + 1;
    const now = this.#platform.monotonic();
    this.#failures.delete(key);
    this.#failures.set(key, { count, at: now });
    // The oldest comes first.
    for (const [oldest, { at }] of this.#failures) {
      if (this.#failures.size <= ENTRIES_MAX && now - at <= FORGET_MS) break;
      this.#failures.delete(oldest);
    }
  }

  #succeed(key: string, pending: Pending, guess: Guess): void {
    guess.isSettled = true;
    this.#failures.delete(key);
    this.#succeeded.delete(key);
    this.#succeeded.add(key);
    if (this.#succeeded.size > ENTRIES_MAX) this.#succeeded.delete(this.#succeeded.values().next().value!);
    for (const wake of pending.waiting) wake();
  }

  #end(key: string, { guesses, waiting }: Pending, guess: Guess): void {
    guess.tries--;
    if (guess.tries > 0) return;
    guesses.delete(guess);
    if (guesses.size === 0) this.#pending.delete(key);
    if (!guess.isSettled) for (const wake of waiting) wake();
  }
}

/** The guess that this password is: one that is tried already, or a new one. */
function guessOf({ guesses }: Pending, digest: Uint8Array): Guess {
  for (const guess of guesses) if (!guess.isSettled && equalBytes(guess.digest, digest)) return guess;
  const guess: Guess = { digest, tries: 0, isSettled: false };
  guesses.add(guess);
  return guess;
}
