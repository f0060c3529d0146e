import { invalidArguments } from "./errors.ts";
import { type Context, checkObjects, resolveId } from "./method.ts";
import { type Argument, ID, list, optional, required, TEXT } from "./types.ts";

/** The arguments of a standard /get: RFC 8620 §5.1. */
export const GET_ARGUMENTS: {
  readonly accountId: Argument<string>;
  readonly ids: Argument<readonly string[] | undefined>;
  readonly properties: Argument<readonly string[] | undefined>;
} = {
  accountId: required(ID),
  ids: optional(list(ID)),
  properties: optional(list(TEXT)),
};

/** The ids that are asked for, each once, creation ids resolved. Throws MethodError `requestTooLarge`. */
export function idsOf(ids: readonly string[], context: Pick<Context, "createdIds">): readonly string[] {
  checkObjects(ids.length);
  return [...new Set(ids.map((id) => resolveId(id, context)))];
}

/** The properties that are asked for, or all. Throws MethodError `invalidArguments` for one that the type doesn't have. */
export function propertiesOf<Name extends string>(
  asked: readonly string[] | undefined,
  known: readonly Name[],
): ReadonlySet<Name> {
  if (asked === undefined) return new Set(known);
  const wrong = asked.find((name) => !known.some((one) => one === name));
  if (wrong !== undefined) throw invalidArguments("properties has one that the type does not have");
  return new Set(["id" as Name, ...(asked as readonly Name[])]);
}

/** The properties of an object that are asked for. */
export function pick<Name extends string>(
  object: Readonly<Record<Name, unknown>>,
  properties: ReadonlySet<Name>,
): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(object).filter(([name]) => properties.has(name as Name)));
}
