import { expect, test } from "vitest";
import { Random } from "../random.ts";
import { PAGES } from "./pages.ts";
import { decode, encode, type Node, type Tree } from "./wbxml.ts";

function fromHex(text: string): Uint8Array {
  return Buffer.concat(
    [...text.matchAll(/"([^"]*)"|([0-9A-Fa-f]{2})/g)].map(([, quoted, digits]) =>
      quoted === undefined ? Buffer.from(digits!, "hex") : Buffer.from(quoted),
    ),
  );
}

function treeOf({ tag, children, text, bytes }: Node): Tree {
  return [tag, ...children.map(treeOf), ...(bytes ? [bytes] : text === "" ? [] : [text])];
}

test("documents that others published", () => {
  const sync: Tree = [
    "AirSync:Sync",
    [
      "Collections",
      [
        "Collection",
        ["SyncKey", "1"],
        ["CollectionId", "5"],
        ["GetChanges"],
        ["Options", ["AirSyncBase:BodyPreference", ["Type", "2"]]],
      ],
    ],
  ];
  for (const [hex, tree] of [
    ["03016A00 0007 56 52 03 30 00 01 01", ["FolderHierarchy:FolderSync", ["SyncKey", "0"]]],
    ["03016A00 45 5C 4F 4B 03 3100 01 52 03 3500 01 13 57 0011 45 46 03 3200 01 01 01 01 01 01", sync],
  ] as const) {
    expect(Buffer.from(encode(tree))).toEqual(Buffer.from(fromHex(hex)));
    expect(decode(fromHex(hex)).toString()).not.toBe("");
  }
  const contacts = fromHex(
    `03016A00 45 5C 4F 50 03 "contacts"00 01 4B 03 "2"00 01 52 03 "2"00 01 4E 03 "1"00 01 56 47 4D 03 "2:1"00 01 5D
    0011 4A 46 03 "1"00 01 4C 03 "0"00 01 4D 03 "1"00 01 01 0001 5E 03 "Funk, Don"00 01 5F 03 "Don"00 01 69 03 "Funk"00 01
    0011 56 03 "1"00 01 01 01 01 01 01 01`,
  );
  expect(decode(contacts).toString().split("\n")).toEqual([
    "Sync",
    "  Collections",
    "    Collection",
    "      Class contacts",
    "      SyncKey 2",
    "      CollectionId 2",
    "      Status 1",
    "      Commands",
    "        Add",
    "          ServerId 2:1",
    "          ApplicationData",
    "            Body",
    "              Type 1",
    "              EstimatedDataSize 0",
    "              Truncated 1",
    "            FileAs Funk, Don",
    "            FirstName Don",
    "            LastName Funk",
    "            NativeBodyType 1",
  ]);
  expect(Buffer.from(encode(treeOf(decode(contacts))))).toEqual(Buffer.from(contacts));
});

test("opaque data has its length in groups of seven bits", () => {
  const mail = new Uint8Array(200).fill(0x41);
  const bytes = Buffer.from(encode(["ComposeMail:SendMail", ["Mime", mail]]));
  expect(bytes.subarray(0, 10).toString("hex")).toBe("03016a00001545" + "50c381");
  expect(bytes[10]).toBe(0x48);
  expect(decode(bytes).get("Mime").bytes).toEqual(mail);
});

test("what is no document is refused", () => {
  for (const hex of [
    "03016A00",
    "03016A0000FF4501",
    "03016A0045",
    "03016A004501FF",
    "03016A0045044101",
    "03016A00C501",
    "03016A007F01",
    "03016A00450105",
    "02016A0005",
    "03016A00000005",
    "03016A004503FF0001",
    "03016A0045C30501",
    "03016A0003410005",
    "03016A00001649034100 01",
  ])
    expect(() => decode(fromHex(hex)), hex).toThrow();
});

test("what is written is read as it was", () => {
  const random = new Random(1);
  const names = PAGES.flatMap(([namespace, tags]) =>
    [...tags.matchAll(/([0-9A-F]{2}) (\w+)(\*?)/g)].map(([, , name, star]) => ({
      name: `${namespace}:${name}`,
      isOpaque: star === "*",
    })),
  );
  const make = (depth: number): Tree => {
    const { name, isOpaque } = random.pick(names);
    const kind = random.between(0, 3);
    if (kind === 0) return [name];
    if (kind === 1 || depth > 8) {
      const bytes = Buffer.from(Array.from({ length: random.between(1, 300) }, () => random.between(0, 255)));
      return [name, isOpaque ? Uint8Array.from(bytes) : bytes.toString("latin1").replaceAll("\0", "ü😀")];
    }
    return [name, ...Array.from({ length: random.between(1, 4) }, () => make(depth + 1))];
  };
  for (let round = 0; round < 2000; round++) {
    const given = make(0);
    expect(treeOf(decode(encode(given)))).toEqual(given);
  }
});
