import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CODE_PAGES } from "./code-pages.ts";
import { documents, placeless } from "./documents-kit.ts";
import type { Element } from "./element.ts";
import { decode, encode, WbxmlError } from "./index.ts";
import { DEPTH_MAX, ELEMENTS_MAX } from "./limits.ts";
import { CONTACTS_SYNC, FOLDER_SYNC, fromHex, PREFERENCE_SYNC } from "./vectors-kit.ts";

const leaf = (tag: string, content: Element["content"] = null, isOpaque = false): Element => ({
  tag,
  children: [],
  content,
  isOpaque,
  offset: 0,
});
const node = (tag: string, ...children: readonly Element[]): Element => ({ ...leaf(tag), children });

/** The error of `read`, as "code@offset"; "none" without one. */
function fault(read: () => unknown): string {
  try {
    read();
  } catch (error) {
    if (error instanceof WbxmlError) return `${error.code}@${error.offset}`;
    throw error;
  }
  return "none";
}

describe("published documents", () => {
  const published = { FOLDER_SYNC, CONTACTS_SYNC, PREFERENCE_SYNC };
  test.each(Object.entries(published))("%s is the same bytes after reading and writing", (_, bytes) => {
    expect(encode(decode(bytes))).toEqual(bytes);
  });
  test("a FolderSync is written as published", () => {
    const root = node("FolderHierarchy:FolderSync", leaf("FolderHierarchy:SyncKey", "0"));
    expect(encode(root)).toEqual(FOLDER_SYNC);
  });
  test("the answer to a Sync of contacts has its published size and names", () => {
    expect(CONTACTS_SYNC).toHaveLength(106);
    const collection = decode(CONTACTS_SYNC).children[0]!.children[0]!;
    expect(collection.children.map(({ tag }) => tag)).toEqual(
      ["Class", "SyncKey", "CollectionId", "Status", "Commands"].map((name) => `AirSync:${name}`),
    );
    const data = collection.children[4]!.children[0]!.children[1]!;
    expect(data.children.map(({ tag }) => tag)).toEqual([
      "AirSyncBase:Body",
      "Contacts:FileAs",
      "Contacts:FirstName",
      "Contacts:LastName",
      "AirSyncBase:NativeBodyType",
    ]);
  });
  test("an opaque of 200 octets", () => {
    const bytes = encode(leaf("ComposeMail:Mime", new Uint8Array(200).fill(7), true));
    expect(bytes.subarray(0, 10)).toEqual(fromHex("03016A00 0015 50 C38148"));
    expect(bytes).toHaveLength(10 + 200 + 1);
  });
});

test("there are 26 pages, and no token or name is there twice", () => {
  expect(CODE_PAGES.map(({ number }) => number)).toEqual(Array.from({ length: 26 }, (_, number) => number));
  for (const { tags } of CODE_PAGES) {
    expect(new Set(tags.map(({ token }) => token)).size).toBe(tags.length);
    expect(new Set(tags.map(({ name }) => name)).size).toBe(tags.length);
    expect(tags.every(({ token }) => token >= 0x05 && token <= 0x3f)).toBe(true);
  }
  const opaque = CODE_PAGES.flatMap(({ tags }) => tags.filter(({ isOpaque }) => isOpaque).map(({ name }) => name));
  expect(opaque).toEqual([
    "Search:ConversationId",
    "AirSyncBase:Content",
    "ItemOperations:ConversationId",
    "ComposeMail:Mime",
    "Email2:ConversationId",
    "Email2:ConversationIndex",
  ]);
});

test("what is written is read back as it was, for any document", () => {
  fc.assert(
    fc.property(documents, (document) => {
      expect(placeless(decode(encode(document)))).toEqual(document);
    }),
    { numRuns: 500 },
  );
});

test("any text is read back but for its control characters", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      const { content } = decode(encode(leaf("Email:Subject", text)));
      expect(new TextDecoder().decode(content as Uint8Array).replace(/^\ufeff/, "")).toBe(
        text
          .replace(/[\0-\x08\x0b\x0c\x0e-\x1f]/g, "")
          .toWellFormed()
          .replace(/^\ufeff/, ""),
      );
    }),
  );
});

test("a NUL in octets to be written inline is left out", () => {
  const { content } = decode(encode(leaf("Email:Subject", fromHex('"a"00"b"01"c"09'))));
  expect(content).toEqual(fromHex('"abc"09'));
});

test("an offset is the octet of the tag", () => {
  const root = decode(CONTACTS_SYNC);
  expect([root.offset, root.children[0]!.offset]).toEqual([4, 5]);
});

describe("hostile bytes", () => {
  test.each([
    ["no root", "03016A00", "cut@4"],
    ["an empty input", "", "cut@0"],
    ["another version", "02016A00 05", "header@0"],
    ["another charset", "03010300 05", "header@2"],
    ["page 255", "03016A0000FF4501", "page@5"],
    ["a string table in the header", "03016A01 00 05", "header@3"],
    ["a root left open", "03016A0045", "cut@5"],
    ["octets after the root", "03016A004501FF", "trailing@6"],
    ["LITERAL", "03016A0045044101", "token@5"],
    ["ENTITY", "03016A0045024101", "token@5"],
    ["STR_T", "03016A0045830001", "token@5"],
    ["EXT_0", "03016A0045C001", "token@5"],
    ["EXT_I_0", "03016A0045400001", "token@5"],
    ["PI", "03016A00434501", "token@4"],
    ["attributes", "03016A00C501", "attributes@4"],
    ["an unknown tag", "03016A007F01", "tag@4"],
    ["page 26", "03016A00001A05", "page@5"],
    ["page 254", "03016A0000FE05", "page@5"],
    ["END before the root", "03016A0001", "token@4"],
    ["text before the root", "03016A0003410005", "content@4"],
    ["text after elements", "03016A00450603410001", "content@6"],
    ["an element after text", "03016A00450341000601", "content@8"],
    ["two texts", "03016A0045034100034200 01", "content@8"],
    ["a text without its end", "03016A00450341", "cut@7"],
    ["an opaque beyond the end", "03016A0045C3054142", "cut@9"],
    ["an opaque of 4 GB", "03016A0045C38FFFFFFF7F41", "cut@12"],
    ["an integer beyond 32 bits", "03016A0045C390808080 00 41", "integer@6"],
    ["an endless integer", `03016A0045C3${"80".repeat(1000)}`, "integer@6"],
    ["two roots", "03016A000505", "trailing@5"],
  ])("%s is refused", (_, hex, expected) => {
    expect(fault(() => decode(fromHex(hex)))).toBe(expected);
  });

  test.each([CONTACTS_SYNC, FOLDER_SYNC, PREFERENCE_SYNC])("a document cut anywhere is refused at its end", (bytes) => {
    for (let length = 0; length < bytes.length; length++)
      expect(fault(() => decode(bytes.subarray(0, length)))).toBe(`cut@${length}`);
  });

  test("tags are nested as deep as the limit and no deeper", () => {
    const nested = (depth: number): Uint8Array =>
      Uint8Array.from([...fromHex("03016A00"), ...Array(depth).fill(0x45), ...Array(depth).fill(0x01)]);
    expect(fault(() => decode(nested(DEPTH_MAX)))).toBe("none");
    expect(fault(() => decode(nested(DEPTH_MAX + 1)))).toBe(`depth@${4 + DEPTH_MAX}`);
    expect(fault(() => decode(nested(500_000)))).toBe(`depth@${4 + DEPTH_MAX}`);
    let tree = leaf("AirSync:Sync");
    for (let depth = 1; depth < DEPTH_MAX; depth++) tree = node("AirSync:Sync", tree);
    expect(fault(() => encode(tree))).toBe("none");
    expect(fault(() => encode(node("AirSync:Sync", tree)))).toMatch(/^depth@/);
    const inside = Uint8Array.from([...fromHex("03016A00"), ...Array(DEPTH_MAX).fill(0x45), 0x05]);
    expect(fault(() => decode(inside))).toBe(`depth@${4 + DEPTH_MAX}`);
  });

  test("there are as many elements as the limit and no more", () => {
    const wide = (count: number): Uint8Array => {
      const bytes = new Uint8Array(4 + count + 1).fill(0x14);
      bytes.set(fromHex("03016A0045"));
      bytes[bytes.length - 1] = 0x01;
      return bytes;
    };
    expect(fault(() => decode(wide(ELEMENTS_MAX)))).toBe("none");
    expect(fault(() => decode(wide(ELEMENTS_MAX + 1)))).toBe(`elements@${4 + ELEMENTS_MAX}`);
    const many = (count: number): Element => node("AirSync:Sync", ...Array(count).fill(leaf("AirSync:MoreAvailable")));
    expect(fault(() => encode(many(ELEMENTS_MAX - 1)))).toBe("none");
    expect(fault(() => encode(many(ELEMENTS_MAX)))).toMatch(/^elements@/);
  });

  test("what no document can hold is not written", () => {
    expect(fault(() => encode(leaf("AirSync:Nothing")))).toBe("tag@4");
    expect(fault(() => encode({ ...node("AirSync:Sync", leaf("AirSync:Status")), content: "x" }))).toBe("content@4");
  });
});
