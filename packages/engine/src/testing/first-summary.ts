import { encode } from "cborg";
import { decodeSummary, previewOf } from "../mail/contents/summary.ts";

/** A summary as the first releases encoded it: what a full one becomes in format 1. */
export function toFirstSummary(encoded: Uint8Array): Uint8Array {
  const summary = decodeSummary(encoded);
  const { envelope, bodyStructure, offsets, headerWhole } = summary;
  return encode([1, envelope, bodyStructure, offsets, previewOf(summary), headerWhole]);
}
