import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { fuzz } from "./fuzz-kit.ts";
import {
  bodyParts,
  decodeOffsets,
  decodePartOctets,
  decodeTransfer,
  encodeOffsets,
  encodePartOctets,
  fileName,
  findPart,
  formatBodyStructure,
  hasAttachment,
  type Part,
  parseStructured,
  partTree,
  type StructuredPart,
  scan,
} from "./index.ts";

const folder = join(import.meta.dirname, "../testdata/bodystructure");
const corpus = ["dxflrs", "rfc", "thirdparty", "malformed"].flatMap((group) =>
  readdirSync(join(folder, group))
    .filter((file) => file.endsWith(".eml"))
    .map((file) => [`${group}/${file}`, new Uint8Array(readFileSync(join(folder, group, file)))] as const),
);

const treeOf = (root: Part): StructuredPart => {
  const offsets = decodeOffsets(encodeOffsets(root));
  return partTree(
    parseStructured(formatBodyStructure(root)),
    offsets,
    decodePartOctets(encodePartOctets(root), offsets),
  );
};

/** Properties that readers ask of a part. */
const told = (part: Part | StructuredPart): unknown => ({
  kind: part.kind,
  places: [part.headerStart, part.bodyStart, part.bodyEnd, part.octets],
  type: [part.type, part.subtype],
  encoding: part.kind === "multipart" ? undefined : part.encoding,
  // A quoted string can't have line ends.
  id: part.kind === "multipart" ? undefined : part.id?.replace(/[\r\n]+/g, " "),
  disposition: part.disposition?.value,
  name: fileName(part)?.normalize("NFC"),
  isLocated: part.location !== undefined,
  children: part.children.map(told),
});

test("the parts that are made of BODYSTRUCTURE and offsets are those that the scanner saw", () => {
  expect(corpus.length).toBeGreaterThan(40);
  for (const [name, bytes] of corpus) {
    const { root } = scan(bytes);
    expect(told(treeOf(root)), name).toEqual(told(root));
  }
});

test("and so they are of damaged messages", async () => {
  const seed = Number(process.env.RESTANTE_TEST_SEED ?? Date.now() % 1_000_000);
  const tokens = [
    "--b\r\n",
    "\r\n\r\n",
    "Content-Type: multipart/mixed; boundary=b\r\n",
    "Content-ID: <é>\r\n",
    "Content-Transfer-Encoding: base64\r\n",
    "\0",
    "\r",
    "é",
    ";a*1=",
    ";name*0=x",
    '"\\',
  ];
  const samples = corpus.map(([, bytes]) => bytes).filter((bytes) => bytes.length < 20_000);
  const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
  await fuzz({ seed, runs: 2000, samples, tokens: tokens.map(encode), bytesMax: 20_000 }, (input) => {
    const { root } = scan(input);
    const [is, was] = [treeOf(root), root].map((tree) => bodyParts(tree as Part));
    const starts = (parts: readonly Part[]): number[] => parts.map((part) => part.headerStart);
    expect(starts(is!.attachments)).toEqual(starts(was!.attachments));
    expect(starts(is!.htmlBody)).toEqual(starts(was!.htmlBody));
    expect(hasAttachment(is!)).toBe(hasAttachment(was!));
    // The part's encoding is the one by which its octets were counted.
    const decodes = (part: StructuredPart): void => {
      const body = input.subarray(part.bodyStart, part.bodyEnd);
      if (part.kind === "leaf") expect(decodeTransfer(body, part.encoding).length).toBe(part.octets);
      part.children.forEach(decodes);
    };
    decodes(treeOf(root));
  });
});

test("so are the lists of parts that a reader shows", () => {
  const starts = (parts: readonly { readonly headerStart: number }[]): number[] =>
    parts.map((part) => part.headerStart);
  for (const [name, bytes] of corpus) {
    const { root } = scan(bytes);
    const [was, is] = [bodyParts(root), bodyParts(treeOf(root))];
    for (const list of ["textBody", "htmlBody", "attachments"] as const)
      expect(starts(is[list]), `${name} ${list}`).toEqual(starts(was[list]));
    expect(hasAttachment(is), name).toBe(hasAttachment(was));
  }
});

test("a part is found by its number, within messages too, with all that is known of it", () => {
  const inner =
    "Content-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\none\r\n--c\r\nContent-Transfer-Encoding: base64\r\n\r\nYQ==\r\n--c--\r\n";
  const mail = `Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n${inner}--b--\r\n`;
  const tree = treeOf(scan(new TextEncoder().encode(mail)).root);
  expect(findPart(tree, [1])).toMatchObject({ type: "message", subtype: "rfc822" });
  expect(findPart(tree, [1, 2])).toMatchObject({ encoding: "base64", octets: 1 });
  expect(findPart(tree, [1, 3])).toBeUndefined();
  expect(findPart(tree, [2])).toBeUndefined();
});

test("CR within a field is a space to both", () => {
  const { root } = scan(
    new TextEncoder().encode("Content-Disposition: a\rb; filename=c\rd\r\nContent-ID: <a\rb>\r\n\r\n"),
  );
  expect(root.disposition?.value).toBe("a b");
  expect(told(treeOf(root))).toEqual(told(root));
});

test("NUL within a field is nothing to both", () => {
  const fields =
    "Content-Type: te\0xt/html; charset=u\0tf-8\r\nContent-Transfer-Encoding: ba\0se64\r\nContent-Disposition: attach\0ment";
  const { root } = scan(new TextEncoder().encode(`${fields}\r\n\r\nYQ==`));
  expect(told(root)).toMatchObject({ type: ["text", "html"], encoding: "base64", disposition: "attachment" });
  expect(told(treeOf(root))).toEqual(told(root));
  expect(root.octets).toBe(1);
});

test.each([
  ["filename*0=a; filename*1=b; filename*3=d", "ab"],
  ["filename*1=b; filename=a", "a"],
  ["filename*1=b", undefined],
  ["filename*0*=utf-8''%41; filename*0=a; filename*1*=%42", "a%42"],
  ["filename*1=b; filename*0=a", "ab"],
])("a file name in pieces, %s, is one name", (parameters, name) => {
  const { root } = scan(new TextEncoder().encode(`Content-Disposition: attachment; ${parameters}\r\n\r\n`));
  expect(fileName(treeOf(root))).toBe(fileName(root));
  if (!name?.includes("%")) expect(fileName(root)).toBe(name);
});

test("offsets that don't fit the structure are refused", () => {
  const { root } = scan(
    new TextEncoder().encode("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\na\r\n--b--\r\n"),
  );
  const flat = scan(new TextEncoder().encode("\r\na"));
  expect(() => partTree(parseStructured(formatBodyStructure(flat.root)), root)).toThrow(RangeError);
});
