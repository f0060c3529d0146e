import {
  encodeOffsets,
  findHeader,
  formatBodyStructure,
  formatEnvelope,
  type MessageStructure,
  parseDate,
  parseHeaders,
  parseMessageIds,
  preview,
  references,
} from "@restante/mime";
import { concat, hash, utf8 } from "../crypto/index.ts";
import { encodeSummary, HEADER_BYTES_MAX } from "./summary.ts";

/** What is kept of a message besides its bytes: all that lists, searches and threads need. */
export interface Digest {
  readonly size: number;
  readonly summary: Uint8Array;
  readonly sentMs: number;
  readonly sentZone: number;
  /** 8-byte hashes of its Message-ID and of those it refers to, nearest first. */
  readonly ids: Uint8Array;
}

/** References that a thread is looked for by. */
const REFERENCES_MAX = 20;

/** `receivedMs` stands in for a Date field that is missing or no date: RFC 5256 §2.2. */
export function digest(structure: MessageStructure, receivedMs: number): Digest {
  const fields = parseHeaders(structure.header);
  const sent = parseDate(findHeader(fields, "date") ?? "");
  const [own] = parseMessageIds(findHeader(fields, "message-id") ?? "");
  const related = references(fields).reverse().slice(0, REFERENCES_MAX);
  const ids = (own === undefined ? related : [own, ...related]).map((id) => hash(utf8(id)).subarray(0, 8));
  const ascii = (text: string): Uint8Array => utf8(text);
  return {
    size: structure.size,
    summary: encodeSummary({
      envelope: ascii(formatEnvelope(structure.header)),
      bodyStructure: ascii(formatBodyStructure(structure.root)),
      offsets: encodeOffsets(structure.root),
      preview: preview(structure),
      header: structure.header.subarray(0, HEADER_BYTES_MAX),
      headerWhole: structure.headerWhole && structure.header.length <= HEADER_BYTES_MAX,
    }),
    sentMs: sent?.timeMs ?? receivedMs,
    sentZone: sent?.zoneMinutes ?? 0,
    ids: concat(...ids),
  };
}
