import { decode, encode } from "cborg";
import { describe, expect, test } from "vitest";
import { Fields } from "../../bay/fields.ts";
import { position } from "../../bay/position.ts";
import { asModSeq } from "../numbers.ts";
import { encodePages, NO_PAGES, type Pages, readPages } from "./pages.ts";

const nameOf = (kind: "page" | "pack", n: number): string => `${kind}/${n.toString(16).padStart(32, "0")}`;
const page = (n: number): string => nameOf("page", n);
const COVERS = position(9);
const PAGES: Pages = {
  ...NO_PAGES,
  covers: COVERS,
  numbering: position(4),
  memberships: [page(1)],
  emails: [page(2)],
  rows: ["", "", page(3), "", page(4), ...Array<string>(20).fill(""), page(5)],
  headers: [page(6)],
  texts: [""],
  held: Uint8Array.of(0, 255, 0, 7),
  emailRows: 5,
  emailNumbers: 27,
  membershipRows: 6,
  references: [
    {
      entries: 2,
      pages: [
        { name: page(7), first: new Uint8Array(8).fill(1) },
        { name: page(8), first: new Uint8Array(8).fill(2) },
      ],
    },
  ],
  packs: [{ name: nameOf("pack", 9), first: 0, end: 5, count: 3 }],
  values: [{ type: "t", id: "i", modSeq: asModSeq(3), name: page(10) }],
};

const stored = (pages: Pages): Uint8Array => encode(encodePages(pages));
const read = (bytes: Uint8Array): Pages => readPages(Fields.decode(bytes), COVERS);

describe("what a manifest names", () => {
  test("comes back", () => {
    expect(read(stored(PAGES))).toEqual(PAGES);
    expect(read(stored({ ...NO_PAGES, covers: COVERS }))).toEqual({ ...NO_PAGES, covers: COVERS });
  });

  test("costs next to nothing where it is gone", () => {
    const gone = Array<string>(20_000).fill("");
    const pages = { ...PAGES, rows: gone, headers: gone, held: new Uint8Array(160_000) };
    expect(stored(pages).length).toBeLessThan(500);
    expect(read(stored(pages)).rows).toHaveLength(20_000);
  });

  test.each(["", "page/", "page/00", `page/${"g".repeat(32)}`, nameOf("pack", 1)].slice(1))(
    "is not written under the name %j",
    (name) => {
      expect(() => stored({ ...PAGES, rows: [name] })).toThrow(RangeError);
    },
  );

  type Value = unknown[];
  /** Places in what is stored: groups, references, packs, values. */
  const [HELD, GROUPS, REFERENCES, PACKS, VALUES] = [4, 5, 6, 7, 8];
  const names = (value: Value): Value => ((value[GROUPS] as Value[])[2] as Value)[1] as Value;
  test.each<[string, (value: Value) => void]>([
    ["names without octets", (value) => (names(value)[2] = new Uint8Array(16))],
    ["octets without names", (value) => (names(value)[2] = new Uint8Array(64))],
    ["octets that are cut off", (value) => (names(value)[2] = new Uint8Array(47))],
    ["octets of a name that is cut off", (value) => (names(value)[2] = new Uint8Array(53))],
    ["more names than bits", (value) => (names(value)[0] = 40)],
    ["fewer names than bits", (value) => (names(value)[0] = 3)],
    ["bits that are no column", (value) => ((names(value)[1] as Value)[1] = Uint8Array.of(2))],
    ["more bits than any life has", (value) => (value[HELD] = [2 ** 25, Uint8Array.of(1, 1, 0xff, 0xff, 0xff, 0x0f)])],
    ["a hash too few", (value) => ((value[REFERENCES] as Value[])[0]![2] = new Uint8Array(8))],
    ["a hash that is cut off", (value) => ((value[REFERENCES] as Value[])[0]![2] = new Uint8Array(15))],
    ["a pack without a span", (value) => ((value[PACKS] as Value)[1] = [])],
    ["a value without a key", (value) => ((value[VALUES] as Value)[1] = [])],
    ["something behind", (value) => value.push(1)],
  ])("that has %s is damage", (_, spoil) => {
    const value = decode(stored(PAGES)) as Value;
    spoil(value);
    expect(() => read(encode(value))).toThrow(RangeError);
  });
});
