import { Bytes } from "./bytes.ts";
import { findHeader, type HeaderField, parseHeaders } from "./headers.ts";
import {
  BOUNDARY_LINE_BYTES_MAX,
  DEPTH_MAX,
  HEADER_BYTES_MAX,
  KEPT_HEADER_BYTES_MAX,
  PARTS_MAX,
  PREVIEW_SOURCE_BYTES_MAX,
} from "./limits.ts";
import { findParameter, type Parameter, type Parameterized, parseParameterized } from "./parameters.ts";

/**
 * One pass over a message's bytes gives its structure: for every part the offsets of its header block and body. It
 * reads what comes in pieces, keeps header blocks (bounded) and no bodies, and never fails: whatever does not parse is
 * some part's content.
 *
 * Only line starts are looked at in a body, and only for "--"; so the speed is that of finding line ends.
 * Octets and lines are those of the stored bytes; a bare LF ends a line as CRLF does.
 */
export interface Part {
  readonly kind: "leaf" | "multipart" | "message";
  /** Octets from the start of the message. The header block ends where the body starts. */
  readonly headerStart: number;
  readonly bodyStart: number;
  readonly bodyEnd: number;
  /** Line ends in the body. */
  readonly lines: number;
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
  /** The header block of a message: the whole one's, and those within `message` parts. */
  readonly header: Uint8Array | undefined;
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
  /** `--boundary`, for a multipart. */
  delimiter: Uint8Array | undefined;
  /** Line ends before its body. */
  linesBefore: number;
  /** Its closing delimiter was seen: what follows is epilogue. */
  closed: boolean;
}

const DASH = 0x2d;
const CR = 0x0d;
const LF = 0x0a;

class LineScanner implements Scanner {
  readonly #root: Node;
  /** The innermost open part. */
  #current: Node;
  #inHeader = true;
  #header = new Bytes(HEADER_BYTES_MAX);
  #rootHeaderWhole = true;
  #rootFields: readonly HeaderField[] = [];
  #keptHeaders = 0;
  #parts = 1;
  #openDelimiters = 0;
  /** Where the current line starts, and the octets of the line end before it. */
  #lineStart = 0;
  #lastEol = 0;
  #lines = 0;
  /** The beginning of a line whose end has not come yet, and its whole length so far. */
  #carry = new Bytes(BOUNDARY_LINE_BYTES_MAX);
  #carryLength = 0;
  /** Its last two octets. */
  #beforeLast = 0;
  #last = 0;
  #preview: { readonly node: Node; readonly bytes: Bytes } | undefined;
  #previewClosed = false;
  readonly #previews: { readonly node: Node; readonly bytes: Bytes }[] = [];

  constructor() {
    this.#root = makeNode(undefined, 0);
    this.#current = this.#root;
  }

  push(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length; ) {
      if (!this.#inHeader && this.#openDelimiters === 0 && this.#carryLength === 0 && !this.#preview) {
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
      else this.#endLine(end - at, newline > at && chunk[newline - 1] === CR ? 2 : 1);
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
    this.#lastEol = last > from && chunk[last - 1] === CR ? 2 : 1;
    if (last + 1 < chunk.length) this.#hold(chunk, last + 1, chunk.length);
  }

  #hold(chunk: Uint8Array, from: number, to: number): void {
    // In a header, and where a preview is taken, the line is wanted whole; else only what a delimiter could be.
    if (this.#inHeader) this.#header.add(chunk, from, to);
    else if (this.#preview) this.#preview.bytes.add(chunk, from, to);
    this.#carry.add(chunk, from, to);
    this.#carryLength += to - from;
    this.#beforeLast = to - from > 1 ? chunk[to - 2]! : this.#last;
    this.#last = chunk[to - 1]!;
  }

  #endHeldLine(): void {
    const line = this.#carry.take();
    const length = this.#carryLength;
    this.#carryLength = 0;
    const eol = length > 1 && this.#beforeLast === CR ? 2 : 1;
    this.#handleLine(line, 0, Math.min(line.length, length), length, eol, true);
  }

  #line(chunk: Uint8Array, from: number, to: number, length: number): void {
    const eol = length > 1 && chunk[to - 2] === CR ? 2 : 1;
    this.#handleLine(chunk, from, to, length, eol, false);
  }

  /** A whole line, or the first octets of a long one. `held`: header and preview have it already. */
  #handleLine(bytes: Uint8Array, from: number, to: number, length: number, eol: number, held: boolean): void {
    const hit =
      this.#openDelimiters > 0 && bytes[from] === DASH && bytes[from + 1] === DASH
        ? this.#match(bytes, from, to)
        : undefined;
    if (hit) {
      this.#boundary(hit.node, hit.closing, length, eol, held);
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
    this.#lines++;
  }

  /** The innermost open multipart whose delimiter this line is: RFC 2046 §5.1.1. */
  #match(bytes: Uint8Array, from: number, to: number): { readonly node: Node; readonly closing: boolean } | undefined {
    for (let node: Node | undefined = this.#current; node; node = node.parent) {
      const { delimiter } = node;
      if (!delimiter || node.closed || !startsWith(bytes, from, to, delimiter)) continue;
      let at = from + delimiter.length;
      const closing = bytes[at] === DASH && bytes[at + 1] === DASH;
      if (closing) at += 2;
      while (at < to && (bytes[at] === 0x20 || bytes[at] === 0x09 || bytes[at] === CR || bytes[at] === LF)) at++;
      if (at === to || closing) return { node, closing };
    }
    return undefined;
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
      node.closed = true;
      this.#openDelimiters--;
      this.#current = node;
      this.#inHeader = false;
      return;
    }
    this.#beginChild(node, node.type === "multipart" && node.subtype === "digest");
  }

  #beginChild(parent: Node, digest: boolean): void {
    const child = makeNode(parent, this.#lineStart);
    if (digest) {
      child.type = "message";
      child.subtype = "rfc822";
    }
    this.#parts++;
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
    const isMessage = node.parent === undefined || node.parent.kind === "message";
    if (isMessage) this.#keepHeader(node, block);
    const fields = parseHeaders(block);
    if (node.parent === undefined) this.#rootFields = fields;
    describe(node, fields);
    if (cut && node.type === "multipart" && findParameter(node.parameters, "boundary")) node.kind = "multipart";
    else if (cut) this.#leaf(node);
    else this.#enter(node);
  }

  #keepHeader(node: Node, block: Uint8Array): void {
    if (node.parent === undefined) {
      this.#rootHeaderWhole = block.length === node.bodyStart - node.headerStart;
      node.header = block;
      return;
    }
    this.#keptHeaders += block.length;
    node.header = this.#keptHeaders <= KEPT_HEADER_BYTES_MAX ? block : new Uint8Array(0);
  }

  /** A header block has ended: what kind of body follows? */
  #enter(node: Node): void {
    const mayNest = node.depth < DEPTH_MAX && this.#parts < PARTS_MAX;
    const boundary = findParameter(node.parameters, "boundary");
    if (node.type === "multipart" && boundary && mayNest) {
      node.kind = "multipart";
      node.delimiter = delimiterOf(boundary);
      this.#openDelimiters++;
    } else if (isEmbedded(node) && mayNest && isPlain(node.encoding)) {
      node.kind = "message";
      this.#beginChild(node, false);
    } else this.#leaf(node);
  }

  #leaf(node: Node): void {
    if (node.type === "multipart" || isEmbedded(node)) opaque(node);
    if (node.type !== "text" || this.#previewClosed || node.disposition?.value === "attachment") return;
    // The first plain text wins over an HTML part before it.
    if (this.#preview && node.subtype !== "plain") return;
    this.#preview = { node, bytes: new Bytes(PREVIEW_SOURCE_BYTES_MAX) };
    this.#previews.push(this.#preview);
    if (node.subtype === "plain") this.#previewClosed = true;
  }

  /** Ends the parts open within `ancestor`. Their bodies end before the line end that the delimiter owns. */
  #closeDownTo(ancestor: Node, at: number, eol: number, lines: number): void {
    this.#preview = undefined;
    for (let node = this.#current; node !== ancestor; node = node.parent!) {
      if (node.delimiter && !node.closed) this.#openDelimiters--;
      endBody(node, at, eol, lines);
    }
    this.#current = ancestor;
  }

  finish(): MessageStructure {
    // The last line may have no end.
    if (this.#carryLength > 0) {
      const line = this.#carry.take();
      const hit =
        this.#openDelimiters > 0 && line[0] === DASH && line[1] === DASH
          ? this.#match(line, 0, line.length)
          : undefined;
      if (hit) this.#boundary(hit.node, hit.closing, this.#carryLength, 0, true);
      else {
        this.#lineStart += this.#carryLength;
        this.#lastEol = 0;
      }
      this.#carryLength = 0;
      if (hit) this.#lines--;
    }
    if (this.#inHeader) this.#endHeaderAt(this.#lineStart, false);
    // A message within a message may have begun with nothing in it.
    while (this.#inHeader) this.#endHeaderAt(this.#lineStart, false);
    for (let node: Node | undefined = this.#current; node; node = node.parent) {
      node.bodyEnd = this.#lineStart;
      node.lines = this.#lines - node.linesBefore;
    }
    this.#fillEmpty(this.#root);
    const preview = this.#previews.find(({ node }) => node.subtype === "plain") ?? this.#previews[0];
    return {
      root: this.#root,
      size: this.#lineStart,
      header: this.#root.header ?? new Uint8Array(0),
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
    header: undefined,
    parent,
    depth: parent ? parent.depth + 1 : 0,
    delimiter: undefined,
    linesBefore: 0,
    closed: false,
  };
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
  const value = findHeader(fields, "content-type");
  if (value !== undefined) {
    const parsed = parseParameterized(value);
    const match = MEDIA_TYPE.exec(parsed.value);
    if (match) {
      node.type = match[1]!;
      node.subtype = match[2]!;
      node.parameters = parsed.parameters;
    }
  }
  node.encoding = parseParameterized(findHeader(fields, "content-transfer-encoding") ?? "7bit").value || "7bit";
  node.id = findHeader(fields, "content-id");
  node.description = findHeader(fields, "content-description");
  node.md5 = findHeader(fields, "content-md5");
  node.language = findHeader(fields, "content-language");
  node.location = findHeader(fields, "content-location");
  const disposition = findHeader(fields, "content-disposition");
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

function startsWith(bytes: Uint8Array, from: number, to: number, prefix: Uint8Array): boolean {
  if (to - from < prefix.length) return false;
  for (let i = 0; i < prefix.length; i++) if (bytes[from + i] !== prefix[i]) return false;
  return true;
}
