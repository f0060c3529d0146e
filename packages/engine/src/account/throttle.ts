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
  readonly #succeeded = new Set<string>();

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
    const key = keyOf(user, address);
    this.#failures.delete(key);
    this.#succeeded.delete(key);
    this.#succeeded.add(key);
    if (this.#succeeded.size > ENTRIES_MAX) this.#succeeded.delete(this.#succeeded.values().next().value!);
  }

  /** Whether this user signed in from here before: such tries go before those of strangers. */
  isKnown(user: string, address: string): boolean {
    return this.#succeeded.has(keyOf(user, address));
  }
}

function keyOf(user: string, address: string): string {
  return `${user}\n${networkOf(address)}`;
}

/** Who may be one client: an IPv4 address, an IPv6 /64. */
export function networkOf(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  if (mapped) return mapped[1]!;
  if (!address.includes(":")) return address;
  const [head, tail] = address.split("%", 1)[0]!.split("::", 2);
  const groups = (text: string | undefined): string[] => (text ? text.split(":") : []);
  const zeros = tail === undefined ? 0 : 8 - groups(head).length - groups(tail).length;
  const all = [...groups(head), ...new Array<string>(Math.max(0, zeros)).fill("0"), ...groups(tail)];
  return all
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(":");
}
