import { expect, test } from "vitest";
import { fuzz, type Random } from "./fuzz-kit.ts";
import {
  baseSubject,
  bodyFromBodyStructure,
  bodyParts,
  createScanner,
  decodeOffsets,
  decodePartOctets,
  decodeTransfer,
  decodeWords,
  encodeOffsets,
  encodePartOctets,
  fileName,
  formatBody,
  formatBodyStructure,
  formatEnvelope,
  HeaderBlock,
  hasAttachment,
  messageText,
  parseAddresses,
  parseDate,
  parseHeaders,
  parseMessageIds,
  parseParameterized,
  parseStructured,
  preview,
  references,
  scan,
  stripHtml,
} from "./index.ts";
import { ADDRESSES_MAX, MESSAGE_IDS_MAX, PARAMETERS_MAX, PARTS_MAX } from "./limits.ts";

/** Inputs a test; a longer run sets more. */
const RUNS = Number(process.env.RESTANTE_FUZZ_RUNS ?? 3000);
const SEED = Number(process.env.RESTANTE_TEST_SEED ?? Date.now() % 1_000_000);
const TIME_MAX_MS = 24 * 60 * 60_000;
const BYTES_MAX = 2048;
/** Octets that one octet of a message may become in an answer (ENVELOPE names From three times: RFC 9051 §7.5.2), and
 * those of the shortest answer. */
const GROWTH_MAX = 40;
const ANSWER_BYTES_MIN = 600;
process.stdout.write(`seed=${SEED}\n`);

const bytes = (text: string): Uint8Array => Uint8Array.from(text, (char) => char.charCodeAt(0));
const text = (from: Uint8Array): string => String.fromCharCode(...from);

const MESSAGES = [
  'From: =?utf-8?q?Ren=C3=A9?= <a@b.test>\r\nTo: Group: x@y, "z \\" w" (c (d)) <@r:u@v>;\r\nSubject: Re: [x] Fwd: =?iso-8859-1?B?5A==?=\r\n' +
    "Date: Mon, 2 Jan 2006 15:04:05 +0100 (CET)\r\nMessage-ID: <1@x>\r\nReferences: <2@x> <3@x>\r\n\r\nbody\r\n",
  'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\npre\r\n--b\r\nContent-Type: text/html; charset=utf-8\r\n' +
    "Content-Transfer-Encoding: quoted-printable\r\n\r\n<p>a=C3=A4</p>\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n" +
    "Subject: in\r\nContent-Type: multipart/alternative; boundary=c\r\n\r\n--c\r\n\r\nx\r\n--c--\r\n--b\r\n" +
    "Content-Disposition: attachment; filename*0*=utf-8'en'%c3%a4; filename*1=.txt\r\nContent-Transfer-Encoding: base64\r\n\r\nAAEC\r\n--b--\r\npost\r\n",
  "Content-Type: text/plain; charset=utf-7; format=flowed\r\nContent-ID: <i@x>\r\nContent-MD5: Q2hlY2s=\r\nContent-Language: en, de\r\n\r\n+AGE-\r\n",
].map(bytes);
const TOKENS = [
  ..."<>@,;:()[]\"\\ .=?*'%\t\0-+/&".split(""),
  ...[
    "\r\n",
    "\n",
    "\r",
    "\r\n\r\n",
    "--b",
    "--b--",
    "--c",
    "--",
    "=?utf-8?q?",
    "=?",
    "?=",
    "=\r\n",
    "=C3",
    "%c3",
    "é",
  ],
  ...[
    "Content-Type: ",
    "multipart/mixed; boundary=b",
    "multipart/digest;boundary=c",
    "message/rfc822",
    "text/html",
    "charset=",
  ],
  ...[
    "Content-Disposition: ",
    "filename*0*=",
    "filename*=",
    "Content-Transfer-Encoding: base64",
    "Date: ",
    "From: ",
    "To: ",
  ],
  ...[
    "Subject: Re: ",
    "[x]",
    "Fwd:",
    "(fwd)",
    "1 Jan 2026",
    "25:61:61",
    "+9999",
    "99999999999999999999",
    "<p>",
    "</",
    "<!--",
    "&#x",
    "&amp;",
  ],
].map(bytes);
const options = { seed: SEED, runs: RUNS, samples: MESSAGES, tokens: TOKENS, bytesMax: BYTES_MAX };

/** The message's structure when it comes to the scanner in pieces. */
function scanInPieces(message: Uint8Array, random: Random) {
  const scanner = createScanner();
  for (let at = 0; at < message.length; ) {
    const size = 1 + random.next(40);
    scanner.push(message.subarray(at, at + size));
    at += size;
  }
  return scanner.finish();
}

test(
  "any bytes are a message, whose answers are bounded by its size",
  async () => {
    await fuzz(options, (message, random) => {
      const structure = scan(message);
      const { root } = structure;
      let parts = 0;
      const look = (part: typeof root): void => {
        parts++;
        const isInside = part.headerStart <= part.bodyStart && part.bodyStart <= part.bodyEnd;
        if (!isInside || part.bodyEnd > message.length) throw new Error("a part lies outside its message");
        const body = message.subarray(part.bodyStart, part.bodyEnd);
        const octets = part.kind === "leaf" ? decodeTransfer(body, part.encoding).length : body.length;
        if (part.octets !== octets) throw new Error(`${part.octets} octets are told of a part of ${octets}`);
        fileName(part);
        for (const child of part.children) look(child);
      };
      look(root);
      const bodyStructure = formatBodyStructure(root);
      const offsets = encodeOffsets(root);
      const growth = message.length * GROWTH_MAX + ANSWER_BYTES_MIN * parts;
      const answers = [bodyStructure, formatBody(root), formatEnvelope(structure.fields), offsets];
      for (const answer of answers)
        if (answer.length > growth) throw new Error(`an answer is ${answer.length} octets long`);
      if (preview(messageText(structure).start).length > 512) throw new Error("the preview is too long");
      hasAttachment(bodyParts(root));
      if (parts > PARTS_MAX) throw new Error(`${parts} parts`);
      if (bodyFromBodyStructure(bodyStructure) !== formatBody(root)) throw new Error("BODY differs from BODYSTRUCTURE");
      if (text(encodeOffsets(decodeOffsets(offsets))) !== text(offsets)) throw new Error("offsets differ");
      if (random.next(8) > 0) return;
      const again = scanInPieces(message, random);
      expect(formatBodyStructure(again.root)).toBe(bodyStructure);
      expect(encodePartOctets(again.root)).toEqual(encodePartOctets(root));
      expect(messageText(again)).toEqual(messageText(structure));
    });
  },
  TIME_MAX_MS,
);

test(
  "any header block is read",
  async () => {
    await fuzz({ ...options, seed: SEED + 1 }, (input) => {
      const fields = parseHeaders(input);
      if (fields.length > input.length) throw new Error("more fields than octets");
      if (references(fields).length > 2 * MESSAGE_IDS_MAX) throw new Error("too many references");
      new HeaderBlock(input);
    });
  },
  TIME_MAX_MS,
);

test(
  "any field's text is read",
  async () => {
    await fuzz({ ...options, seed: SEED + 2 }, (input) => {
      const value = text(input);
      if (parseAddresses(value).length > ADDRESSES_MAX) throw new Error("too many addresses");
      if (parseMessageIds(value).length > MESSAGE_IDS_MAX) throw new Error("too many message ids");
      if (parseParameterized(value).parameters.length > PARAMETERS_MAX) throw new Error("too many parameters");
      const words = decodeWords(value);
      if (words.length > 2 * value.length) throw new Error("decoded text is longer than its source");
      baseSubject(words);
      parseDate(value);
      if (stripHtml(value).length > 2 * value.length) throw new Error("text is longer than its HTML");
      for (const encoding of ["base64", "quoted-printable"])
        if (decodeTransfer(input, encoding).length > input.length) throw new Error("decoded bytes grew");
    });
  },
  TIME_MAX_MS,
);

test(
  "damaged offsets and structures are read or refused by RangeError",
  async () => {
    const roots = MESSAGES.map((message) => scan(message).root);
    const offsets = { ...options, samples: roots.map(encodeOffsets), tokens: [], seed: SEED + 3 };
    await fuzz(offsets, (input) => orRangeError(() => decodeOffsets(input)));
    const parts = { ...offsets, samples: roots.map(encodePartOctets) };
    for (const root of roots) {
      const known = decodeOffsets(encodeOffsets(root));
      await fuzz(parts, (input) =>
        orRangeError(() => {
          for (const octets of decodePartOctets(input, known).values()) if (octets < 0) throw new Error("no octets");
        }),
      );
    }
    const samples = roots.map((root) => bytes(formatBodyStructure(root)));
    await fuzz(
      { ...options, samples, tokens: ["(", ")", " ", '"', "\\", "NIL", "9", "{3}\r\nabc"].map(bytes) },
      (input) => {
        orRangeError(() => parseStructured(text(input)));
        orRangeError(() => bodyFromBodyStructure(text(input)));
      },
    );
  },
  TIME_MAX_MS,
);

function orRangeError(read: () => unknown): void {
  try {
    read();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
}
