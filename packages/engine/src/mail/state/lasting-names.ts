import type { Row } from "../numbers.ts";
import type { MembershipName } from "../ops/names.ts";

/**
 * Names that outlast a `replace`: a membership that took another's place bears that one's name to those who know it by
 * that (ActiveSync's and JMAP's clients). Of several that may bear one name the last in order does. All others bear their
 * own, so only these few are kept.
 */
export class LastingNames {
  readonly #bearer = new Map<string, Row>();
  readonly #nameOf = new Map<Row, MembershipName>();

  /** The name that `row` bears instead of its own, if it does. */
  get(row: Row): MembershipName | undefined {
    return this.#nameOf.get(row);
  }

  /** The row that bears this name, if it is none that has it as its own. */
  find(name: MembershipName): Row | undefined {
    return this.#bearer.get(keyOf(name));
  }

  /** From now on `row` bears `name`, and nobody before it. */
  give(row: Row, name: MembershipName): void {
    const key = keyOf(name);
    const before = this.#bearer.get(key);
    if (before !== undefined) this.#nameOf.delete(before);
    this.#bearer.set(key, row);
    this.#nameOf.set(row, name);
  }

  /** Rows and the names that they bear, by row. */
  entries(): (readonly [Row, MembershipName])[] {
    return [...this.#nameOf].sort(([a], [b]) => a - b);
  }
}

function keyOf({ writer, sequence, index }: MembershipName): string {
  return `${writer}.${sequence}.${index}`;
}
