import { expect, test } from "vitest";
import { Random } from "../fuzz-kit.ts";
import {
  type ComposedMessage,
  type ComposeOptions,
  compose,
  decodeTransfer,
  decodeWords,
  displayName,
  fileName,
  findHeader,
  formatAddress,
  type MessageStructure,
  type Part,
  parseAddresses,
  parseDate,
  parseMessageIds,
  scan,
} from "../index.ts";
import { type Expected, randomMessage } from "../message-kit.ts";

const SEED = Number(process.env.RESTANTE_TEST_SEED ?? Date.now() % 1_000_000);
const RUNS = Math.ceil(Number(process.env.RESTANTE_FUZZ_RUNS ?? 4000) / 10);
const TIME_MAX_MS = 24 * 60 * 60_000;
const random = new Random(SEED);
const OPTIONS: ComposeOptions = {
  now: () => ({ timeMs: 0, zoneMinutes: 0 }),
  random: (bytes) => Uint8Array.from({ length: bytes }, () => random.next(256)),
  domain: "example.test",
};

async function octetsOf(message: ComposedMessage): Promise<Uint8Array> {
  const out = new Uint8Array(message.length);
  let at = 0;
  for await (const piece of message.read()) {
    out.set(piece, at);
    at += piece.length;
  }
  expect(at).toBe(message.length);
  return out;
}

const binary = (bytes: Uint8Array): string => Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");

/** Asserts the rules of RFC 5322 §2.1, §2.3 and RFC 2045 §2.7 to §2.9 for any message. */
function assertWellWritten(octets: Uint8Array, { needsUtf8, needsEightBit }: ComposedMessage): void {
  const text = binary(octets);
  expect(text).not.toMatch(/\0|\r(?!\n)|(?<!\r)\n/);
  for (const line of text.split("\r\n")) expect(line.length).toBeLessThanOrEqual(998);
  if (!needsUtf8 && !needsEightBit) expect(text).not.toMatch(/[\x80-\xff]/);
  if (!needsEightBit) expect(text.slice(text.indexOf("\r\n\r\n"))).not.toMatch(/[\x80-\xff]/);
  const visit = (part: Part): void => {
    const header = text.slice(part.headerStart, part.bodyStart);
    if (!needsUtf8) expect(header).not.toMatch(/[\x80-\xff]/);
    // A line is longer than 78 octets only where it is one piece. A raw field stays as it is.
    for (const line of header.replace(/^X-Own:.*(?:\r\n[ \t].*)*/m, "").split("\r\n"))
      if (!/^(?:[^ ]+:)? ?[^ ]+$/.test(line)) expect(line.length, line).toBeLessThanOrEqual(78);
    if (/[\x80-\xff]/.test(text.slice(part.bodyStart, part.bodyEnd))) expect(part.encoding).toBe("8bit");
    if (part.kind === "multipart") for (const child of part.children) visit(child);
  };
  visit(scan(octets).root);
}

function assertFields({ fields }: MessageStructure, { texts, addresses, ids, dateMs }: Expected): void {
  for (const [name, text] of Object.entries(texts))
    expect(decodeWords(findHeader(fields, name.toLowerCase())!), name).toBe(text);
  for (const [name, mailboxes] of Object.entries(addresses)) {
    const read = parseAddresses(findHeader(fields, name.toLowerCase())!)
      .flatMap((address) => (address.kind === "group" ? address.members : [address]))
      .map((mailbox) => [displayName(mailbox.name ?? ""), formatAddress(mailbox)]);
    expect(read, name).toEqual(mailboxes);
  }
  for (const [name, list] of Object.entries(ids))
    expect(parseMessageIds(findHeader(fields, name.toLowerCase())!)).toEqual(list);
  expect(parseDate(findHeader(fields, "date")!)?.timeMs).toBe(dateMs);
}

test(`what is written reads back as it was meant (seed=${SEED})`, { timeout: TIME_MAX_MS }, async () => {
  for (let run = 0; run < RUNS; run++) {
    const { message, utf8, eightBit, expected } = randomMessage(random);
    const composed = compose(message, { ...OPTIONS, utf8, eightBit });
    const octets = await octetsOf(composed);
    assertWellWritten(octets, composed);
    const structure = scan(octets);
    assertFields(structure, expected);
    const names = structure.fields.map(({ key }) => key);
    const asked = message.headers.map(({ name }) => name.toLowerCase());
    const made = ["message-id", "mime-version", "content-type", "content-transfer-encoding", "content-disposition"];
    const further = ["content-id", "content-description", "content-language", "sender"];
    expect(names.filter((name) => ![...asked, ...made, ...further].includes(name))).toEqual([]);
    expect(names.length).toBe(new Set(names).size);
    const leaves: Part[] = [];
    const collect = (part: Part): void =>
      part.kind === "multipart" ? part.children.forEach(collect) : void leaves.push(part);
    collect(structure.root);
    expect(leaves.length).toBe(expected.parts.length);
    for (const [index, part] of leaves.entries()) {
      const asked = expected.parts[index]!;
      const content = decodeTransfer(octets.subarray(part.bodyStart, part.bodyEnd), part.encoding);
      expect(binary(content), `run ${run}, part ${index}`).toBe(asked.content);
      expect(`${part.type}/${part.subtype}`).toBe(asked.type);
      expect(fileName(part) ?? null).toBe(asked.fileName);
      expect(part.id ?? null).toBe(asked.id === null ? null : `<${asked.id}>`);
      if (part.kind === "message") expect(part.encoding).toMatch(/^[78]bit$/);
    }
  }
});
