import { Bytes } from "./bytes.ts";
import { DecodedOctets } from "./decoded-octets.ts";
import { Delimiters } from "./delimiters.ts";
import { ENVELOPE_FIELDS, findHeader, type HeaderField, parseHeaders } from "./headers.ts";
import {
  BOUNDARY_LINE_BYTES_MAX,
  DEPTH_MAX,
  ENVELOPES_BYTES_MAX,
  HEADER_BYTES_MAX,
  PART_HEADERS_BYTES_MAX,
  PARTS_MAX,
  PREVIEW_SOURCE_BYTES_MAX,
} from "./limits.ts";
import { type Parameter, type Parameterized, parameterOctets, parseParameterized } from "./parameters.ts";

/**
 * One pass over a message's bytes gives its structure: for every part the offsets of its header block and body. It
 * reads what comes in pieces, keeps header blocks (bounded) and no bodies, and never fails: whatever does not parse is
 * some part's content.
 *
 * Only line starts are looked at in a body, and only for "--"; so the speed is that of finding line ends.
 * Octets and lines are those of the stored bytes; a bare LF ends a line as CRLF does, and so does CR CR LF, which programs make that
 * turn LF into CRLF twice.
 *
 * Invariant: what is told of a message is bounded, whatever its size. Beyond PARTS_MAX parts, or PART_HEADERS_BYTES_MAX
 * octets of their headers, all that follows is the body of one last, opaque part, and of the parts that are open around it.
 */
export interface Part {
  readonly kind: "leaf" | "multipart" | "message";
  /** Octets from the start of the message. The header block ends where the body starts. */
  readonly headerStart: number;
  readonly bodyStart: number;
  readonly bodyEnd: number;
  /** Line ends in the body. */
  readonly lines: number;
  /** Octets of the body once its transfer encoding is undone; of a multipart and a message, of the body as it is. */
  readonly octets: number;
  /** In lower case. */
  readonly type: string;
  readonly subtype: string;
  readonly parameters: readonly Parameter[];
  readonly id: string | undefined;
  readonly description: string | undefined;
  readonly encoding: string;
  readonly md5: string | undefined;
  readonly disposition: Parameterized | undefined;
  readonly language: string | undefined;
  readonly location: string | undefined;
  /** A multipart's parts; a message part's one message. */
  readonly children: readonly Part[];
  /** Of a message within another: the fields that ENVELOPE tells, as far as they are kept. */
  readonly envelope: readonly HeaderField[];
}

export interface MessageStructure {
  readonly root: Part;
  /** Octets of the message. */
  readonly size: number;
  /** Its own header block with the empty line, and whether it is whole: beyond the limit it is cut off. */
  readonly header: Uint8Array;
  readonly headerWhole: boolean;
  /** The fields of that block. */
  readonly fields: readonly HeaderField[];
  /** The first octets of the first text part, still encoded, to make a preview of. */
  readonly previewSource: { readonly part: Part; readonly bytes: Uint8Array } | undefined;
}

export interface Scanner {
  /** A call's work is linear in its chunk, whatever came before: who shares a thread pushes pieces, and breathes between. */
  push(chunk: Uint8Array): void;
  finish(): MessageStructure;
}

export function createScanner(): Scanner {
  return new LineScanner();
}

export function scan(message: Uint8Array): MessageStructure {
  const scanner = createScanner();
  scanner.push(message);
  return scanner.finish();
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };
interface Node extends Writable<Omit<Part, "children">> {
  children: Node[];
  parent: Node | undefined;
  depth: number;
  /** `--boundary`, for a multipart until its closing delimiter was seen: what follows that is epilogue. */
  delimiter: Uint8Array | undefined;
  /** Line ends before its body. */
  linesBefore: number;
}

const NOTHING = new Uint8Array(0);
const DASH = 0x2d;
const CR = 0x0d;
const LF = 0x0a;

class LineScanner implements Scanner {
  readonly #root: Node;
  /** The innermost open part. */
  #current: Node;
  #inHeader = true;
  #header = new Bytes(HEADER_BYTES_MAX);
  #rootHeader: Uint8Array = new Uint8Array(0);
  #rootHeaderWhole = true;
  #rootFields: readonly HeaderField[] = [];
  /** Parts told of, with the one that an open multipart will surely have, and octets of their headers. */
  #parts = 1;
  #partHeaderBytes = 0;
  #envelopeBytes = 0;
  readonly #delimiters = new Delimiters<Node>();
  /** The piece that is being read, and the octet of the message that it starts at. */
  #piece: Uint8Array = NOTHING;
  #pieceStart = 0;
  /** Of the current part, if it is encoded. */
  #decoded: DecodedOctets | undefined;
  /** Where the current line starts, and the octets of the line end before it. */
  #lineStart = 0;
  #lastEol = 0;
  #lines = 0;
  /** The beginning of a line whose end has not come yet, and its whole length so far. */
  #carry = new Bytes(BOUNDARY_LINE_BYTES_MAX);
  #carryLength = 0;
  /** Its last three octets. */
  #lastThree: readonly [number, number, number] = [0, 0, 0];
  #preview: { readonly node: Node; readonly bytes: Bytes } | undefined;
  #previewClosed = false;
  /** The part that the preview is made of, as far as it is known. */
  #previewed: { readonly node: Node; readonly bytes: Bytes } | undefined;

  constructor() {
    this.#root = makeNode(undefined, 0);
    this.#current = this.#root;
  }

  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    this.#piece = chunk;
    this.#readLines(chunk);
    this.#decoded?.push(chunk, this.#pieceStart, this.#lineStart - this.#lastEol);
    this.#pieceStart += chunk.length;
    this.#piece = NOTHING;
  }

  #readLines(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length; ) {
      if (!this.#inHeader && this.#delimiters.isEmpty && this.#carryLength === 0 && !this.#preview) {
        this.#countRest(chunk, at);
        return;
      }
      const newline = chunk.indexOf(LF, at);
      if (newline < 0) {
        this.#hold(chunk, at, chunk.length);
        return;
      }
      const end = newline + 1;
      if (this.#carryLength > 0) {
        this.#hold(chunk, at, end);
        this.#endHeldLine();
      } else if (this.#inHeader || this.#preview || (chunk[at] === DASH && chunk[at + 1] === DASH))
        this.#line(chunk, at, end, end - at);
      else this.#endLine(end - at, lineEndOf(chunk, newline));
      at = end;
    }
  }

  /** Nothing can end the part any more: only lines are counted. */
  #countRest(chunk: Uint8Array, from: number): void {
    let last = -1;
    for (let at = chunk.indexOf(LF, from); at >= 0; at = chunk.indexOf(LF, at + 1)) {
      this.#lines++;
      last = at;
    }
    if (last < 0) {
      this.#hold(chunk, from, chunk.length);
      return;
    }
    this.#lineStart += last + 1 - from;
    this.#lastEol = lineEndOf(chunk, last);
    if (last + 1 < chunk.length) this.#hold(chunk, last + 1, chunk.length);
  }

  #hold(chunk: Uint8Array, from: number, to: number): void {
    // In a header, and where a preview is taken, the line is wanted whole; else only what a delimiter could be.
    if (this.#inHeader) this.#header.add(chunk, from, to);
    else if (this.#preview) this.#preview.bytes.add(chunk, from, to);
    this.#carry.add(chunk, from, to);
    this.#carryLength += to - from;
    const [, second, third] = this.#lastThree;
    if (to - from > 2) this.#lastThree = [chunk[to - 3]!, chunk[to - 2]!, chunk[to - 1]!];
    else if (to - from === 2) this.#lastThree = [third, chunk[to - 2]!, chunk[to - 1]!];
    else this.#lastThree = [second, third, chunk[to - 1]!];
  }

  #endHeldLine(): void {
    const line = this.#carry.take();
    const length = this.#carryLength;
    this.#carryLength = 0;
    const octets = this.#lastThree.slice(-Math.min(3, length));
    const eol = lineEndOf(octets, octets.length - 1);
    this.#handleLine(line, 0, Math.min(line.length, length), length, eol, true);
    line.fill(0);
  }

  #line(chunk: Uint8Array, from: number, to: number, length: number): void {
    const eol = lineEndOf(chunk, to - 1);
    this.#handleLine(chunk, from, to, length, eol, false);
  }

  /** A whole line, or the first octets of a long one. `held`: header and preview have it already. */
  #handleLine(bytes: Uint8Array, from: number, to: number, length: number, eol: number, held: boolean): void {
    const hit = this.#match(bytes, from, to);
    if (hit) {
      this.#boundary(hit.owner, hit.closing, length, eol, held);
      return;
    }
    if (this.#inHeader) {
      if (!held) this.#header.add(bytes, from, to);
      this.#endLine(length, eol);
      if (length === eol) this.#endHeader();
      return;
    }
    if (this.#preview && !held) this.#preview.bytes.add(bytes, from, to);
    this.#endLine(length, eol);
  }

  #endLine(length: number, eol: number): void {
    this.#lineStart += length;
    this.#lastEol = eol;
    if (eol > 0) this.#lines++;
  }

  /** The innermost open multipart whose delimiter this line is: RFC 2046 §5.1.1. Of a long line only the beginning counts,
   * however it came. */
  #match(bytes: Uint8Array, from: number, to: number): ReturnType<Delimiters<Node>["match"]> {
    if (this.#delimiters.isEmpty || bytes[from] !== DASH || bytes[from + 1] !== DASH) return undefined;
    return this.#delimiters.match(bytes, from, Math.min(to, from + BOUNDARY_LINE_BYTES_MAX));
  }

  /** A delimiter line: what is open within `node` ends before the line end that belongs to it. */
  #boundary(node: Node, closing: boolean, length: number, eol: number, held: boolean): void {
    const start = this.#lineStart;
    if (held) this.#preview?.bytes.drop(length);
    if (this.#inHeader) {
      // A header block without its empty line: it ends here, and the body is empty.
      if (held) this.#header.drop(length);
      const end = Math.max(start - this.#lastEol, this.#current.headerStart);
      this.#header.drop(start - end);
      this.#endHeaderAt(end, true);
    }
    this.#closeDownTo(node, start, this.#lastEol, this.#lines);
    this.#endLine(length, eol);
    if (closing) {
      this.#closeDelimiter(node);
      this.#current = node;
      this.#inHeader = false;
      return;
    }
    if (node.children.length > 0) {
      if (!this.#hasRoom) {
        this.#beginRest(node);
        return;
      }
      this.#parts++;
    }
    this.#beginChild(node, node.type === "multipart" && node.subtype === "digest");
  }

  /** True if the structure may have one more part, and one for the rest behind it. */
  get #hasRoom(): boolean {
    return this.#parts < PARTS_MAX - 1 && this.#partHeaderBytes < PART_HEADERS_BYTES_MAX;
  }

  /** All that follows is one part's body: nothing is looked for in it. */
  #beginRest(parent: Node): void {
    const rest = makeNode(parent, this.#lineStart);
    opaque(rest);
    rest.encoding = "binary";
    rest.linesBefore = this.#lines;
    this.#parts++;
    parent.children.push(rest);
    for (let node: Node | undefined = parent; node; node = node.parent) this.#closeDelimiter(node);
    this.#current = rest;
    this.#inHeader = false;
  }

  #closeDelimiter(node: Node): void {
    if (node.delimiter) this.#delimiters.close(node.delimiter);
    node.delimiter = undefined;
  }

  #beginChild(parent: Node, digest: boolean): void {
    const child = makeNode(parent, this.#lineStart);
    if (digest) {
      child.type = "message";
      child.subtype = "rfc822";
    }
    parent.children.push(child);
    this.#current = child;
    this.#inHeader = true;
    this.#header = new Bytes(HEADER_BYTES_MAX);
  }

  #endHeader(): void {
    this.#endHeaderAt(this.#lineStart, false);
  }

  #endHeaderAt(bodyStart: number, cut: boolean): void {
    const node = this.#current;
    node.bodyStart = bodyStart;
    // The line end before a delimiter that cut the header off is the delimiter's.
    node.linesBefore = this.#lines - (bodyStart < this.#lineStart ? 1 : 0);
    this.#inHeader = false;
    const block = this.#header.take();
    const fields = parseHeaders(block);
    if (node.parent === undefined) {
      this.#rootHeaderWhole = block.length === node.bodyStart - node.headerStart;
      this.#rootHeader = block;
      this.#rootFields = fields;
    } else this.#partHeaderBytes += block.length;
    if (node.parent?.kind === "message") this.#keepEnvelope(node, fields);
    describe(node, fields);
    if (!cut) this.#enter(node);
    else if (this.#hasRoom && node.type === "multipart" && parameterOctets(node.parameters, "boundary")) {
      node.kind = "multipart";
      this.#parts++;
    } else this.#leaf(node);
  }

  #keepEnvelope(node: Node, fields: readonly HeaderField[]): void {
    const kept = fields.filter(({ key }) => ENVELOPE_FIELDS.has(key));
    for (const { start, end } of kept) this.#envelopeBytes += end - start;
    if (this.#envelopeBytes <= ENVELOPES_BYTES_MAX) node.envelope = kept;
  }

  /** A header block has ended: what kind of body follows? */
  #enter(node: Node): void {
    const mayNest = node.depth < DEPTH_MAX && this.#hasRoom;
    const boundary = parameterOctets(node.parameters, "boundary");
    if (node.type === "multipart" && boundary && mayNest) {
      node.kind = "multipart";
      node.delimiter = delimiterOf(boundary);
      this.#delimiters.open(node.delimiter, node);
      this.#parts++;
    } else if (isEmbedded(node) && mayNest && isPlain(node.encoding)) {
      node.kind = "message";
      this.#parts++;
      this.#beginChild(node, false);
    } else this.#leaf(node);
  }

  #leaf(node: Node): void {
    if (node.type === "multipart" || isEmbedded(node)) opaque(node);
    this.#decoded = DecodedOctets.of(node.encoding, node.bodyStart);
    if (node.type !== "text" || this.#previewClosed || node.disposition?.value === "attachment") return;
    // The first plain text wins over an HTML part before it.
    if (this.#previewed && node.subtype !== "plain") return;
    this.#preview = { node, bytes: new Bytes(PREVIEW_SOURCE_BYTES_MAX) };
    this.#previewed = this.#preview;
    if (node.subtype === "plain") this.#previewClosed = true;
  }

  /** Ends the parts open within `ancestor`. Their bodies end before the line end that the delimiter owns. */
  #closeDownTo(ancestor: Node, at: number, eol: number, lines: number): void {
    this.#preview = undefined;
    for (let node = this.#current; node !== ancestor; node = node.parent!) {
      this.#closeDelimiter(node);
      endBody(node, at, eol, lines);
      this.#countOctets(node);
    }
    this.#current = ancestor;
  }

  /** The part's body has ended. */
  #countOctets(node: Node): void {
    node.octets = this.#decoded?.octetsTo(this.#piece, this.#pieceStart, node.bodyEnd) ?? node.bodyEnd - node.bodyStart;
    this.#decoded = undefined;
  }

  finish(): MessageStructure {
    // The last line may have no end.
    if (this.#carryLength > 0) {
      const line = this.#carry.take();
      const hit = this.#match(line, 0, line.length);
      if (hit) this.#boundary(hit.owner, hit.closing, this.#carryLength, 0, true);
      else this.#endLine(this.#carryLength, 0);
      this.#carryLength = 0;
      line.fill(0);
    }
    this.#carry.wipe();
    if (this.#inHeader) this.#endHeaderAt(this.#lineStart, false);
    // A message within a message may have begun with nothing in it.
    while (this.#inHeader) this.#endHeaderAt(this.#lineStart, false);
    for (let node: Node | undefined = this.#current; node; node = node.parent) {
      node.bodyEnd = this.#lineStart;
      node.lines = this.#lines - node.linesBefore;
      this.#countOctets(node);
    }
    this.#fillEmpty(this.#root);
    const preview = this.#previewed;
    return {
      root: this.#root,
      size: this.#lineStart,
      header: this.#rootHeader,
      headerWhole: this.#rootHeaderWhole,
      fields: this.#rootFields,
      previewSource: preview && { part: preview.node, bytes: preview.bytes.take() },
    };
  }

  /** A multipart in which no delimiter ever came: the grammar wants a part, so it has an empty one. */
  #fillEmpty(node: Node): void {
    if (node.kind === "multipart" && node.children.length === 0) {
      const empty = makeNode(node, node.bodyEnd);
      node.children.push(empty);
    }
    for (const child of node.children) this.#fillEmpty(child);
  }
}

function makeNode(parent: Node | undefined, start: number): Node {
  return {
    kind: "leaf",
    headerStart: start,
    bodyStart: start,
    bodyEnd: start,
    lines: 0,
    octets: 0,
    type: "text",
    subtype: "plain",
    parameters: [],
    id: undefined,
    description: undefined,
    encoding: "7bit",
    md5: undefined,
    disposition: undefined,
    language: undefined,
    location: undefined,
    children: [],
    envelope: [],
    parent,
    depth: parent ? parent.depth + 1 : 0,
    delimiter: undefined,
    linesBefore: 0,
  };
}

/** Octets of the line end whose LF is at `newline`. Before the line stands nothing, or the LF of another. */
function lineEndOf(octets: ArrayLike<number>, newline: number): number {
  if (octets[newline - 1] !== CR) return 1;
  return octets[newline - 2] === CR ? 3 : 2;
}

/** A body ends before the line end that the delimiter at `at` owns; one of nothing ends where it begins: that line end
 * is its header's, and so it is in all bodies around it. */
function endBody(node: Node, at: number, eol: number, lines: number): void {
  const least = node.children.at(-1)?.bodyEnd ?? node.bodyStart;
  const owned = at - eol >= least && eol > 0;
  node.bodyEnd = owned ? at - eol : Math.max(at - eol, least);
  node.lines = lines - node.linesBefore - (owned ? 1 : 0);
}

/** A type whose inside we don't have is told as bytes: RFC 9051 §7.5.2 has no other form for it. */
function opaque(node: Node): void {
  node.kind = "leaf";
  node.type = "application";
  node.subtype = "octet-stream";
}

/** Two tokens of RFC 2045 §5.1. */
const MEDIA_TYPE = /^([\w!#$%&'*+.^`{|}~-]+)\s*\/\s*([\w!#$%&'*+.^`{|}~-]+)$/;

function describe(node: Node, fields: readonly HeaderField[]): void {
  // BODYSTRUCTURE can say neither NUL nor CR: what is read of it must be what was read here.
  const find = (name: string): string | undefined =>
    findHeader(fields, name)
      ?.replaceAll("\0", "")
      .replace(/[\r\n]+/g, " ");
  const value = find("content-type");
  if (value !== undefined) {
    const parsed = parseParameterized(value);
    const match = MEDIA_TYPE.exec(parsed.value);
    if (match) {
      node.type = match[1]!;
      node.subtype = match[2]!;
      node.parameters = parsed.parameters;
    }
  }
  node.encoding = parseParameterized(find("content-transfer-encoding") ?? "7bit").value || "7bit";
  node.id = find("content-id");
  node.description = find("content-description");
  node.md5 = find("content-md5");
  node.language = find("content-language");
  node.location = find("content-location");
  const disposition = find("content-disposition");
  if (disposition !== undefined) {
    const parsed = parseParameterized(disposition);
    if (parsed.value !== "") node.disposition = parsed;
  }
}

function isEmbedded({ type, subtype }: Node): boolean {
  return type === "message" && (subtype === "rfc822" || subtype === "global");
}

function isPlain(encoding: string): boolean {
  return encoding !== "base64" && encoding !== "quoted-printable";
}

function delimiterOf(boundary: string): Uint8Array {
  const text = `--${boundary.trimEnd()}`;
  return Uint8Array.from(text, (char) => char.charCodeAt(0) & 0xff);
}
