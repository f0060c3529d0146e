import { concat } from "../../crypto/primitives.ts";

/**
 * Resident state is columns, not objects: one typed array a field, in chunks, so that growing copies one chunk at most, a
 * checkpoint writes again only chunks that changed, and a million rows cost what their bytes cost.
 *
 * A table is a record of columns that share a row count. Rows are given in log order and are never moved while the
 * state is open; what a row's fields mean is the owner's business (`state.ts`).
 */
export const CHUNK_ROWS = 4096;
const CHUNK_SHIFT = 12;
const CHUNK_MASK = CHUNK_ROWS - 1;
/** The first chunk begins with this and doubles: most accounts are small, and there are many of them. */
const FIRST_ROWS = 64;

/** The rows for which room is made where `rows` want it. */
function roomFor(rows: number): number {
  if (rows > CHUNK_ROWS / 2) return Math.ceil(rows / CHUNK_ROWS) * CHUNK_ROWS;
  return Math.max(FIRST_ROWS, 2 ** Math.ceil(Math.log2(rows)));
}

export type ColumnKind = "u8" | "i16" | "u32" | "f64" | "id";
export type Chunk = Uint8Array | Int16Array | Uint32Array | Float64Array;

/** Bytes of one value of each kind; an `id` is 16 raw bytes. */
export const COLUMN_BYTES: Record<ColumnKind, number> = { u8: 1, i16: 2, u32: 4, f64: 8, id: 16 };

function makeChunk(kind: ColumnKind, rows: number): Chunk {
  return valuesIn(kind, new Uint8Array(rows * COLUMN_BYTES[kind]));
}

/** The values in all octets of a buffer, little endian; of ids the octets themselves. */
export function valuesIn(kind: ColumnKind, { buffer }: Uint8Array): Chunk {
  switch (kind) {
    case "u8":
    case "id":
      return new Uint8Array(buffer);
    case "i16":
      return new Int16Array(buffer);
    case "u32":
      return new Uint32Array(buffer);
    case "f64":
      return new Float64Array(buffer);
  }
}

/** Chunks written since the last checkpoint. Writes come in runs: the chunk of the last one is known without a look. */
class DirtyChunks {
  #chunks = new Set<number>();
  #last = -1;

  add(chunk: number): void {
    if (chunk === this.#last) return;
    this.#last = chunk;
    this.#chunks.add(chunk);
  }

  /** Chunks that changed since the last call. */
  take(): Set<number> {
    const taken = this.#chunks;
    this.#chunks = new Set();
    this.#last = -1;
    return taken;
  }
}

/** Values of one field, by row: kinds of both are named by the owner of the table. */
export class Column<V extends number = number, R extends number = number> {
  readonly kind: ColumnKind;
  readonly chunks: Chunk[] = [];
  readonly dirty: DirtyChunks;

  constructor(kind: ColumnKind, dirty: DirtyChunks) {
    this.kind = kind;
    this.dirty = dirty;
  }

  get(row: R): V {
    return this.chunks[row >> CHUNK_SHIFT]![row & CHUNK_MASK]! as V;
  }

  set(row: R, value: V): void {
    const chunk = row >> CHUNK_SHIFT;
    this.chunks[chunk]![row & CHUNK_MASK] = value;
    this.dirty.add(chunk);
  }

  /** The 16 bytes of an `id` column's row: a view, not a copy. */
  getId(row: R): Uint8Array {
    const at = (row & CHUNK_MASK) * 16;
    return (this.chunks[row >> CHUNK_SHIFT] as Uint8Array).subarray(at, at + 16);
  }

  /** Which of two rows of an `id` column is lower, octet by octet. */
  compareIds(a: R, b: R): number {
    const [one, other] = [this.chunks[a >> CHUNK_SHIFT]!, this.chunks[b >> CHUNK_SHIFT]!];
    const [from, against] = [(a & CHUNK_MASK) * 16, (b & CHUNK_MASK) * 16];
    for (let at = 0; at < 16; at++) {
      const order = one[from + at]! - other[against + at]!;
      if (order !== 0) return order;
    }
    return 0;
  }

  setId(row: R, id: Uint8Array): void {
    const chunk = row >> CHUNK_SHIFT;
    (this.chunks[chunk] as Uint8Array).set(id, (row & CHUNK_MASK) * 16);
    this.dirty.add(chunk);
  }

  /** Makes room for so many rows in all: {@link roomFor}. */
  grow(room: number): void {
    const chunk = makeChunk(this.kind, Math.min(room, CHUNK_ROWS));
    const [first] = this.chunks;
    if (first === undefined || room > CHUNK_ROWS) this.chunks.push(chunk);
    else {
      chunk.set(first);
      this.chunks[0] = chunk;
    }
  }

  /** The chunk's rows up to `rows`, as little-endian bytes; {@link loadChunk} takes them back. */
  chunkBytes(chunk: number, rows: number): Uint8Array {
    const { buffer, byteOffset } = this.chunks[chunk]!;
    return new Uint8Array(buffer, byteOffset, rows * COLUMN_BYTES[this.kind]).slice();
  }

  /** Takes over what fills a chunk; `bytes` have a buffer of their own. */
  loadChunk(bytes: Uint8Array, room: number): void {
    if (bytes.length === CHUNK_ROWS * COLUMN_BYTES[this.kind]) this.chunks.push(valuesIn(this.kind, bytes));
    else {
      this.grow(room);
      new Uint8Array(this.chunks.at(-1)!.buffer).set(bytes);
    }
  }
}

export type Schema = Readonly<Record<string, ColumnKind>>;

/** Kinds of numbers that some columns hold; all others hold plain ones. */
export type Kinds<S extends Schema> = { readonly [K in keyof S]?: number };
type ValueOf<N, K> = K extends keyof N ? (N[K] extends number ? N[K] : number) : number;

export class Table<S extends Schema, N extends Kinds<S> = Kinds<S>, R extends number = number> {
  readonly schema: S;
  readonly columns: { readonly [K in keyof S]: Column<ValueOf<N, K>, R> };
  readonly dirty: DirtyChunks = new DirtyChunks();
  #rows = 0;
  #room = 0;

  constructor(schema: S) {
    this.schema = schema;
    this.columns = Object.fromEntries(
      Object.entries(schema).map(([name, kind]) => [name, new Column(kind, this.dirty)]),
    ) as unknown as { readonly [K in keyof S]: Column<ValueOf<N, K>, R> };
  }

  get rows(): number {
    return this.#rows;
  }

  /** Kinds of its columns, in the schema's order. */
  get kinds(): readonly ColumnKind[] {
    return Object.values<ColumnKind>(this.schema);
  }

  /** A table of the same rows, of which none counts as written. */
  copy(): Table<S, N, R> {
    const copy = new Table<S, N, R>(this.schema);
    copy.#rows = this.#rows;
    copy.#room = this.#room;
    for (const name of Object.keys(this.schema))
      copy.columns[name]!.chunks.push(...this.columns[name]!.chunks.map((chunk) => chunk.slice()));
    return copy;
  }

  /** Adds a row of zeros and returns its number. */
  add(): R {
    const row = this.#rows++ as R;
    if (row === this.#room) {
      this.#room = roomFor(row + 1);
      for (const column of Object.values<Column>(this.columns)) column.grow(this.#room);
    }
    this.dirty.add(row >> CHUNK_SHIFT);
    return row;
  }

  get chunkCount(): number {
    return Math.ceil(this.#rows / CHUNK_ROWS);
  }

  chunkRows(chunk: number): number {
    return Math.min(CHUNK_ROWS, this.#rows - chunk * CHUNK_ROWS);
  }

  /** The values of a chunk, column by column: what goes over many rows reads these, since one place in the program then meets
   * one kind of array. */
  arrays(chunk: number): { readonly [K in keyof S]: S[K] extends "id" ? Uint8Array : Chunk } {
    const entries = Object.entries<Column>(this.columns).map(([name, { chunks }]) => [name, chunks[chunk]!]);
    return Object.fromEntries(entries);
  }

  /** One chunk of every column, in the schema's order, as one run of bytes: what a column page holds. */
  encodeChunk(chunk: number): Uint8Array {
    const rows = this.chunkRows(chunk);
    const pieces = Object.values<Column>(this.columns).map((column) => column.chunkBytes(chunk, rows));
    return concat(...pieces);
  }

  /** Appends a chunk of which nothing is left: zeros. */
  loadLost(rows: number): void {
    const width = Object.values<ColumnKind>(this.schema).reduce((sum, kind) => sum + COLUMN_BYTES[kind], 0);
    this.loadChunk(rows, new Uint8Array(rows * width));
  }

  /** Appends a chunk made by {@link encodeChunk}; chunks come in order and only the last may be short. One that an older
   * release wrote has the first `columnCount` columns alone: the others are zeros. Throws RangeError if the length does
   * not fit the schema. */
  loadChunk(rows: number, bytes: Uint8Array, columnCount: number = Object.keys(this.schema).length): void {
    const stored = this.kinds.slice(0, columnCount);
    const width = stored.reduce((sum, kind) => sum + COLUMN_BYTES[kind], 0);
    if (bytes.length !== rows * width) throw new RangeError("chunk length does not fit its rows");
    let at = 0;
    const columns = stored.map((kind) => {
      const from = at;
      at += rows * COLUMN_BYTES[kind];
      return bytes.slice(from, at);
    });
    this.loadColumns(rows, columns);
  }

  /** Appends a chunk, column by column, each with a buffer of its own; zeros for those that are absent. Throws RangeError. */
  loadColumns(rows: number, columns: readonly Uint8Array[]): void {
    if (this.#rows % CHUNK_ROWS !== 0 || rows < 1 || rows > CHUNK_ROWS) throw new RangeError("chunk out of order");
    this.#room = roomFor(this.#rows + rows);
    for (const [place, column] of Object.values<Column>(this.columns).entries())
      column.loadChunk(columns[place] ?? new Uint8Array(rows * COLUMN_BYTES[column.kind]), this.#room);
    this.#rows += rows;
  }
}
