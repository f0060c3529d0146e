import { invalidArguments, MethodError } from "./errors.ts";
import { COMPARATORS_MAX, CONDITIONS_MAX, FILTER_DEPTH_MAX } from "./limits.ts";
import { isObject, type Type } from "./types.ts";

/** How conditions of one type are put together: RFC 8620 §5.5. */
export interface FilterWords<Condition> {
  /** One FilterCondition. Throws MethodError: `unsupportedFilter`, `invalidArguments`. */
  readonly condition: (given: Readonly<Record<string, unknown>>) => Condition;
  readonly all: (conditions: readonly Condition[]) => Condition;
  readonly any: (conditions: readonly Condition[]) => Condition;
  /** NOT: none of them. */
  readonly none: (conditions: readonly Condition[]) => Condition;
}

/** A filter as the condition that it stands for. Throws MethodError `unsupportedFilter` for one that is too large. */
export function readFilter<Condition>(given: unknown, words: FilterWords<Condition>): Condition {
  let left = CONDITIONS_MAX;
  const read = (one: unknown, depth: number): Condition => {
    if (--left < 0 || depth > FILTER_DEPTH_MAX) throw new MethodError("unsupportedFilter", "the filter is too large");
    if (!isObject(one)) throw invalidArguments("a filter is no object");
    if (!Object.hasOwn(one, "operator")) return words.condition(one);
    const { operator, conditions } = one;
    if (!Array.isArray(conditions)) throw invalidArguments("the conditions of a filter are no list");
    if (operator !== "AND" && operator !== "OR" && operator !== "NOT")
      throw invalidArguments("a filter has an operator that is none");
    const inner = conditions.map((condition) => read(condition, depth + 1));
    return operator === "AND" ? words.all(inner) : operator === "OR" ? words.any(inner) : words.none(inner);
  };
  return read(given, 1);
}

/** Filters of what is all at hand: a FilterCondition is what all of its properties ask for. */
export function testWords<T>(
  conditionOf: (name: string, value: unknown) => (one: T) => boolean,
): FilterWords<(one: T) => boolean> {
  return {
    condition: (given) => {
      const tests = Object.entries(given).map(([name, value]) => conditionOf(name, value));
      return (one) => tests.every((test) => test(one));
    },
    all: (of) => (one) => of.every((test) => test(one)),
    any: (of) => (one) => of.some((test) => test(one)),
    none: (of) => (one) => !of.some((test) => test(one)),
  };
}

/** The value of a FilterCondition's property. Throws MethodError `invalidArguments`. */
export function readCondition<T>(name: string, value: unknown, type: Type<T>): T {
  const one = type.read(value);
  if (one === undefined) throw invalidArguments(`the filter's ${name} is no ${type.name}`);
  return one;
}

/** The order of a sort by keys, and by id where those are equal. Throws MethodError `unsupportedSort` as {@link readSort} does,
 * and for a property that has no key. */
export function orderBy<T extends { readonly id: string }>(
  sort: readonly unknown[] | undefined,
  keys: Readonly<Record<string, (one: T) => string | number>>,
): (a: T, b: T) => number {
  const compares = readSort(sort).map(({ property, isAscending }) => {
    const key = Object.hasOwn(keys, property) ? keys[property] : undefined;
    if (!key) throw new MethodError("unsupportedSort");
    const sign = isAscending ? 1 : -1;
    return (a: T, b: T): number => (key(a) < key(b) ? -sign : key(a) > key(b) ? sign : 0);
  });
  return (a, b) => {
    for (const compare of compares) {
      const order = compare(a, b);
      if (order !== 0) return order;
    }
    return a.id < b.id ? -1 : 1;
  };
}

/** A Comparator: what else it has is passed over, since some clients put there what belongs elsewhere. */
export interface Comparator {
  readonly property: string;
  readonly isAscending: boolean;
  readonly given: Readonly<Record<string, unknown>>;
}

/** The comparators of a sort. Throws MethodError: `unsupportedSort` for a collation that is none of ours or too many of them. */
export function readSort(given: readonly unknown[] | undefined): readonly Comparator[] {
  if (given === undefined) return [];
  if (given.length > COMPARATORS_MAX) throw new MethodError("unsupportedSort", "there are too many comparators");
  return given.map((one) => {
    if (!isObject(one)) throw invalidArguments("a comparator is no object");
    const { property, isAscending = true, collation } = one;
    if (typeof property !== "string") throw invalidArguments("a comparator has no property");
    if (isAscending !== null && typeof isAscending !== "boolean") throw invalidArguments("isAscending is no Boolean");
    if (collation !== undefined && collation !== null && typeof collation !== "string")
      throw invalidArguments("collation is no String");
    if (typeof collation === "string" && collation !== "" && !COLLATIONS.includes(collation))
      throw new MethodError("unsupportedSort", "the collation is not known here");
    return { property, isAscending: isAscending ?? true, given: one };
  });
}

/** RFC 4790: without regard to case. */
export const COLLATIONS: readonly string[] = ["i;unicode-casemap", "i;ascii-casemap"];
