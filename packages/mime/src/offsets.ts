import type { Part } from "./scanner.ts";
import { pushVarint, VarintReader } from "./varint.ts";

/**
 * Where every part lies in the message, in few bytes: what a section is cut out by, without scanning again.
 *
 *     offsets  version 1 ‖ part
 *     part     kind (0 leaf, 1 multipart, 2 message) ‖ header start, less that of the body around it ‖ header length ‖
 *              body length ‖ [number of children ‖ part …]        numbers are varints, low 7 bits first
 */
export interface PartOffsets {
  readonly kind: Part["kind"];
  readonly headerStart: number;
  readonly bodyStart: number;
  readonly bodyEnd: number;
  readonly children: readonly PartOffsets[];
}

export interface ByteSpan {
  readonly start: number;
  readonly end: number;
}

const VERSION = 1;
const KINDS: readonly Part["kind"][] = ["leaf", "multipart", "message"];

export function encodeOffsets(root: PartOffsets): Uint8Array {
  const out: number[] = [VERSION];
  const write = (part: PartOffsets, base: number): void => {
    out.push(KINDS.indexOf(part.kind));
    for (const value of [part.headerStart - base, part.bodyStart - part.headerStart, part.bodyEnd - part.bodyStart])
      pushVarint(out, value);
    if (part.kind === "leaf") return;
    pushVarint(out, part.children.length);
    for (const child of part.children) write(child, part.bodyStart);
  };
  write(root, 0);
  return Uint8Array.from(out);
}

/** Throws RangeError on bytes that {@link encodeOffsets} does not make. */
export function decodeOffsets(bytes: Uint8Array): PartOffsets {
  const reader = new VarintReader(bytes);
  if (reader.byte() !== VERSION) throw new RangeError("offsets of an unknown version");
  const read = (base: number, depth: number): PartOffsets => {
    const kind = KINDS[reader.byte()];
    if (!kind || depth > 1000) throw new RangeError("offsets can't be read");
    const headerStart = base + reader.varint();
    const bodyStart = headerStart + reader.varint();
    const bodyEnd = bodyStart + reader.varint();
    const count = kind === "leaf" ? 0 : reader.varint();
    if (count > bytes.length) throw new RangeError("offsets can't be read");
    const children: PartOffsets[] = [];
    for (let i = 0; i < count; i++) children.push(read(bodyStart, depth + 1));
    return { kind, headerStart, bodyStart, bodyEnd, children };
  };
  const root = read(0, 0);
  reader.end();
  return root;
}

/**
 * Where a section lies: RFC 9051 §6.4.5.1. `path` are part numbers; `what` is undefined for the part's content (with
 * an empty path: the whole message). Undefined if there is no such section.
 */
export function findSection(
  root: PartOffsets,
  path: readonly number[],
  what?: "HEADER" | "TEXT" | "MIME",
): ByteSpan | undefined {
  if (path.length === 0) return ofMessage(root, what);
  const part = findPart(root, path);
  if (!part) return undefined;
  if (what === undefined) return { start: part.bodyStart, end: part.bodyEnd };
  if (what === "MIME") return { start: part.headerStart, end: part.bodyStart };
  const [message] = part.children;
  return part.kind === "message" && message ? ofMessage(message, what) : undefined;
}

function ofMessage(message: PartOffsets, what: "HEADER" | "TEXT" | "MIME" | undefined): ByteSpan | undefined {
  if (what === "MIME") return undefined;
  return {
    start: what === "TEXT" ? message.bodyStart : message.headerStart,
    end: what === "HEADER" ? message.bodyStart : message.bodyEnd,
  };
}

/** A multipart's parts are numbered from 1; a message that is no multipart has one part, itself. Of a tree that knows more of
 * its parts (`partTree`) it gives that. */
export function findPart<P extends PartOffsets & { readonly children: readonly P[] }>(
  root: P,
  path: readonly number[],
): P | undefined {
  let part = root;
  for (const [depth, number] of path.entries()) {
    const inMessage = depth === 0 || part.kind === "message";
    const around = depth > 0 && part.kind === "message" ? part.children[0] : part;
    if (!around) return undefined;
    const next: P | undefined =
      around.kind === "multipart" ? around.children[number - 1] : inMessage && number === 1 ? around : undefined;
    if (!next) return undefined;
    part = next;
  }
  return part;
}
