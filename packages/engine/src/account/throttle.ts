/**
 * Failed sign-ins, counted by user and client address: after one, the next waits, twice as long each time. A right
 * password from another address is not delayed.
 */
export const FIRST_DELAY_MS = 250;
export const DELAY_MAX_MS = 30_000;
export const FORGET_MS: number = 15 * 60_000;
/** Pairs that are remembered at once; beyond it the oldest go. */
const ENTRIES_MAX = 10_000;

export class Throttle {
  readonly #now: () => number;
  readonly #failures = new Map<string, { readonly count: number; readonly at: number }>();

  /** `now` only goes forward, in milliseconds. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** How long this user's next try from here waits. */
  delay(user: string, address: string): number {
    const failure = this.#failures.get(keyOf(user, address));
    if (!failure || this.#now() - failure.at > FORGET_MS) return 0;
    return Math.min(FIRST_DELAY_MS * 2 ** (failure.count - 1), DELAY_MAX_MS);
  }

  failed(user: string, address: string): void {
    const key = keyOf(user, address);
    const before = this.#failures.get(key);
    const count = before && this.#now() - before.at <= FORGET_MS ? before.count + 1 : 1;
    this.#failures.delete(key);
    this.#failures.set(key, { count, at: this.#now() });
    if (this.#failures.size > ENTRIES_MAX) this.#failures.delete(this.#failures.keys().next().value!);
  }

  succeeded(user: string, address: string): void {
    this.#failures.delete(keyOf(user, address));
  }
}

/** IPv6 clients are told apart by their /64. */
function keyOf(user: string, address: string): string {
  const network = address.includes(":") ? address.split(":").slice(0, 4).join(":") : address;
  return `${user}\n${network}`;
}
