import { fromZigzag, OctetReader, writeVarint, zigzag } from "../octets.ts";
import { type Chunk, COLUMN_BYTES, type ColumnKind, valuesIn } from "./columns.ts";

/**
 * Column pages as checkpoints store them (docs/formats/checkpoint.md). Most columns count up or stay the same for long: what
 * is stored of these are steps from value to value.
 *
 *     page     for each column: 0 ‖ its values, or 1 ‖ steps
 *     step     varint of twice the zigzag of the difference, and one if it comes more than once: then a varint of how often more
 */
const AS_THEY_ARE = 0;
const IN_STEPS = 1;
/** Differences beyond it are not counted with. */
const DIFFERENCE_MAX: number = 2 ** 50;

/** The values in `raw`, of `rows` rows, each column's one after the other, little endian; shorter where they allow it. */
export function encodeColumns(kinds: readonly ColumnKind[], rows: number, raw: Uint8Array): Uint8Array {
  const out = new Uint8Array(raw.length + kinds.length);
  let [from, to] = [0, 0];
  for (const kind of kinds) {
    const column = raw.slice(from, from + rows * COLUMN_BYTES[kind]);
    from += column.length;
    const end = kind === "id" ? undefined : writeSteps(valuesIn(kind, column), out, to + 1, to + 1 + column.length);
    out[to] = end === undefined ? AS_THEY_ARE : IN_STEPS;
    if (end === undefined) out.set(column, to + 1);
    to = end ?? to + 1 + column.length;
  }
  return out.slice(0, to);
}

/** The columns of {@link encodeColumns}, each with a buffer of its own. Throws RangeError on bytes that it does not make. */
export function decodeColumns(kinds: readonly ColumnKind[], rows: number, bytes: Uint8Array): Uint8Array[] {
  const reader = new OctetReader(bytes);
  const columns = kinds.map((kind) => {
    const length = rows * COLUMN_BYTES[kind];
    const how = reader.octet();
    if (how === AS_THEY_ARE) return reader.octets(length);
    if (how !== IN_STEPS || kind === "id") throw new RangeError("column of an unknown form");
    const column = new Uint8Array(length);
    readSteps(reader, valuesIn(kind, column));
    return column;
  });
  reader.end();
  return columns;
}

/** Where they end; undefined where they are no shorter than `end - at`, or are no whole numbers. */
function writeSteps(values: Chunk, out: Uint8Array, at: number, end: number): number | undefined {
  // Zero has two forms, and steps know of one.
  if (values instanceof Float64Array && values.some((value) => Object.is(value, -0))) return undefined;
  let before = 0;
  for (let row = 0; row < values.length; ) {
    const difference = values[row]! - before;
    if (!Number.isSafeInteger(difference) || Math.abs(difference) > DIFFERENCE_MAX) return undefined;
    let last = row;
    while (last + 1 < values.length && values[last + 1]! - values[last]! === difference) last++;
    const more = last - row;
    at = writeVarint(zigzag(difference) * 2 + (more > 0 ? 1 : 0), out, at);
    if (more > 0) at = writeVarint(more, out, at);
    // A varint has at most eight octets, and `out` ends no sooner.
    if (at + 16 >= end) return undefined;
    before = values[last]!;
    row = last + 1;
  }
  return at;
}

/** Fills `values` with what the steps lead to. */
function readSteps(reader: OctetReader, values: Chunk): void {
  let value = 0;
  for (let row = 0; row < values.length; ) {
    const head = reader.varint();
    const difference = fromZigzag(Math.floor(head / 2));
    const end = row + 1 + (head % 2 === 1 ? reader.varint() : 0);
    if (end > values.length) throw new RangeError("more values than rows");
    if (difference === 0) values.fill(value, row, end);
    else for (let at = row; at < end; at++) values[at] = value += difference;
    // A value that its column can't hold became another one.
    if (values[end - 1] !== value) throw new RangeError("value does not fit its column");
    row = end;
  }
}
