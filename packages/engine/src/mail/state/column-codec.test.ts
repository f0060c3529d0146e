import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeColumns, encodeColumns } from "./column-codec.ts";
import { COLUMN_BYTES, type ColumnKind } from "./columns.ts";

const KINDS: readonly ColumnKind[] = ["u8", "i16", "u32", "f64", "id"];
const bytesOf = (values: ArrayBufferView): Uint8Array =>
  new Uint8Array(values.buffer, values.byteOffset, values.byteLength);

const joined = (columns: readonly Uint8Array[]): Uint8Array => new Uint8Array(columns.flatMap((column) => [...column]));

/** Columns as tables have them: runs, counts, whole numbers, and what is none of these. */
const table = fc
  .tuple(
    fc.array(fc.constantFrom(...KINDS), { maxLength: 6 }),
    fc.integer({ min: 0, max: 300 }),
    fc.infiniteStream(fc.nat(2 ** 31)),
  )
  .map(([kinds, rows, numbers]) => {
    const next = (): number => numbers.next().value;
    const pieces = kinds.map((kind) => {
      const bytes = new Uint8Array(rows * COLUMN_BYTES[kind]);
      const shape = next() % 4;
      if (kind === "id" || shape === 0) return bytes.map(() => next() & 255);
      const column = { u8: Uint8Array, i16: Int16Array, u32: Uint32Array, f64: Float64Array }[kind];
      const values = new column(bytes.buffer);
      const [start, step] = [next(), (next() % 7) - 3];
      for (let row = 0; row < rows; row++)
        values[row] =
          shape === 1
            ? start + row * step
            : shape === 2
              ? next() % 5 === 0
                ? next()
                : (values[row - 1] ?? 0)
              : next() * 1000;
      return bytes;
    });
    return { kinds, rows, raw: new Uint8Array(pieces.flatMap((piece) => [...piece])) };
  });

test("columns come back octet by octet, and are never much longer", () => {
  fc.assert(
    fc.property(table, ({ kinds, rows, raw }) => {
      const bytes = encodeColumns(kinds, rows, raw);
      expect(bytes.length).toBeLessThanOrEqual(raw.length + kinds.length);
      expect(joined(decodeColumns(kinds, rows, bytes))).toEqual(raw);
    }),
    { numRuns: 300 },
  );
});

test("what counts up, stays or is zero takes some octets", () => {
  const rows = 4096;
  const counts = Uint32Array.from({ length: rows }, (_, row) => 70_000 + row);
  const same = new Float64Array(rows).fill(1_700_000_000_123);
  const stamps = Float64Array.from({ length: rows }, (_, row) => 1_700_000_000_000 + row * row);
  for (const [kind, values, most] of [
    ["u32", counts, 12],
    ["f64", same, 14],
    ["i16", new Int16Array(rows).fill(-330), 8],
    ["u8", new Uint8Array(rows), 8],
    ["f64", stamps, 3 * rows],
  ] as const)
    expect(encodeColumns([kind], rows, bytesOf(values)).length).toBeLessThanOrEqual(most);
});

test.each([
  ["not a number", Float64Array.of(0, Number.NaN)],
  ["infinite", Float64Array.of(Number.POSITIVE_INFINITY, 1)],
  ["a fraction", Float64Array.of(0.5, 0.5)],
  ["minus zero", Float64Array.of(-0, -0)],
  ["too far from the one before", Float64Array.of(2 ** 52 + 1, 0)],
  ["beyond whole numbers", Float64Array.of(2 ** 60, -(2 ** 60))],
])("a value that is %s comes back as it was", (_, values) => {
  for (const column of [
    Float64Array.of(...values, ...new Float64Array(98)),
    Float64Array.of(...new Float64Array(98), ...values),
  ]) {
    const bytes = encodeColumns(["f64"], 100, bytesOf(column));
    expect(decodeColumns(["f64"], 100, bytes)).toEqual([bytesOf(column)]);
  }
});

test.each<[string, readonly ColumnKind[], number, readonly number[]]>([
  ["nothing", ["u8"], 1, []],
  ["a column that is cut off", ["u32"], 2, [0, 1, 2, 3, 4, 5]],
  ["steps that are cut off", ["u32"], 2, [1, 0x80]],
  ["too few steps", ["u32"], 2, [1, 0]],
  ["too many values", ["u32"], 2, [1, 1, 2]],
  ["an unknown form", ["u8"], 1, [2, 0]],
  ["steps of ids", ["id"], 1, [1, 1, 15]],
  ["a run without end", ["u32"], 4, [1, 5, ...Array<number>(6).fill(0xff), 0x7f]],
  ["a number that is not whole any more", ["f64"], 1, [1, ...Array<number>(8).fill(0x80), 0x10]],
  ["octets behind", ["u8"], 1, [0, 1, 1]],
  ["a value that its column can't hold", ["u8"], 1, [1, 0x80, 0x08]],
  ["a negative one", ["u32"], 1, [1, 2]],
  ["an endless number", ["f64"], 1, [1, ...Array<number>(12).fill(0xff)]],
])("%s is damage", (_, kinds, rows, bytes) => {
  expect(() => decodeColumns(kinds, rows, Uint8Array.from(bytes))).toThrow(RangeError);
});

test("whatever the octets are, they are columns or damage", () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom(...KINDS), { maxLength: 4 }),
      fc.nat(40),
      fc.uint8Array({ maxLength: 200 }),
      (kinds, rows, bytes) => {
        try {
          const length = kinds.reduce((sum, kind) => sum + rows * COLUMN_BYTES[kind], 0);
          expect(joined(decodeColumns(kinds, rows, bytes))).toHaveLength(length);
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError);
        }
      },
    ),
    { numRuns: 2000 },
  );
});
