import { invalidArguments, MethodError } from "./errors.ts";
import { COMPARATORS_MAX, CONDITIONS_MAX, FILTER_DEPTH_MAX } from "./limits.ts";
import { isObject } from "./types.ts";

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
