import { encodeOffsets, formatBodyStructure, scan } from "@restante/mime";
import type { Body } from "../mail/contents/contents.ts";
import type { Summary } from "../mail/contents/summary.ts";

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** A message's body, which counts its reads, and its summary. */
export function scanned(message: Uint8Array): {
  readonly body: Body;
  readonly summary: Summary;
  readonly reads: [number, number][];
} {
  const { root } = scan(message);
  const reads: [number, number][] = [];
  const body: Body = {
    size: message.length,
    async *read(start, end) {
      reads.push([start, end]);
      for (let at = start; at < end; at += 5000) yield message.subarray(at, Math.min(at + 5000, end));
    },
  };
  const summary = { bodyStructure: bytes(formatBodyStructure(root)), offsets: encodeOffsets(root) };
  return { body, summary: summary as unknown as Summary, reads };
}
