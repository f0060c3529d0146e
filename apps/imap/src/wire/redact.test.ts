import fc from "fast-check";
import { expect, test } from "vitest";
import { AnswerRedactor, redactCommand } from "./redact.ts";

const KNOWN = new Set(["LOGIN", "AUTHENTICATE", "SELECT", "FETCH", "SEARCH", "SORT", "THREAD", "APPEND"]);
const bytes = (text: string): Uint8Array => Buffer.from(text, "latin1");

function command(line: string, literal?: string, rest = ""): string {
  const more = literal === undefined ? [] : [bytes(rest)];
  return redactCommand(
    { lines: [bytes(line), ...more], literals: literal === undefined ? [] : [bytes(literal)] },
    (name) => KNOWN.has(name),
  );
}

function answers(text: string, cut: number): string[] {
  const lines: string[] = [];
  const redactor = new AnswerRedactor((line) => lines.push(line));
  for (let at = 0; at < text.length; at += cut) redactor.push(bytes(text.slice(at, at + cut)));
  return lines;
}

test.each([
  ['a1 LOGIN ada "se\\"cret"', "a1 LOGIN [redacted]"],
  ["a1 authenticate PLAIN AGFkYQBzZWNyZXQ=", "a1 authenticate [redacted]"],
  ['a2 SELECT "Geheim"', 'a2 SELECT "[6]"'],
  ["a3 UID FETCH 1:* (FLAGS UID)", "a3 UID FETCH 1:* (FLAGS UID)"],
  [
    'a4 SEARCH SUBJECT secret FROM "secret" SINCE 1-Jan-2026',
    'a4 SEARCH SUBJECT [redacted] FROM "[6]" SINCE 1-Jan-2026',
  ],
  ["a5 UID SEARCH OR (TEXT secret) HEADER X-Tag secret", "a5 UID SEARCH OR (TEXT [redacted]) HEADER X-Tag [redacted]"],
  ["a5 UID SORT (DATE) UTF-8 TEXT secret", "a5 UID SORT (DATE) UTF-8 TEXT [redacted]"],
  ["a5 THREAD REFERENCES UTF-8 FROM secret", "a5 THREAD REFERENCES UTF-8 FROM [redacted]"],
  [`${"a".repeat(60)} SEARCH TEXT secret`, "[60] SEARCH TEXT [redacted]"],
  ["a5 SEARCH SUBJECT [secret BODY [3 octets", "a5 SEARCH SUBJECT [redacted] BODY [redacted] octets"],
  ["LOGIN ada@example.org secret", "LOGIN [28 characters]"],
  ["a  LOGIN ada secret", "[19] [19 characters]"],
  ["a UID LOGIN ada secret", "a LOGIN [redacted]"],
  ["a UID NONSENSE secret", "a [21 characters]"],
  ["AGFkYQBzZWNyZXQ=", "[16] [16 characters]"],
  ["", " [0 characters]"],
  ['a6 SELECT "secret', "a6 SELECT [redacted]"],
])("%s is told as %s", (line, told) => expect(command(line)).toBe(told));

test("of a literal the size is told, and what follows it", () => {
  expect(command("a APPEND INBOX {6+}", "secret", " UID")).toBe("a APPEND INBOX {6+} [6 octets] UID");
});

test("answers are told line by line, however they leave: no quoted string, no literal", () => {
  const text =
    '* 1 FETCH (ENVELOPE ("Mon" "secret \\"x\\" {9}" NIL) BODY[] {14}\r\nsecret\r\n"sec\r\n UID 7)\r\n* OK "secret\r\na OK done\r\n';
  for (let cut = 1; cut <= text.length; cut++)
    expect(answers(text, cut)).toEqual([
      '* 1 FETCH (ENVELOPE ("[3]" "[16]" NIL) BODY[] [14 octets] UID 7)',
      "* OK ",
      "a OK done",
    ]);
});

test("an answer to what has a secret for a tag tells it neither", () => {
  expect(answers("AGFkYQBzZWNyZXQ= BAD no command\r\na1 OK done\r\n* BYE\r\n", 5)).toEqual([
    "[16] BAD no command",
    "a1 OK done",
    "* BYE",
  ]);
});

test("whatever stands in quotation marks or in a literal, none of it is told", () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom("Z", '"', "\\", "{", "}", "3", " ", "(") }), (text) => {
      const quoted = `"${text.replaceAll(/["\\]/g, "\\$&")}"`;
      expect(command(`a SELECT ${quoted}`)).not.toContain("Z");
      const told = answers(`* LIST () ${quoted} BODY {${text.length}}\r\n${text})\r\n`, 3);
      expect(told.join()).not.toContain("Z");
      expect(told).toHaveLength(1);
    }),
  );
});
