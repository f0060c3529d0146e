import type { Pages } from "./pages.ts";

/** https://sqlite.org/fileformat2.html §1.6: kinds of pages whose cells hold records. */
const INDEX_INTERIOR = 0x02;
const INDEX_LEAF = 0x0a;
const TABLE_LEAF = 0x0d;
/** The first page begins with the file's own head. */
const FILE_HEAD = 100;

export type Value = number | string | Uint8Array | null;

/** A record as it lies in the file. */
export interface Cell {
  readonly kind: "row" | "key";
  /** The number of a row. */
  readonly row: number;
  /** The record's length. */
  readonly length: number;
  /** The part of the record that lies in the page, and the page where it goes on; 0 for none. */
  readonly local: Uint8Array;
  readonly next: number;
}

/** The cells of a page, each that can be told from the others; none for a page that holds no records, or is damaged. A page
 * of the pointer map (§1.8) never looks like one that has any. */
export function* cellsOf(pages: Pages, number: number): Generator<Cell> {
  const page = pages.read(number);
  const head = number === 1 ? FILE_HEAD : 0;
  const type = page[head];
  if (type !== TABLE_LEAF && type !== INDEX_LEAF && type !== INDEX_INTERIOR) return;
  const pointers = head + (type === INDEX_INTERIOR ? 12 : 8);
  const count = Math.min(page.readUInt16BE(head + 3), (pages.size - pointers) >> 1);
  for (let at = 0; at < count; at++) {
    const cell = cellAt(pages, page, type, page.readUInt16BE(pointers + 2 * at));
    if (cell) yield cell;
  }
}

function cellAt({ size, count }: Pages, page: Buffer, type: number, at: number): Cell | undefined {
  const reader = new Reader(page, type === INDEX_INTERIOR ? at + 4 : at);
  const length = reader.varint();
  const row = type === TABLE_LEAF ? reader.varint() : 0;
  if (length > size * count) return undefined;
  const most = type === TABLE_LEAF ? size - 35 : Math.floor(((size - 12) * 64) / 255) - 23;
  const least = Math.floor(((size - 12) * 32) / 255) - 23;
  const fitting = least + ((length - least) % (size - 4));
  const held = length <= most ? length : fitting <= most ? fitting : least;
  const end = reader.at + held;
  if (end + (held < length ? 4 : 0) > size) return undefined;
  const next = held < length ? page.readUInt32BE(end) : 0;
  return { kind: type === TABLE_LEAF ? "row" : "key", row, length, local: page.subarray(reader.at, end), next };
}

/** A cell's record up to `length`, with what lies in other pages; shorter if they lead nowhere. */
export function payload(pages: Pages, { length: whole, local, next }: Cell, length: number = whole): Uint8Array {
  const wanted = Math.min(length, whole);
  const pieces = [local];
  let have = local.length;
  for (let page = next; have < wanted && page > 1 && page <= pages.count; ) {
    const bytes = pages.read(page);
    page = bytes.readUInt32BE(0);
    pieces.push(bytes.subarray(4));
    have += bytes.length - 4;
  }
  return Buffer.concat(pieces, Math.min(have, wanted));
}

/** The values of a record (§2.1), undefined where it is none; a value that is cut off is as long as what is there. */
export function record(bytes: Uint8Array): Value[] | undefined {
  const reader = new Reader(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), 0);
  const head = reader.varint();
  const types: number[] = [];
  while (reader.at < head && !reader.isPast) types.push(reader.varint());
  if (reader.isPast || reader.at !== head) return undefined;
  return types.map((type) => reader.value(type));
}

class Reader {
  readonly #bytes: Buffer;
  at: number;

  constructor(bytes: Buffer, at: number) {
    this.#bytes = bytes;
    this.at = at;
  }

  get isPast(): boolean {
    return this.at > this.#bytes.length;
  }

  /** Seven bits an octet, the highest first; a ninth octet counts whole. §1.6 */
  varint(): number {
    let value = 0;
    for (let octets = 1; ; octets++) {
      const octet = this.#bytes[this.at++] ?? 0;
      if (octets === 9) return value * 256 + octet;
      value = value * 128 + (octet & 0x7f);
      if (octet < 0x80) return value;
    }
  }

  value(type: number): Value {
    if (type === 0) return null;
    if (type === 8 || type === 9) return type - 8;
    if (type < 8) return this.#integer(type === 5 ? 6 : type >= 6 ? 8 : type);
    const length = (type - (type % 2 === 0 ? 12 : 13)) / 2;
    const bytes = this.#bytes.subarray(this.at, this.at + length);
    this.at += length;
    return type % 2 === 0 ? bytes : bytes.toString("utf8");
  }

  #integer(octets: number): number {
    let value = 0;
    for (let at = 0; at < octets; at++) {
      const octet = this.#bytes[this.at++] ?? 0;
      value = value * 256 + (at === 0 && octet > 127 ? octet - 256 : octet);
    }
    return value;
  }
}
