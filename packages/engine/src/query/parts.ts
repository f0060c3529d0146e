import {
  binaryText,
  createTransferDecoder,
  decodeOffsets,
  decodePartOctets,
  parseStructured,
  partTree,
  type StructuredPart,
} from "@restante/mime";
import type { Body } from "../mail/contents/contents.ts";
import type { Summary } from "../mail/contents/summary.ts";

/** The parts of a message out of what is kept beside it. */
export function partsOfSummary(summary: Summary): StructuredPart {
  const offsets = decodeOffsets(summary.offsets);
  const octets = summary.format === 2 ? decodePartOctets(summary.partOctets, offsets) : undefined;
  return partTree(parseStructured(binaryText(summary.bodyStructure)), offsets, octets);
}

/** A part's octets, decoded from its beginning, whatever is asked for. */
export function partBody({ bodyStart, bodyEnd, octets, encoding }: StructuredPart, whole: Body): Body {
  return {
    size: octets,
    async *read(start, end) {
      const decoder = createTransferDecoder(encoding);
      let at = 0;
      const within = (bytes: Uint8Array): Uint8Array => {
        const cut = bytes.subarray(Math.max(0, start - at), Math.max(0, Math.min(end, octets) - at));
        at += bytes.length;
        return cut;
      };
      for await (const piece of whole.read(bodyStart, bodyEnd)) {
        const cut = within(decoder.push(piece));
        if (cut.length > 0) yield cut;
        if (at >= end) return;
      }
      const last = within(decoder.end());
      if (last.length > 0) yield last;
    },
  };
}
