import fc from "fast-check";
import { expect, test } from "vitest";
import { createScanner, decodeTransfer, messageText, type Part, scan } from "./index.ts";
import { QuotedPrintableDecoder } from "./transfer.ts";

const octets = (text: string): Uint8Array => Uint8Array.from(text, (char) => char.charCodeAt(0));

/** Pieces of encodings and delimiters, sound or not. */
const PIECES = [
  ...[
    "QUJD",
    "QQ==",
    "=",
    "==",
    "-",
    "_",
    "+/",
    "*",
    "\r",
    "\n",
    "\r\n",
    "\r\n",
    "=\r\n",
    "=\n",
    "=3D",
    "=e4",
    "=4",
    "=G1",
  ],
  ...[" ", "\t", " \r\n", "\t \n", " ".repeat(999), " ".repeat(1001), "= \t\r\n", "=\r", "abc", "\x00", "\xff"],
  ...[
    "--",
    "--b",
    "\r\n--b",
    "\r\n--b\r\n",
    "\n--b\n",
    "\r--b\r\n",
    "\r\n--bx\r\n",
    "\r\n--b--\r\n",
    `\r\n--b${" ".repeat(1100)}\r\n`,
  ],
  "\r\n--b\r\nContent-Transfer-Encoding: base64\r\n\r\n",
  "\r\n--b\r\nContent-Transfer-Encoding: Quoted-Printable\r\n\r\n",
];
const bodies = fc.array(fc.constantFrom(...PIECES), { maxLength: 25 }).map((pieces) => pieces.join(""));

function assertCounted(message: Uint8Array, sizes: readonly number[]): void {
  const scanner = createScanner();
  for (let at = 0, turn = 0; at < message.length; turn++) {
    const size = sizes[turn % sizes.length]!;
    scanner.push(message.subarray(at, at + size));
    scanner.push(new Uint8Array(0));
    at += size;
  }
  const visit = (part: Part): void => {
    const body = message.subarray(part.bodyStart, part.bodyEnd);
    const wanted = part.kind === "leaf" ? decodeTransfer(body, part.encoding) : body;
    expect(part.octets).toBe(wanted.length);
    part.children.forEach(visit);
  };
  visit(scanner.finish().root);
}

test.each(["base64", " QUOTED-PRINTABLE ", "quoted-printable", "7bit", "x-unknown"])(
  "the octets that are told of %s are those that the decoder makes of it, damaged or not, in whatever pieces it comes",
  (encoding) => {
    const header = `Content-Transfer-Encoding: ${encoding}\r\n\r\n`;
    const sizes = fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(bodies, sizes, fc.boolean(), (body, cuts, isInside) => {
        const multipart = `Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n${header}${body}`;
        assertCounted(octets(isInside ? multipart : header + body), cuts);
      }),
      { numRuns: 500 },
    );
  },
);

test("a large body is counted in pieces that the memory for it is bounded by", () => {
  for (const [encoding, line] of [
    ["base64", `${"QUJD".repeat(19)}\r\n`],
    ["quoted-printable", `${"a=3D ".repeat(14)}=\r\n`],
  ] as const)
    assertCounted(octets(`Content-Transfer-Encoding: ${encoding}\r\n\r\n${line.repeat(5000)}`), [3_000_000]);
});

test("a copy of a decoder goes on by itself", () => {
  const read = (decoder: QuotedPrintableDecoder, text: string): number[] => [
    ...decoder.push(octets(text)),
    ...decoder.end(),
  ];
  fc.assert(
    fc.property(bodies, bodies, bodies, (before, one, other) => {
      const decoder = new QuotedPrintableDecoder();
      const begun = [...decoder.push(octets(before))];
      const copy = decoder.copy();
      for (const [from, rest] of [
        [decoder, one],
        [copy, other],
      ] as const)
        expect([...begun, ...read(from, rest)]).toEqual([...decodeTransfer(octets(before + rest), "quoted-printable")]);
    }),
    {
      numRuns: 500,
      examples: [
        ["a \t", " \t\r\n", "b"],
        ["=3", "D", "E"],
        ["=", "3D", "\r\n"],
      ],
    },
  );
});

test("a text that just fits what is kept is the same, wherever a piece ends in the delimiter behind it", () => {
  const head =
    "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n";
  for (const length of [16_379, 16_380, 16_384, 16_385]) {
    const message = octets(
      `${head}${"=\r\n".repeat(5000)}${"=41".repeat(400)}${"x".repeat(length - 16_200)}\r\n--b--\r\n`,
    );
    const whole = messageText(scan(message));
    expect(whole).toMatchObject({ octets: 400 + length - 16_200, isWhole: length <= 16_384 });
    for (let at = message.length - 9; at < message.length; at++) {
      const scanner = createScanner();
      scanner.push(message.subarray(0, at));
      scanner.push(message.subarray(at));
      expect(messageText(scanner.finish())).toEqual(whole);
    }
  }
});
