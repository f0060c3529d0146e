import {
  baseSubject,
  bodyParts,
  bodyStructureSteps,
  encodeOffsets,
  encodePartOctets,
  findHeader,
  formatEnvelope,
  type HeaderField,
  hasAttachment,
  isHtml,
  type MessageStructure,
  messageText,
  parseDate,
  parseMessageIds,
  references,
} from "@restante/mime";
import { concat, hash, utf8 } from "../../crypto/index.ts";
import { encodeHeader, HEADER_BYTES_MAX } from "./header.ts";
import { encodeSummary } from "./summary.ts";

/** Facts of a message that are kept beside its octets: all that lists, searches and threads need. */
export interface Digest {
  readonly size: number;
  /** An encoded `Summary`, and the header block's frame. */
  readonly summary: Uint8Array;
  readonly header: Uint8Array;
  readonly sentMs: number;
  readonly sentZone: number;
  /** 8-byte hashes of its Message-ID and of those it refers to, nearest first. */
  readonly ids: Uint8Array;
  readonly subject: Uint8Array;
  readonly root: Uint8Array;
}

/** Hashes by which conversations are found. */
export interface Conversation {
  /** 8-byte hashes of a message's own id and of those it refers to, nearest first. */
  readonly ids: Uint8Array;
  /** 8-byte hash of its base subject. */
  readonly subject: Uint8Array;
  /** The hash that all messages of a conversation share which begins with the oldest known one: of its id and base subject.
   * Empty for a message that has no id and refers to none. */
  readonly root: Uint8Array;
}

/** References that a thread is looked for by. */
const REFERENCES_MAX = 20;

/** Lets others have their turn. */
export type Breathe = (() => Promise<void>) | undefined;

/** Parts of BODYSTRUCTURE that are written between two breaths. */
const STEPS_AT_ONCE = 32;

/** `receivedMs` stands in for a Date field that is missing or no date: RFC 5256 §2.2. */
export async function digest(structure: MessageStructure, receivedMs: number, breathe?: Breathe): Promise<Digest> {
  const { fields } = structure;
  const sent = parseDate(findHeader(fields, "date") ?? "");
  return {
    size: structure.size,
    summary: await summarize(structure, breathe),
    header: encodeHeader(structure.header.subarray(0, HEADER_BYTES_MAX)),
    sentMs: sent?.timeMs ?? receivedMs,
    sentZone: sent?.zoneMinutes ?? 0,
    ...conversationOf(fields),
  };
}

/** An encoded `Summary`. */
export async function summarize(structure: MessageStructure, breathe?: Breathe): Promise<Uint8Array> {
  const { root } = structure;
  const parts = bodyParts(root);
  return encodeSummary({
    envelope: utf8(formatEnvelope(structure.fields)),
    bodyStructure: utf8(await inTurns(bodyStructureSteps(root), breathe)),
    offsets: encodeOffsets(root),
    headerWhole: structure.headerWhole && structure.header.length <= HEADER_BYTES_MAX,
    text: { ...messageText(structure), isHtml: isHtml(parts) },
    partOctets: encodePartOctets(root),
    hasAttachment: hasAttachment(parts),
  });
}

/** The result of the steps. Others have their turn after each {@link STEPS_AT_ONCE} of them. */
async function inTurns(steps: Generator<undefined, string>, breathe: Breathe): Promise<string> {
  for (let count = 1; ; count++) {
    const step = steps.next();
    if (step.done) return step.value;
    if (breathe && count % STEPS_AT_ONCE === 0) await breathe();
  }
}

/** RFC 8621 §3, by the fields of a header. */
export function conversationOf(fields: readonly HeaderField[]): Conversation {
  const [own] = parseMessageIds(findHeader(fields, "message-id") ?? "");
  const related = references(fields);
  const near = related.toReversed().slice(0, REFERENCES_MAX);
  const subject = hash(utf8(baseSubject(findHeader(fields, "subject") ?? "").base.toLowerCase())).subarray(0, 8);
  const oldest = related[0] ?? own;
  return {
    ids: concat(...(own === undefined ? near : [own, ...near]).map(messageIdHash)),
    subject,
    root: oldest === undefined ? new Uint8Array(0) : concat(hash(utf8(oldest)), subject),
  };
}

/** The hash of a message id (without its angle brackets): 8 bytes. */
export function messageIdHash(id: string): Uint8Array {
  return hash(utf8(id)).subarray(0, 8);
}
