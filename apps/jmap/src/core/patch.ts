import { invalidProperties, SetRefusal } from "./errors.ts";

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
