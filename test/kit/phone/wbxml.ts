import { PAGES } from "./pages.ts";

/**
 * A document to be sent, as nested lists: a tag, then its content. A tag without a namespace is of the one around it:
 * `["AirSync:Sync", ["Collections"]]`. Text goes out as a string, bytes as opaque data.
 */
export type Tree = readonly [tag: string, ...content: (Tree | string | Uint8Array | undefined)[]];

const HEADER = [0x03, 0x01, 0x6a, 0x00];
const SWITCH_PAGE = 0x00;
const END = 0x01;
const STR_I = 0x03;
const OPAQUE = 0xc3;
const HAS_CONTENT = 0x40;

interface Tag {
  readonly page: number;
  readonly token: number;
  readonly name: string;
  readonly isOpaque: boolean;
}

const TAGS: readonly Tag[] = PAGES.flatMap(([namespace, tags], page) =>
  [...tags.matchAll(/([0-9A-F]{2}) (\w+)(\*?)/g)].map(([, token, name, star]) => ({
    page,
    token: Number.parseInt(token!, 16),
    name: `${namespace}:${name}`,
    isOpaque: star === "*",
  })),
);
const BY_NAME = new Map(TAGS.map((tag) => [tag.name, tag]));
const BY_TOKEN = new Map(TAGS.map((tag) => [tag.page * 64 + tag.token, tag]));

export function encode(tree: Tree): Uint8Array {
  const out: number[] = [...HEADER];
  let page = 0;
  const write = ([name, ...content]: Tree, around: string): void => {
    const full = name.includes(":") ? name : `${around}:${name}`;
    const tag = BY_NAME.get(full);
    if (!tag) throw new Error(`no tag ${full}`);
    if (tag.page !== page) out.push(SWITCH_PAGE, tag.page);
    page = tag.page;
    const inside = content.filter((item) => item !== undefined);
    out.push(inside.length > 0 ? tag.token | HAS_CONTENT : tag.token);
    if (inside.length === 0) return;
    for (const item of inside) {
      if (typeof item === "string") out.push(STR_I, ...Buffer.from(item), 0);
      else if (item instanceof Uint8Array) {
        out.push(OPAQUE, ...multiByte(item.length));
        for (const byte of item) out.push(byte);
      } else write(item, full.split(":")[0]!);
    }
    out.push(END);
  };
  write(tree, "");
  return Uint8Array.from(out);
}

/** An element that came. */
export class Node {
  readonly tag: string;
  readonly children: Node[] = [];
  text = "";
  /** Where it came as opaque data. */
  bytes: Uint8Array | undefined;

  constructor(tag: string) {
    this.tag = tag;
  }

  /** The tag without its namespace. */
  get name(): string {
    return this.tag.slice(this.tag.indexOf(":") + 1);
  }

  /** The children of this name; with a namespace, of that alone. */
  all(name: string): readonly Node[] {
    return this.children.filter((child) => (name.includes(":") ? child.tag : child.name) === name);
  }

  /** The one child of this name, if there is one. */
  find(name: string): Node | undefined {
    const [found, ...more] = this.all(name);
    if (more.length > 0) throw new Error(`${this.tag} has more than one ${name}: ${this}`);
    return found;
  }

  get(name: string): Node {
    const found = this.find(name);
    if (!found) throw new Error(`no ${name} in ${this}`);
    return found;
  }

  /** The text of what is found by a path of names; undefined where it ends before. */
  at(...path: readonly string[]): string | undefined {
    let node: Node | undefined = this;
    for (const name of path) node = node?.find(name);
    return node?.text;
  }

  /** As lines, each child two blanks deeper: for whoever reads a failure. */
  toString(): string {
    return linesOf(this).join("\n");
  }
}

export function linesOf(node: Node, depth = 0): readonly string[] {
  const value = node.bytes ? `x'${Buffer.from(node.bytes).toString("hex")}'` : JSON.stringify(node.text).slice(1, -1);
  const line = `${"  ".repeat(depth)}${node.name}${value === "" ? "" : ` ${value}`}`;
  return [line, ...node.children.flatMap((child) => linesOf(child, depth + 1))];
}

/** One thing that stands in a document, and where: for decoding, and for whoever explains the bytes. */
export type Token =
  | { readonly kind: "header"; readonly from: number; readonly to: number }
  | { readonly kind: "end"; readonly from: number; readonly to: number }
  | { readonly kind: "page"; readonly page: number; readonly from: number; readonly to: number }
  | { readonly kind: "tag"; readonly tag: Tag; readonly isOpen: boolean; readonly from: number; readonly to: number }
  | { readonly kind: "text"; readonly text: string; readonly from: number; readonly to: number }
  | { readonly kind: "opaque"; readonly bytes: Uint8Array; readonly from: number; readonly to: number };

/** Tokens of a document. Throws for those that ActiveSync does not use. */
export function* tokensOf(bytes: Uint8Array): Generator<Token> {
  let at = 0;
  let page = 0;
  const next = (): number => {
    const byte = bytes[at];
    if (byte === undefined) throw new Error(`the document ends at ${at}`);
    at += 1;
    return byte;
  };
  for (const byte of HEADER)
    if (next() !== byte) throw new Error(`no header: ${Buffer.from(bytes.subarray(0, 4)).toString("hex")}`);
  yield { kind: "header", from: 0, to: at };
  while (at < bytes.length) {
    const from = at;
    const byte = next();
    if (byte === SWITCH_PAGE) {
      const wanted = next();
      if (wanted === page) throw new Error(`page ${page} is switched to from itself, at ${from}`);
      page = wanted;
      if (!PAGES[page]) throw new Error(`no page ${page}, at ${from}`);
      yield { kind: "page", page, from, to: at };
    } else if (byte === END) yield { kind: "end", from, to: at };
    else if (byte === STR_I) {
      const end = bytes.indexOf(0, at);
      if (end < 0) throw new Error(`a text without an end, at ${from}`);
      const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes.subarray(at, end));
      at = end + 1;
      yield { kind: "text", text, from, to: at };
    } else if (byte === OPAQUE) {
      let size = 0;
      for (let part = 0x80; part >= 0x80; size = size * 128 + (part & 0x7f)) part = next();
      if (at + size > bytes.length) throw new Error(`opaque data beyond the end, at ${from}`);
      at += size;
      yield { kind: "opaque", bytes: bytes.subarray(at - size, at), from, to: at };
    } else {
      if (byte >= 0x80) throw new Error(`0x${byte.toString(16)} at ${from}`);
      const tag = BY_TOKEN.get(page * 64 + (byte & 0x3f));
      if (!tag) throw new Error(`no tag 0x${byte.toString(16)} on page ${page}, at ${from}`);
      yield { kind: "tag", tag, isOpen: (byte & HAS_CONTENT) !== 0, from, to: at };
    }
  }
}

/** Reads a document, strictly: what a server sends is to be exactly so. Throws. */
export function decode(bytes: Uint8Array): Node {
  const top = new Node("");
  const open: { readonly node: Node; readonly isOpaque: boolean }[] = [{ node: top, isOpaque: false }];
  for (const token of tokensOf(bytes)) {
    const { node, isOpaque } = open.at(-1)!;
    if (token.kind === "header" || token.kind === "page") continue;
    if (open.length === 1 && (token.kind !== "tag" || top.children.length > 0))
      throw new Error(`${token.kind} outside the root, at ${token.from}`);
    if (token.kind === "tag") {
      const child = new Node(token.tag.name);
      node.children.push(child);
      if (token.isOpen) open.push({ node: child, isOpaque: token.tag.isOpaque });
    } else if (token.kind === "end") {
      if (node.children.length > 0 && (node.text !== "" || node.bytes))
        throw new Error(`${node.tag} has text and elements`);
      open.pop();
    } else if (token.kind === "text") {
      if (isOpaque) throw new Error(`${node.tag} is no opaque data`);
      node.text += token.text;
    } else {
      node.bytes = Uint8Array.from([...(node.bytes ?? []), ...token.bytes]);
      node.text += Buffer.from(token.bytes).toString("latin1");
    }
  }
  if (open.length > 1 || top.children.length === 0)
    throw new Error(`the document ends within ${open.at(-1)!.node.tag}`);
  return top.children[0]!;
}

function multiByte(value: number): readonly number[] {
  const bytes = [value & 0x7f];
  for (let rest = value >>> 7; rest > 0; rest >>>= 7) bytes.unshift((rest & 0x7f) | 0x80);
  return bytes;
}
