import { invalidArguments, MethodError } from "./errors.ts";
import { PATH_SEGMENTS_MAX, REFERENCED_CHARS_MAX, REFERENCED_VALUES_MAX } from "./limits.ts";

/** A response of this request that a later call may refer to. */
export interface Answered {
  readonly name: string;
  readonly result: unknown;
  readonly callId: string;
}

/** The arguments of a call, with what its references stand for in their place: RFC 8620 §3.7. Throws MethodError
 * `invalidResultReference`; `invalidArguments` for an argument that is there in both forms. */
export function resolveReferences(
  given: Readonly<Record<string, unknown>>,
  answered: readonly Answered[],
): Readonly<Record<string, unknown>> {
  const names = Object.keys(given);
  if (!names.some((name) => name.startsWith("#"))) return given;
  const resolved: Record<string, unknown> = Object.create(null);
  const budget = { values: REFERENCED_VALUES_MAX, chars: REFERENCED_CHARS_MAX };
  for (const name of names) {
    if (!name.startsWith("#")) {
      resolved[name] = given[name];
      continue;
    }
    const plain = name.slice(1);
    if (Object.hasOwn(given, plain)) throw invalidArguments("an argument is given both itself and by a reference");
    const value = valueBehind(given[name], answered, budget);
    weigh(value, budget);
    resolved[plain] = value;
  }
  return resolved;
}

interface Budget {
  values: number;
  chars: number;
}

function unresolved(): MethodError {
  return new MethodError("invalidResultReference");
}

function valueBehind(reference: unknown, answered: readonly Answered[], budget: Budget): unknown {
  if (typeof reference !== "object" || reference === null) throw unresolved();
  const { resultOf, name, path } = reference as Readonly<Record<string, unknown>>;
  if (typeof resultOf !== "string" || typeof name !== "string" || typeof path !== "string") throw unresolved();
  const found = answered.find(({ callId }) => callId === resultOf);
  if (found?.name !== name) throw unresolved();
  return follow(found.result, segmentsOf(path), 0, budget);
}

/** RFC 6901 §3. */
function segmentsOf(path: string): readonly string[] {
  if (path === "") return [];
  const [begin, ...segments] = path.split("/", PATH_SEGMENTS_MAX + 2);
  if (begin !== "" || segments.length > PATH_SEGMENTS_MAX || /~(?![01])/.test(path)) throw unresolved();
  return segments.map((segment) => segment.replaceAll("~1", "/").replaceAll("~0", "~"));
}

/** No deeper than there are segments. */
function follow(value: unknown, segments: readonly string[], at: number, budget: Budget): unknown {
  if (--budget.values < 0) throw unresolved();
  if (at === segments.length) return value;
  const segment = segments[at]!;
  if (Array.isArray(value)) {
    if (segment !== "*") {
      if (!/^(?:0|[1-9]\d{0,9})$/.test(segment) || Number(segment) >= value.length) throw unresolved();
      return follow(value[Number(segment)], segments, at + 1, budget);
    }
    const all: unknown[] = [];
    for (const item of value) {
      const found = follow(item, segments, at + 1, budget);
      if (!Array.isArray(found)) all.push(found);
      else {
        budget.values -= found.length;
        if (budget.values < 0) throw unresolved();
        for (const one of found) all.push(one);
      }
    }
    return all;
  }
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, segment)) throw unresolved();
  return follow((value as Readonly<Record<string, unknown>>)[segment], segments, at + 1, budget);
}

/** Takes the value's size as text from the budget. Throws if none is left: sixty calls that each double the one before would
 * else fill the memory. */
function weigh(value: unknown, budget: Budget): void {
  const waiting: unknown[] = [value];
  while (waiting.length > 0) {
    const one = waiting.pop();
    budget.chars -= typeof one === "string" ? one.length + 3 : 8;
    if (Array.isArray(one)) {
      budget.chars -= one.length;
      if (budget.chars < 0) throw unresolved();
      for (const item of one) waiting.push(item);
    } else if (typeof one === "object" && one !== null)
      for (const [name, item] of Object.entries(one)) {
        budget.chars -= name.length + 3;
        waiting.push(item);
      }
    if (budget.chars < 0) throw unresolved();
  }
}
