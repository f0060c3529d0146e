import type { Structured } from "./body-structure.ts";
import type { PartOffsets } from "./offsets.ts";
import type { Parameter, Parameterized } from "./parameters.ts";
import type { Part } from "./scanner.ts";

/** A part as BODYSTRUCTURE and the offsets tell of it. */
export type StructuredPart = Omit<Part, "children" | "lines" | "envelope" | "md5" | "description"> & {
  readonly children: readonly StructuredPart[];
};

/**
 * The parts of a message out of what is kept of it: its BODYSTRUCTURE, read by `parseStructured`, and the offsets, which tell
 * of the same parts in the same order. `octets` are those of decoded bodies (`decodePartOctets`); without them a body counts
 * as it lies. Texts are in ASCII: what was raw 8-bit is encoded-words. Throws RangeError where the two don't fit.
 */
export function partTree(
  structure: Structured,
  offsets: PartOffsets,
  octets?: ReadonlyMap<PartOffsets, number>,
): StructuredPart {
  if (!Array.isArray(structure)) throw new RangeError("not a part");
  const items = structure as readonly Structured[];
  const { kind, headerStart, bodyStart, bodyEnd } = offsets;
  const places = { kind, headerStart, bodyStart, bodyEnd, octets: octets?.get(offsets) ?? bodyEnd - bodyStart };
  if (kind === "multipart") {
    const count = offsets.children.length;
    return {
      ...places,
      type: "multipart",
      subtype: lower(items[count]),
      parameters: parameters(items[count + 1]),
      id: undefined,
      encoding: "7bit",
      ...extension(items, count + 2),
      children: offsets.children.map((child, at) => partTree(items[at], child, octets)),
    };
  }
  const type = lower(items[0]);
  const [inner] = offsets.children;
  // Of the last values before its extension data a text has its lines; a message that was looked into has three.
  const end = inner ? MESSAGE_VALUES : type === "text" ? TEXT_VALUES : BASIC_VALUES;
  return {
    ...places,
    type,
    subtype: lower(items[1]),
    parameters: parameters(items[2]),
    id: text(items[3]),
    encoding: lower(items[5]),
    // Behind the MD5.
    ...extension(items, end + 1),
    children: inner ? [partTree(items[INNER_VALUE], inner, octets)] : [],
  };
}

/** Values that a part has before its extension data. */
const MESSAGE_VALUES = 10;
const TEXT_VALUES = 8;
const BASIC_VALUES = 7;
const INNER_VALUE = 8;

function extension(items: readonly Structured[], from: number): Pick<Part, "disposition" | "language" | "location"> {
  const tags = items[from + 1];
  return {
    disposition: disposition(items[from]),
    language: Array.isArray(tags) ? tags.join(",") : undefined,
    location: text(items[from + 2]),
  };
}

function disposition(value: Structured): Parameterized | undefined {
  if (!Array.isArray(value)) return undefined;
  const [name, list] = value as readonly Structured[];
  // In lower case, but for encoded-words.
  return { value: text(name) ?? "", parameters: parameters(list) };
}

function parameters(value: Structured): readonly Parameter[] {
  if (!Array.isArray(value)) return [];
  const items = value as readonly Structured[];
  const list: Parameter[] = [];
  for (let at = 0; at + 1 < items.length; at += 2)
    list.push({ name: lower(items[at]), value: text(items[at + 1]) ?? "" });
  return list;
}

function lower(value: Structured): string {
  return text(value)?.toLowerCase() ?? "";
}

function text(value: Structured): string | undefined {
  return typeof value === "string" ? value : undefined;
}
