import { invalidProperties, SetRefusal } from "./errors.ts";
import { isObject } from "./types.ts";

/** One change of a PatchObject: a property, and the name within it if it is changed in part. */
export interface PatchItem {
  readonly property: string;
  readonly key: string | undefined;
  readonly value: unknown;
}

/**
 * The items of a PatchObject: RFC 8620 §5.3. No property of ours has levels below the first. Throws SetRefusal: `invalidPatch`
 * where one item reaches into another, or a pointer is none; `invalidProperties` where it is too deep.
 */
export function readPatch(patch: Readonly<Record<string, unknown>>): readonly PatchItem[] {
  const items = Object.entries(patch).map(([pointer, value]): PatchItem => {
    if (pointer === "" || pointer.startsWith("/") || /~(?![01])/.test(pointer))
      throw new SetRefusal({ type: "invalidPatch" });
    const segments = pointer.split("/").map((segment) => segment.replaceAll("~1", "/").replaceAll("~0", "~"));
    if (segments.length > 2) throw invalidProperties(pointer);
    return { property: segments[0]!, key: segments[1], value };
  });
  const whole = new Set(items.filter(({ key }) => key === undefined).map(({ property }) => property));
  if (items.some(({ property, key }) => key !== undefined && whole.has(property)))
    throw new SetRefusal({ type: "invalidPatch" });
  return items;
}

/** A PatchObject without what it says of these properties, if that is so already: a client may send a whole object back, with what it
 * can't change as it is (RFC 8620 §5.3). */
export function withoutWhatIs(
  patch: Readonly<Record<string, unknown>>,
  shown: Readonly<Record<string, unknown>>,
  properties: ReadonlySet<string>,
): Readonly<Record<string, unknown>> {
  const isSo = (name: string, value: unknown): boolean =>
    properties.has(name) && Object.hasOwn(shown, name) && isSame(value, shown[name]);
  return Object.fromEntries(Object.entries(patch).filter(([name, value]) => !isSo(name, value)));
}

/** As JSON, whatever order names stand in. It goes no deeper than `known` does. */
function isSame(given: unknown, known: unknown): boolean {
  if (Array.isArray(known))
    return Array.isArray(given) && given.length === known.length && known.every((one, at) => isSame(given[at], one));
  if (!isObject(known)) return given === known;
  const names = Object.keys(known);
  return (
    isObject(given) &&
    Object.keys(given).length === names.length &&
    names.every((name) => Object.hasOwn(given, name) && isSame(given[name], known[name]))
  );
}
