import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { type AddressObject, simpleParser } from "mailparser";
import { describe, expect, test } from "vitest";
import { Delimiters } from "./delimiters.ts";
import {
  bodyFromBodyStructure,
  createScanner,
  decodeOffsets,
  decodePartOctets,
  decodeTransfer,
  decodeWords,
  encodeOffsets,
  encodePartOctets,
  fileName,
  findHeader,
  findSection,
  formatBody,
  formatBodyStructure,
  formatEnvelope,
  type MessageStructure,
  messageText,
  type Part,
  parseAddresses,
  parseHeaders,
  parseStructured,
  preview,
  scan,
} from "./index.ts";
import { ENVELOPES_BYTES_MAX, PART_HEADERS_BYTES_MAX, PARTS_MAX } from "./limits.ts";

const folder = join(import.meta.dirname, "../testdata/bodystructure");
const references = ["live-dovecot-2.3.19.1", "live-dovecot-2.4.5", "live-cyrus-3.12.4"].map(
  (name) => JSON.parse(readFileSync(join(folder, `${name}.json`), "utf8")) as Record<string, Record<string, string>>,
);
const corpus = ["dxflrs", "rfc", "thirdparty", "malformed"].flatMap((group) =>
  readdirSync(join(folder, group))
    .filter((file) => file.endsWith(".eml"))
    .map((file) => ({
      name: `${group}/${file.slice(0, -4)}`,
      bytes: new Uint8Array(readFileSync(join(folder, group, file))),
    })),
);

/** Where our answer is neither Dovecot's nor Cyrus's, and why it is right. */
const OURS: Record<string, string> = {
  // The line end before a delimiter belongs to it, also when the line before it is an inner closing delimiter.
  "dxflrs/0005_mail-parser-readme": "RFC 2046 §5.1.1",
  "thirdparty/007": "RFC 2046 §5.1.1",
  // base64 is not allowed for message/rfc822, so its inside can't be told: it is bytes.
  "rfc/008": "RFC 2046 §5.2.1",
  // "8 bit" is no token; the value is told as it stands.
  "thirdparty/004": "RFC 2045 §6.1",
  // A delimiter line is the boundary and white space, and not whatever begins with it.
  "malformed/007": "RFC 2046 §5.1.1",
  "malformed/016": "RFC 2046 §5.1.1",
};

/** The references were asked after line ends were made CRLF. */
function crlf(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(Buffer.from(Buffer.from(bytes).toString("latin1").replace(/\r*\n/g, "\r\n"), "latin1"));
}

/** Lower case, literals as quoted strings, no space between lists: how the data's README says to compare. */
function normalise(text: string): string {
  let out = "";
  for (let at = 0; at < text.length; ) {
    const literal = /^~?\{(\d+)\}\r\n/.exec(text.slice(at, at + 20));
    const quoted = /"(?:[^"\\]|\\.)*"/sy;
    quoted.lastIndex = at;
    const string = quoted.exec(text)?.[0];
    if (literal) {
      const start = at + literal[0].length;
      at = start + Number(literal[1]);
      out += `"${text.slice(start, at).replace(/["\\]/g, "\\$&")}"`;
    } else if (string) {
      out += string;
      at += string.length;
    } else out += text[at++];
  }
  return out.toLowerCase().replaceAll(") (", ")(");
}

describe("answers equal Dovecot's or Cyrus's", () => {
  for (const { name, bytes } of corpus)
    test(name, () => {
      const structure = scan(crlf(bytes));
      const answers = {
        BODY: formatBody(structure.root),
        BODYSTRUCTURE: formatBodyStructure(structure.root),
        ENVELOPE: formatEnvelope(structure.fields),
      };
      for (const [item, answer] of Object.entries(answers)) {
        const theirs = references
          .map((reference) => reference[name]?.[item])
          .filter((text) => text !== undefined)
          .map((text) => normalise(text.slice(item.length + 2, -1)));
        const agrees = theirs.includes(normalise(answer));
        if (item === "ENVELOPE" || !(name in OURS))
          expect(agrees, `${item}: ${answer}\n${theirs.join("\n")}`).toBe(true);
        // An exception that is none any more must go.
        else expect(agrees).toBe(false);
      }
    });
});

/** Every part's offsets against the bytes, and every number that BODYSTRUCTURE tells against the offsets. */
function assertConsistent(bytes: Uint8Array, structure: MessageStructure): void {
  expect(structure.size).toBe(bytes.length);
  const offsets = decodeOffsets(encodeOffsets(structure.root));
  const visit = (part: Part, path: readonly number[], end: number): void => {
    expect(part.headerStart).toBeLessThanOrEqual(part.bodyStart);
    expect(part.bodyStart).toBeLessThanOrEqual(part.bodyEnd);
    expect(part.bodyEnd).toBeLessThanOrEqual(end);
    if (part.kind !== "multipart") {
      const body = bytes.subarray(part.bodyStart, part.bodyEnd);
      expect(part.lines).toBe(body.filter((byte) => byte === 10).length);
    }
    if (path.length > 0) {
      expect(findSection(offsets, path)).toEqual({ start: part.bodyStart, end: part.bodyEnd });
      expect(findSection(offsets, path, "MIME")).toEqual({ start: part.headerStart, end: part.bodyStart });
    }
    let from = part.bodyStart;
    for (const [index, child] of part.children.entries()) {
      expect(child.headerStart).toBeGreaterThanOrEqual(from);
      from = child.bodyEnd;
      const childPath = part.kind === "multipart" ? [...path, index + 1] : path;
      if (part.kind === "multipart") visit(child, childPath, part.bodyEnd);
      else visitMessage(child, path, part.bodyEnd);
    }
  };
  /** A message that is no multipart is its own part 1. */
  const visitMessage = (message: Part, path: readonly number[], end: number): void => {
    if (path.length > 0)
      expect(findSection(offsets, path, "HEADER")).toEqual({ start: message.headerStart, end: message.bodyStart });
    if (message.kind === "multipart")
      for (const [index, child] of message.children.entries()) visit(child, [...path, index + 1], message.bodyEnd);
    else visit(message, [...path, 1], end);
  };
  visitMessage(structure.root, [], bytes.length);
  const text = formatBodyStructure(structure.root);
  for (const answer of [text, formatEnvelope(structure.fields)]) {
    expect(answer).toMatch(/^[^\x00\r\n\x80-\uffff]*$/);
    parseStructured(answer);
  }
  expect(bodyFromBodyStructure(text)).toBe(formatBody(structure.root));
  const told = messageText(structure);
  expect(new TextEncoder().encode(told.start).length).toBeLessThanOrEqual(Math.min(1024, told.octets));
  expect([...preview(told.start)].length).toBeLessThanOrEqual(256);
  const octets = [...decodePartOctets(encodePartOctets(structure.root), offsets).values()];
  expect(octets).toEqual(
    allParts(structure.root).map((part) => {
      const body = bytes.subarray(part.bodyStart, part.bodyEnd);
      return part.kind === "leaf" ? decodeTransfer(body, part.encoding).length : body.length;
    }),
  );
}

function allParts(part: Part): Part[] {
  return [part, ...part.children.flatMap(allParts)];
}

test("every structure is consistent with its own bytes", () => {
  for (const { bytes } of corpus) {
    assertConsistent(bytes, scan(bytes));
    assertConsistent(crlf(bytes), scan(crlf(bytes)));
  }
});

test("however a message is cut into chunks, its structure is the same", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...corpus),
      fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1 }),
      ({ bytes }, sizes) => {
        const scanner = createScanner();
        for (let at = 0, turn = 0; at < bytes.length; turn++) {
          const size = sizes[turn % sizes.length]!;
          scanner.push(bytes.subarray(at, at + size));
          at += size;
        }
        const cut = scanner.finish();
        const whole = scan(bytes);
        expect(formatBodyStructure(cut.root)).toBe(formatBodyStructure(whole.root));
        expect(encodeOffsets(cut.root)).toEqual(encodeOffsets(whole.root));
        expect(encodePartOctets(cut.root)).toEqual(encodePartOctets(whole.root));
        expect(messageText(cut)).toEqual(messageText(whole));
        expect(cut.header).toEqual(whole.header);
      },
    ),
    { numRuns: 300 },
  );
});

test("a long line is the same in pieces: only its beginning can be a delimiter", () => {
  const head = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n";
  for (const line of [
    `--b${" ".repeat(2000)}x`,
    `--b${" ".repeat(2000)}`,
    `--b--${"x".repeat(2000)}`,
    "-".repeat(2000),
  ]) {
    const bytes = new TextEncoder().encode(`${head}${line}\r\n\r\ny`);
    const whole = encodeOffsets(scan(bytes).root);
    for (const size of [1, 7, 999, 1000, 1001]) {
      const scanner = createScanner();
      for (let at = 0; at < bytes.length; at += size) scanner.push(bytes.subarray(at, at + size));
      expect(encodeOffsets(scanner.finish().root), `${size} of ${line.slice(0, 9)}`).toEqual(whole);
    }
  }
});

const mutation = fc.record({
  at: fc.nat(),
  remove: fc.nat(40),
  insert: fc.oneof(
    fc.uint8Array({ maxLength: 20 }),
    fc
      .constantFrom(
        "\r\n",
        "\n\n",
        "--",
        '"',
        "(",
        "=?utf-8?Q?",
        "Content-Type: multipart/mixed; boundary=x\n\n--x\n",
        "\0",
      )
      .map((text) => new TextEncoder().encode(text)),
  ),
});

test("no mutation of a mail makes the scanner fail or lose its count", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...corpus),
      fc.array(mutation, { minLength: 1, maxLength: 6 }),
      ({ bytes }, mutations) => {
        let mail: Uint8Array = bytes;
        for (const { at, remove, insert } of mutations) {
          const from = at % (mail.length + 1);
          mail = new Uint8Array(Buffer.concat([mail.subarray(0, from), insert, mail.subarray(from + remove)]));
        }
        assertConsistent(mail, scan(mail));
      },
    ),
    { numRuns: 1500 },
  );
});

test("any bytes at all have a structure", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => assertConsistent(bytes, scan(bytes))),
    { numRuns: 500 },
  );
});

function countParts(part: Part): number {
  return part.children.reduce((sum, child) => sum + countParts(child), 1);
}

const multipart = (boundary: string): string => `Content-Type: multipart/mixed; boundary=${boundary}\r\n\r\n`;
const LARGE: Readonly<Record<string, string>> = {
  "multiparts within one another": Array.from({ length: 5000 }, (_, i) => `${multipart(`b${i}`)}--b${i}\r\n`).join(""),
  "children of one multipart": `${multipart("w")}${"--w\r\n\r\nx\r\n".repeat(50_000)}--w--\r\nend`,
  "children without a line": `${multipart("w")}${"--w\r\n\r\n".repeat(50_000)}--w`,
  "multiparts without a child": `${multipart("w")}${`--w\r\n${multipart("x")}`.repeat(50_000)}`,
  "multiparts cut off in their header": `${multipart("w")}${"--w\r\nContent-Type: multipart/x; boundary=x\r\n".repeat(50_000)}`,
  "one part and multiparts cut off in their header": `${multipart("w")}--w\r\n\r\n${"--w\r\nContent-Type: multipart/x; boundary=x\r\n".repeat(50_000)}`,
  "messages within one another": "Content-Type: message/rfc822\r\n\r\n".repeat(2000),
  "messages beside one another": `${multipart("w")}${"--w\r\nContent-Type: message/rfc822\r\n\r\nA: b\r\n\r\n".repeat(5000)}--w--`,
  "messages to many": `${multipart("w")}${`--w\r\nContent-Type: message/rfc822\r\n\r\nFrom: ${"a@b,".repeat(300)}\r\n\r\n`.repeat(600)}--w--`,
  "a tree of multiparts": `${multipart("v")}${`--v\r\n${multipart("w")}${"--w\r\n\r\nx\r\n".repeat(40)}--w--\r\n`.repeat(2000)}--v--\r\n`,
  "headers of parts": `${multipart("w")}${`--w\r\nContent-Description: ${"x".repeat(10_000)}\r\n\r\nx\r\n`.repeat(300)}--w--\r\n`,
};

/** Octets of ENVELOPE for one of an address: it is told three times, with its punctuation. */
const ENVELOPE_GROWTH = 15;

describe("what is told of a mail is bounded, and true of its octets", () => {
  test.each(Object.entries(LARGE))("%s", (_name, text) => {
    const bytes = new TextEncoder().encode(text);
    const structure = scan(bytes);
    assertConsistent(bytes, structure);
    expect(countParts(structure.root)).toBeLessThanOrEqual(PARTS_MAX);
    const told = formatBodyStructure(structure.root).length;
    expect(told).toBeLessThan(1.1 * PART_HEADERS_BYTES_MAX + ENVELOPE_GROWTH * ENVELOPES_BYTES_MAX);
    const scanner = createScanner();
    for (let at = 0; at < bytes.length; at += 999) scanner.push(bytes.subarray(at, at + 999));
    expect(encodeOffsets(scanner.finish().root)).toEqual(encodeOffsets(structure.root));
  });

  test("all parts are told of up to the limit, and then all that follows is one part's body", () => {
    const text = (parts: number): string => `${multipart("w")}${"--w\r\n\r\nx\r\n".repeat(parts)}--w--\r\nend`;
    const childrenOf = (parts: number) => scan(new TextEncoder().encode(text(parts))).root.children;
    const whole = childrenOf(PARTS_MAX - 2);
    expect(whole).toHaveLength(PARTS_MAX - 2);
    expect(whole.every(({ type, lines }) => type === "text" && lines === 0)).toBe(true);
    const cut = childrenOf(PARTS_MAX + 100);
    expect(cut).toHaveLength(PARTS_MAX - 1);
    expect(cut.slice(0, -1).every(({ type }) => type === "text")).toBe(true);
    const rest = cut.at(-1)!;
    expect(rest).toMatchObject({ type: "application", subtype: "octet-stream", encoding: "binary" });
    expect(text(PARTS_MAX + 100).slice(rest.bodyStart, rest.bodyEnd)).toBe(
      `\r\nx\r\n${"--w\r\n\r\nx\r\n".repeat(PARTS_MAX + 100 - (PARTS_MAX - 1))}--w--\r\nend`,
    );
    expect(rest.headerStart).toBe(rest.bodyStart);
  });

  test("offsets and structures of mails that were taken in before there was a limit are read", () => {
    const leaf = { kind: "leaf", headerStart: 9, bodyStart: 9, bodyEnd: 9, children: [] } as const;
    const offsets = {
      kind: "multipart",
      headerStart: 0,
      bodyStart: 9,
      bodyEnd: 9,
      children: Array(50_000).fill(leaf),
    } as const;
    expect(decodeOffsets(encodeOffsets(offsets)).children).toHaveLength(50_000);
    const basic = '("text" "plain" NIL NIL NIL "7bit" 0 0)';
    const extended = '("text" "plain" NIL NIL NIL "7bit" 0 0 NIL NIL NIL NIL)';
    expect(bodyFromBodyStructure(`(${extended.repeat(50_000)} "mixed" NIL NIL NIL NIL)`)).toBe(
      `(${basic.repeat(50_000)} "mixed")`,
    );
  });
});

test("a line is held against all open boundaries at once, and the innermost wins", () => {
  const name = fc.string({ unit: fc.constantFrom(..."ab-"), minLength: 1, maxLength: 4 });
  const change = fc.oneof(fc.constant(undefined), name);
  fc.assert(
    fc.property(
      fc.array(change, { maxLength: 12 }),
      fc.string({ unit: fc.constantFrom(..."ab- \r\n"), maxLength: 9 }),
      (changes, line) => {
        const delimiters = new Delimiters<{ readonly depth: number; readonly octets: Uint8Array }>();
        const open: { readonly depth: number; readonly octets: Uint8Array }[] = [];
        for (const change of changes) {
          if (change === undefined) {
            const last = open.pop();
            if (last) delimiters.close(last.octets);
          } else {
            const owner = { depth: open.length, octets: new TextEncoder().encode(change) };
            open.push(owner);
            delimiters.open(owner.octets, owner);
          }
        }
        const expected = open
          .map((owner) => ({ owner, text: new TextDecoder().decode(owner.octets) }))
          .filter(({ text }) => line.startsWith(text) && /^(--.*|[ \r\n]*)$/s.test(line.slice(text.length)))
          .map(({ owner, text }) => ({ owner, closing: line.startsWith("--", text.length) }))
          .at(-1);
        const octets = new TextEncoder().encode(`>${line}--`);
        expect(delimiters.match(octets, 1, octets.length - 2)).toEqual(expected);
        expect(delimiters.isEmpty).toBe(open.length === 0);
      },
    ),
    { numRuns: 3000 },
  );
});

test("mailparser reads the same subject, addresses and file names", async () => {
  for (const { name, bytes } of corpus.filter((mail) => !mail.name.startsWith("malformed"))) {
    const theirs = await simpleParser(Buffer.from(bytes), { skipHtmlToText: true, skipTextToHtml: true });
    const fields = parseHeaders(scan(bytes).header);
    const subject = findHeader(fields, "subject");
    if (theirs.subject !== undefined && subject) expect(decodeWords(subject), name).toBe(theirs.subject);
    const from = theirs.from as AddressObject | undefined;
    const ours = parseAddresses(findHeader(fields, "from") ?? "");
    const [first] = ours;
    if (from?.value[0]?.address && first?.kind === "mailbox" && first.domain !== "")
      expect(`${first.local}@${first.domain}`.toLowerCase(), name).toBe(from.value[0].address.toLowerCase());
    const names: string[] = [];
    const collect = (part: Part): void => {
      const file = fileName(part);
      if (file !== undefined) names.push(file);
      if (part.kind === "multipart") part.children.forEach(collect);
    };
    collect(scan(bytes).root);
    for (const attachment of theirs.attachments)
      if (attachment.filename && names.length > 0 && !attachment.related)
        expect(names.join("|"), name).toContain(attachment.filename);
  }
});
