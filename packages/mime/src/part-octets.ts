import type { PartOffsets } from "./offsets.ts";
import type { Part } from "./scanner.ts";
import { pushVarint, VarintReader } from "./varint.ts";

/** Sizes of all parts' bodies with their transfer encoding undone, in few bytes beside the offsets: for each part, in their
 * order, a varint of the octets that its encoding adds. */
export function encodePartOctets(root: Pick<Part, "bodyStart" | "bodyEnd" | "octets" | "children">): Uint8Array {
  const out: number[] = [];
  const write = ({ bodyStart, bodyEnd, octets, children }: typeof root): void => {
    pushVarint(out, bodyEnd - bodyStart - octets);
    for (const child of children) write(child);
  };
  write(root);
  return Uint8Array.from(out);
}

/** Octets of each part's decoded body. Throws RangeError on bytes that {@link encodePartOctets} does not make of these
 * parts. */
export function decodePartOctets(bytes: Uint8Array, root: PartOffsets): ReadonlyMap<PartOffsets, number> {
  const reader = new VarintReader(bytes);
  const octets = new Map<PartOffsets, number>();
  const read = (part: PartOffsets): void => {
    const decoded = part.bodyEnd - part.bodyStart - reader.varint();
    if (decoded < 0) throw new RangeError("a part is larger than its body");
    octets.set(part, decoded);
    for (const child of part.children) read(child);
  };
  read(root);
  reader.end();
  return octets;
}
