import { PATH_DELIMITER } from "../ops/names.ts";
import type { Mailbox } from "./mailbox.ts";

/** Mailboxes that are there, by their paths: whoever looks up many asks for no walk each time. */
export class PathIndex {
  readonly #byPath: ReadonlyMap<string, Mailbox>;
  /** In order of code units: those below a path stand together. */
  readonly #paths: readonly string[];

  constructor(mailboxes: readonly Mailbox[]) {
    this.#byPath = new Map(mailboxes.map((mailbox) => [mailbox.path, mailbox]));
    this.#paths = [...this.#byPath.keys()].sort();
  }

  get(path: string): Mailbox | undefined {
    return this.#byPath.get(path);
  }

  /** Mailboxes below `path`, at any depth, the oldest first. */
  below(path: string): Mailbox[] {
    const prefix = path + PATH_DELIMITER;
    const found: Mailbox[] = [];
    for (let at = this.#firstFrom(prefix); this.#paths[at]?.startsWith(prefix); at++)
      found.push(this.#byPath.get(this.#paths[at]!)!);
    return found.sort((a, b) => a.ordinal - b.ordinal);
  }

  #firstFrom(path: string): number {
    let low = 0;
    let high = this.#paths.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#paths[middle]! < path) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
