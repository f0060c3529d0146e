import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Random } from "./fuzz-kit.ts";
import { BOUNDARY_LINE_BYTES_MAX, DEPTH_MAX } from "./limits.ts";
import { StepCounter } from "./steps-kit.ts";

/**
 * Every function of this package takes steps in proportion to its input, whatever that is. Steps are counted, not timed:
 * doubling an input may about double them.
 */
type Mime = typeof import("./index.ts");
type Input = { readonly text: string; readonly bytes: Uint8Array };
type Run = (mime: Mime, input: Input) => void;

/** Pairs of tokens tried for each function; a longer run sets more. */
const RUNS = process.env.RESTANTE_FUZZ_RUNS ?? (process.env.RESTANTE_TESTS === "all" ? 3000 : 1500);
const PAIRS = Math.ceil(Number(RUNS) / 1500);
const SEED = Number(process.env.RESTANTE_TEST_SEED ?? Date.now() % 1_000_000);
const TIME_MAX_MS = 24 * 60 * 60_000;
/** Octets of the shortest input. */
const BYTES = 600;
/** How often the steps of an input the one of twice its length may take. */
const GROWTH_MAX = 2.3;
/** Steps for an octet that nobody minds, and those that are too many: most are for a digest of empty messages, each of which
 * is told of in three answers. */
const STEPS_PER_BYTE_MIN = 10;
const STEPS_PER_BYTE_MAX = 600;
/** The same where nothing is told of what was found. */
const SCAN_STEPS_PER_BYTE_MAX = 40;

const structured: Run = (mime, { bytes }) => {
  const structure = mime.scan(bytes);
  mime.formatEnvelope(structure.fields);
  const text = mime.formatBodyStructure(structure.root);
  mime.formatBody(structure.root);
  mime.bodyFromBodyStructure(text);
  mime.bodyStructureOfRev1(text);
  mime.parseStructured(text);
  const offsets = mime.decodeOffsets(mime.encodeOffsets(structure.root));
  const root = mime.nodesOf(mime.partTree(mime.parseStructured(text), offsets));
  for (const { path } of mime.allNodes(root)) if (path !== null) mime.findNode(root, path);
  mime.findSection(offsets, [1], "MIME");
  mime.findPart(offsets, [1]);
  mime.preview(mime.messageText(structure).start);
  mime.fileName(structure.root);
  const parts = mime.bodyParts(structure.root);
  mime.hasAttachment(parts);
  mime.isHtml(parts);
  mime.decodePartOctets(mime.encodePartOctets(structure.root), offsets);
};
const scanOnly: Run = (mime, { bytes }) => void mime.scan(bytes);
const refusedOr =
  (run: Run): Run =>
  (mime, input) => {
    try {
      run(mime, input);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
    }
  };
const inPieces =
  (push: (piece: Uint8Array) => void): ((bytes: Uint8Array) => void) =>
  (bytes) => {
    for (let at = 0; at < bytes.length; at++) push(bytes.subarray(at, at + 1));
  };
const transfer =
  (encoding: string): Run =>
  (mime, { bytes }) => {
    mime.decodeTransfer(bytes, encoding);
    for (const decoder of [mime.createTransferDecoder(encoding), mime.createTextDecoder(encoding)]) {
      inPieces((piece) => decoder.push(piece))(bytes);
      decoder.end();
    }
  };

const HEADER = ["a", " ", "\t", "\r\n", "\n", "\r", ":", "Subject: ", "é"];
const WORDS = [" ", "a", "=?", "?=", "?", "=?a?q?", "=?utf-8?B?QQ==?=", "=?a*b", "*", "é", "=", "_", "\r\n", "\0"];
const ADDRESSES = ["<", ">", "@", ",", ";", ":", "(", ")", "[", "]", '"', "\\", ".", " ", "a", "a ", "a. ", "x@y", "é"];
const SUBJECTS = ["re", "fwd", ":", "[", "]", " ", "(fwd)", "x", "[fwd:", "[a]", "Re: ", "\t", "=?a?q?re:?="];
const PARAMETERS = [
  ";",
  "=",
  '"',
  "\\",
  "(",
  ")",
  " ",
  "a",
  "*",
  "*0",
  "*1*",
  ";a=1",
  ";a*0=",
  "'",
  "%",
  "%41",
  "\r\n",
];
const DATES = ["Mon, ", "1", "12", " ", "-", "Jan", "jan", ":", ".", "am", "+0100", "(", ")", "\\", ","];
const HTML = ["<", ">", "</", "<style", "</style", " ", "&", "&#", "&#x41;", "&amp;", ";", "a", "<title>", "</title >"];
const BODY = ["=", "=\r\n", "=4", " ", "\t", "\r", "\n", "\r\n", "a", "A", "+", "-", "/", "AAAA", "\xff"];
const MAIL = [
  ...[
    "\r\n",
    "\n",
    "\r\n\r\n",
    "--b\r\n",
    "--b--\r\n",
    "--",
    "--bx",
    "--\r\n",
    " ",
    "a",
    "a: b\r\n",
    "\r\n\r\n--b\r\n",
  ],
  ...["Content-Type: multipart/mixed; boundary=b\r\n\r\n", "Content-Type: message/rfc822\r\n\r\n", "From: a@b\r\n"],
  ...["Content-Type: text/html\r\n", "Content-Disposition: a; a*0=b; a*1=c; filename=d\r\n", ";a=b", "x@y,"],
];
const STRUCTURES = ["(", ")", " ", '"', "\\", "NIL", "9", "(NIL)", '"a"', '("text" "plain")'];
const REPORT = [
  ...["\r\n", "\r\n\r\n", " ", ";", "(", ")", "<", ">", "/", "a", "rfc822", "+x40"],
  ...["Action: failed\r\n", "Final-Recipient: ", "Diagnostic-Code: ", "Disposition: ", "Original-Message-ID: "],
];
const OFFSETS = ["\0", "\x01", "\x02", "\x7f", "\x80", "\xff", "\x01\0\0\0\x01"];

/** Each function that reads, with the tokens of its language and what stands before them. */
const PARSERS: Readonly<
  Record<string, { readonly run: Run; readonly tokens: readonly string[]; readonly head?: string }>
> = {
  scan: { run: structured, tokens: MAIL, head: "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" },
  createScanner: {
    run(mime, { bytes }) {
      const scanner = mime.createScanner();
      inPieces((piece) => scanner.push(piece))(bytes);
      scanner.finish();
    },
    tokens: MAIL,
    head: "Content-Type: multipart/mixed; boundary=b\r\n\r\n",
  },
  parseHeaders: {
    run: (mime, { bytes }) => void mime.references(mime.parseHeaders(bytes)),
    tokens: HEADER,
  },
  HeaderBlock: {
    run(mime, { bytes }) {
      const block = new mime.HeaderBlock(bytes);
      block.fields();
      block.values("a");
      block.rawValues("a");
      block.lastRawValue("a");
      block.rawFields();
      block.select(new Set(["a"]), true);
      block.select(new Set(["a"]), false);
    },
    tokens: HEADER,
  },
  findHeader: { run: (mime, { bytes }) => void mime.findHeader(mime.parseHeaders(bytes), "x"), tokens: HEADER },
  references: {
    run: (mime, { bytes }) => void mime.references(mime.parseHeaders(bytes)),
    tokens: ["<", ">", "a", " ", "\r\n ", "<a>"],
    head: "References: ",
  },
  parseMessageIds: {
    run: (mime, { text }) => void mime.parseMessageIds(text),
    tokens: ["<", ">", "a", " ", "(", ")", "\r\n", "<a>"],
  },
  parseUrls: {
    run: (mime, { text }) => void mime.parseUrls(text),
    tokens: ["<", ">", "a", " ", "(", ")", "\\", ",", "<a>"],
  },
  parseAddresses: {
    run(mime, { text }) {
      for (const address of mime.parseAddresses(text))
        if (address.kind === "mailbox") mime.formatAddress(address);
        else mime.displayName(address.name);
    },
    tokens: ADDRESSES,
  },
  displayName: { run: (mime, { text }) => void mime.displayName(text), tokens: WORDS },
  decodeWords: { run: (mime, { text }) => void mime.decodeWords(text), tokens: WORDS },
  decodeUnstructured: { run: (mime, { text }) => void mime.decodeUnstructured(text), tokens: WORDS },
  encodeWords: { run: (mime, { text }) => void mime.encodeWords(text), tokens: WORDS },
  decodeRaw: { run: (mime, { text }) => void mime.decodeRaw(text), tokens: WORDS },
  binaryText: { run: (mime, { bytes }) => void mime.binaryText(bytes), tokens: WORDS },
  binaryBytes: { run: (mime, { text }) => void mime.binaryBytes(text), tokens: WORDS },
  baseSubject: { run: (mime, { text }) => void mime.baseSubject(text), tokens: SUBJECTS },
  baseSubjectOf: { run: (mime, { text }) => void mime.baseSubjectOf(text), tokens: SUBJECTS },
  parseDate: { run: (mime, { text }) => void mime.parseDate(text), tokens: DATES },
  parseParameterized: {
    run(mime, { text }) {
      const { parameters } = mime.parseParameterized(text);
      mime.findParameter(parameters, "x");
      mime.decodeParameter(parameters, "a");
    },
    tokens: PARAMETERS,
    head: "a/b",
  },
  findParameter: {
    run: (mime, { text }) => void mime.findParameter(mime.parseParameterized(text).parameters, "x"),
    tokens: PARAMETERS,
  },
  decodeParameter: {
    run: (mime, { text }) => void mime.decodeParameter([{ name: "a*", value: text }], "a"),
    tokens: PARAMETERS,
  },
  fileName: { run: structured, tokens: PARAMETERS, head: "Content-Disposition: a; filename" },
  decodeTransfer: { run: transfer("quoted-printable"), tokens: BODY },
  createTransferDecoder: { run: transfer("base64"), tokens: BODY },
  createTextDecoder: { run: transfer("quoted-printable"), tokens: BODY },
  decodeCharset: {
    run(mime, { bytes, text }) {
      mime.decodeCharset(bytes, "utf-7");
      mime.decodeCharset(bytes, "utf-8");
      mime.decodeCharset(bytes, text);
    },
    tokens: BODY,
  },
  decodeText: {
    run: (mime, { bytes }) => void mime.decodeText({ encoding: "quoted-printable", parameters: [] }, bytes),
    tokens: BODY,
  },
  stripHtml: { run: (mime, { text }) => void mime.stripHtml(text), tokens: HTML },
  preview: { run: (mime, { text }) => void mime.preview(text), tokens: HTML },
  messageText: { run: structured, tokens: HTML, head: "Content-Type: text/html\r\n\r\n" },
  bodyParts: { run: structured, tokens: PARAMETERS, head: "Content-Type: text/plain" },
  isReport: { run: (mime, { text }) => void mime.isReport(text), tokens: ["multipart", "/report", ";", " ", "a"] },
  reportPart: {
    run: (mime, { bytes }) => void mime.reportPart(mime.scan(bytes).root),
    tokens: ["--b\r\n", "\r\n", "a", "Content-Type: message/delivery-status\r\n\r\n"],
    head: "Content-Type: multipart/report; boundary=b\r\n\r\n",
  },
  parseDeliveryReport: { run: (mime, { bytes }) => void mime.parseDeliveryReport(bytes), tokens: REPORT },
  parseDispositionReport: { run: (mime, { bytes }) => void mime.parseDispositionReport(bytes), tokens: REPORT },
  composed: { run: (mime, { text }) => void mime.composed(text, "NFKC"), tokens: ["a", "\u0301", "\u0323", "ﬁ"] },
  cutText: {
    run: (mime, { text }) => void mime.cutText(text, Math.max(0, text.length - 1), true),
    tokens: [...HTML, '"', "'", "=", ">"],
  },
  nodesOf: { run: structured, tokens: MAIL, head: "Content-Type: multipart/mixed; boundary=b\r\n\r\n" },
  allNodes: { run: structured, tokens: MAIL, head: "Content-Type: multipart/mixed; boundary=b\r\n\r\n" },
  findNode: { run: structured, tokens: MAIL, head: "Content-Type: multipart/mixed; boundary=b\r\n\r\n" },
  partTree: { run: structured, tokens: MAIL, head: "Content-Type: multipart/mixed; boundary=b\r\n\r\n" },
  hasAttachment: { run: structured, tokens: PARAMETERS, head: "Content-Disposition: a" },
  isHtml: { run: structured, tokens: MAIL, head: "Content-Type: multipart/alternative; boundary=b\r\n\r\n" },
  encodePartOctets: { run: structured, tokens: BODY, head: "Content-Transfer-Encoding: quoted-printable\r\n\r\n" },
  decodePartOctets: { run: structured, tokens: BODY, head: "Content-Transfer-Encoding: base64\r\n\r\n" },
  formatEnvelope: { run: structured, tokens: ADDRESSES, head: "From: " },
  formatBody: { run: structured, tokens: PARAMETERS, head: "Content-Type: text/plain" },
  formatBodyStructure: { run: structured, tokens: PARAMETERS, head: "Content-Type: multipart/mixed; boundary=b" },
  bodyStructureSteps: { run: structured, tokens: MAIL, head: "Content-Type: message/rfc822\r\n\r\n" },
  compose: {
    run: refusedOr((mime, { text }) => {
      const addresses = [{ name: text, email: "a@b" }];
      mime.compose(
        {
          headers: [
            { name: "Subject", form: "text", value: text },
            { name: "X", form: "raw", value: text },
            { name: "To", form: "groupedAddresses", value: [{ name: text, addresses }] },
            { name: "From", form: "addresses", value: Array(Math.ceil(text.length / 60)).fill({ email: "a@b" }) },
          ],
          body: mime.arrange({
            text: { kind: "text", text, flowed: true },
            html: { kind: "text", subtype: "html", text: mime.quote(text), description: text },
          }),
        },
        { now: () => ({ timeMs: 0, zoneMinutes: 0 }), random: (bytes) => new Uint8Array(bytes), domain: "x.test" },
      );
    }),
    tokens: [...WORDS, ">", "> ", "-- ", "From ", "--=_", "(", ","],
  },
  writeField: {
    run: refusedOr((mime, { text }) => {
      const style = { utf8: false, draft: true };
      const addresses = [{ name: text, email: text }];
      mime.writeField({ name: "X", form: "raw", value: text }, style);
      mime.writeField({ name: "To", form: "addresses", value: addresses }, style);
    }),
    tokens: [...WORDS, ...ADDRESSES],
  },
  arrange: { run: (mime, { text }) => void mime.arrange({ text: { kind: "text", text } }), tokens: WORDS },
  quote: { run: (mime, { text }) => void mime.quote(text), tokens: [">", " ", "\r", "\n", "\r\n", "a"] },
  look: { run: (mime, { bytes }) => void mime.look(bytes), tokens: BODY },
  OctetLook: {
    run(mime, { bytes }) {
      const octets = new mime.OctetLook();
      inPieces((piece) => octets.push(piece))(bytes);
      octets.facts();
    },
    tokens: ["--=_", "_", "\r", "\n", "--", "="],
  },
  formatAddrSpec: {
    run: refusedOr((mime, { text }) => void mime.formatAddrSpec(`a@${text}`, { utf8: true })),
    tokens: ADDRESSES,
  },
  formatAddress: { run: structured, tokens: ADDRESSES, head: "To: " },
  bodyFromBodyStructure: {
    run: refusedOr((mime, { text }) => void mime.bodyFromBodyStructure(text)),
    tokens: STRUCTURES,
    head: "(",
  },
  bodyStructureOfRev1: {
    run: refusedOr((mime, { text }) => void mime.bodyStructureOfRev1(`${text} "message" "global"`)),
    tokens: STRUCTURES,
    head: "(",
  },
  parseStructured: {
    run: refusedOr((mime, { text }) => void mime.parseStructured(text)),
    tokens: STRUCTURES,
    head: "(",
  },
  decodeOffsets: { run: refusedOr((mime, { bytes }) => void mime.decodeOffsets(bytes)), tokens: OFFSETS, head: "\x01" },
  encodeOffsets: { run: structured, tokens: MAIL, head: "Content-Type: multipart/mixed; boundary=b\r\n\r\n" },
  findPart: { run: structured, tokens: MAIL, head: "Content-Type: message/rfc822\r\n\r\n" },
  findSection: { run: structured, tokens: MAIL, head: "Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n" },
};

const repeated = (unit: string, bytes: number): string => unit.repeat(Math.ceil(bytes / unit.length)).slice(0, bytes);
/** The ways in which two tokens fill an input. */
const FORMS: readonly ((a: string, b: string, bytes: number) => string)[] = [
  (a, b, bytes) => repeated(a + b, bytes),
  (a, b, bytes) => repeated(a, bytes) + b,
  (a, b, bytes) => a + repeated(b, bytes),
  (a, b, bytes) => repeated(a, bytes / 2) + repeated(b, bytes / 2),
];
const levels = (count: number, level: (depth: number) => string): string =>
  Array.from({ length: count }, (_, i) => level(i)).join("");
const nested = (name: (depth: number) => string): string =>
  levels(DEPTH_MAX, (depth) => `Content-Type: multipart/mixed; boundary="${name(depth)}"\r\n\r\n--${name(depth)}\r\n`);

/** Where readers went wrong once, or others do: what stands before, what is repeated, what stands behind. */
const KNOWN: Readonly<Record<string, readonly (readonly [before: string, unit: string, behind?: string])[]>> = {
  baseSubject: [
    ["", "(fwd)"],
    ["[x", "(fwd)"],
    ["", "[fwd:[x"],
    ["a", " ", "b"],
  ],
  parseAddresses: [
    ["x@", "a. "],
    ["x@", ". "],
    ["<", "a "],
    ["a:", "b:"],
  ],
  parseParameterized: [["a/b", ";a=1"]],
  parseDate: [
    ["1 Jan", "x"],
    ["Mon", " "],
    ["1 Jan 2020 10:10", " "],
  ],
  bodyFromBodyStructure: [["(", '("text" "plain" NIL NIL NIL "7bit" 0)', ' "mixed")']],
  parseStructured: [['"', "a", '"']],
  decodeTransfer: [
    ["=", " "],
    ["a", " ", "b"],
  ],
  stripHtml: [
    ["<style>", "</style "],
    ["", "<style>"],
  ],
};

/** Mails that took too long once, and their kind: so many octets of them. */
const MAILS: Readonly<Record<string, (bytes: number) => string>> = {
  "many levels with near misses": (bytes) =>
    `${nested((depth) => `${"b".repeat(60)}${depth}`)}\r\n\r\n${repeated(`--${"b".repeat(60)}\r\n`, bytes)}`,
  "many levels whose boundaries begin one another": (bytes) =>
    `${nested((depth) => "b".repeat(depth + 1))}\r\n\r\n${repeated(`--${"b".repeat(100)}x\r\n`, bytes)}`,
  "one boundary on many levels": (bytes) => `${nested(() => "b")}\r\n\r\n${repeated("--bx\r\n", bytes)}`,
  "the shortest lines in many levels": (bytes) => `${nested((depth) => `${depth}`)}\r\n\r\n${repeated("--\n", bytes)}`,
  "lines of white space behind a boundary": (bytes) =>
    `${nested((depth) => `${depth}`)}\r\n\r\n--5${repeated(" ", bytes)}x\r\n`,
  "empty parts": (bytes) => `Content-Type: multipart/mixed; boundary=b\r\n\r\n${repeated("--b\r\n\r\n", bytes)}`,
  "empty multiparts": (bytes) =>
    `Content-Type: multipart/mixed; boundary=b\r\n\r\n${repeated("--b\r\nContent-Type: multipart/x; boundary=c\r\n\r\n", bytes)}`,
  "parameters of many parts": (bytes) =>
    `Content-Type: multipart/mixed; boundary=b\r\n\r\n${repeated(`--b\r\nContent-Type: a/b${levels(200, (at) => `;a*${at}=`)}\r\n\r\n`, bytes)}`,
  "one part after another opened and closed": (bytes) =>
    `Content-Type: multipart/mixed; boundary=b\r\n\r\n${repeated("--b\r\nContent-Type: multipart/x; boundary=c\r\n\r\n--c\r\n\r\n--c--\r\n", bytes)}`,
};

const binary = (text: string): Input => ({ text, bytes: Uint8Array.from(text, (char) => char.charCodeAt(0)) });
let counter: StepCounter;
let mime: Mime;

beforeAll(async () => {
  counter = new StepCounter((url) => url.includes("/mime/src/") && !/\.test\.ts|-kit\.ts|-steps\.ts/.test(url));
  mime = await import("./index.ts");
});
afterAll(() => counter.dispose());

/** Counts an input of some length, and one of twice that; where a limit lies between the two, one of twice that again. */
function assertLinear(
  run: Run,
  make: (bytes: number) => string,
  bytes: number,
  name: string,
  stepsPerByteMax: number = STEPS_PER_BYTE_MAX,
): void {
  const count = (length: number): number => counter.count(() => run(mime, binary(make(length))));
  // Work that is done once in a process does not count.
  count(0);
  const base = count(0);
  const grows = (length: number, once: number, twice: number): boolean =>
    twice - base > GROWTH_MAX * Math.max(once - base, STEPS_PER_BYTE_MIN * length);
  const steps = count(bytes);
  const doubled = count(2 * bytes);
  const isLinear = !grows(bytes, steps, doubled) || !grows(2 * bytes, doubled, count(4 * bytes));
  if (!isLinear || steps - base > stepsPerByteMax * bytes)
    throw new Error(`seed=${SEED} ${name}: ${base}, then ${steps} and ${doubled} steps of ${JSON.stringify(make(60))}`);
}

test("every function has its row here", () => {
  const functions = Object.entries(mime).filter(([, value]) => typeof value === "function");
  expect(functions.map(([name]) => name).sort()).toEqual(Object.keys(PARSERS).sort());
});

describe("steps grow with the input", { timeout: TIME_MAX_MS }, () => {
  const random = new Random(SEED);
  for (const [name, { run, tokens, head = "" }] of Object.entries(PARSERS))
    test(name, () => {
      for (let pair = 0; pair < PAIRS; pair++) {
        const [a, b] = [random.pick(tokens), random.pick(tokens)];
        for (const [number, form] of FORMS.entries())
          assertLinear(run, (bytes) => head + form(a, b, bytes), BYTES, `${JSON.stringify([a, b])} in form ${number}`);
      }
    });

  for (const [name, known] of Object.entries(KNOWN))
    for (const [before, unit, behind = ""] of known)
      test(`${name} of ${JSON.stringify(before + unit)}`, () => {
        const make = (bytes: number): string => before + unit.repeat(Math.ceil(bytes / unit.length)) + behind;
        assertLinear(PARSERS[name]!.run, make, 30 * BYTES, name);
      });

  for (const [name, make] of Object.entries(MAILS))
    test(name, () => {
      assertLinear(structured, make, 8 * BYTES, name);
      assertLinear(scanOnly, make, 8 * BYTES, name, SCAN_STEPS_PER_BYTE_MAX);
      assertLinear(PARSERS.createScanner!.run, make, 2 * BOUNDARY_LINE_BYTES_MAX, name);
    });
});

test("what is not linear is seen", () => {
  const quadratic: Run = (_mime, { text }) => {
    for (let end = text.length; end > 0; end--) text.slice(0, end).includes("x");
  };
  expect(() => assertLinear(quadratic, (bytes) => "a".repeat(bytes), BYTES, "built-in")).toThrow("built-in");
  const backtracking: Run = (_mime, { text }) => void /\s*\(fwd\)\s*$/.test(text);
  expect(() => assertLinear(backtracking, (bytes) => " ".repeat(bytes), BYTES, "expression")).toThrow("expression");
});
