import { expect, test } from "vitest";
import { bytes, scanned } from "../testing/scanned-body.ts";
import { findInBody } from "./body-text.ts";
import { Finder, fold, Needle } from "./needle.ts";
import { ALONE } from "./pace.ts";

const NONE = new Finder([]);

test("a body is read once, from front to back, however many parts it has, and no further than is needed", async () => {
  const parts = Array.from({ length: 900 }, (_, n) => `--b\r\n\r\ntext ${n} of it\r\n`);
  const attachment = `--b\r\nContent-Type: image/png\r\n\r\n${"x".repeat(500_000)}\r\n`;
  const message = `Content-Type: multipart/mixed; boundary=b\r\n\r\n${parts.join("")}${attachment}--b\r\n\r\nbehind it\r\n--b--\r\n`;
  const { body, summary, reads } = scanned(bytes(message));
  const all = new Finder([
    new Needle("text 0 of"),
    new Needle("text 899 of"),
    new Needle("behind"),
    new Needle("nowhere"),
  ]);
  await findInBody({ texts: all, headers: NONE }, body, summary, ALONE);
  expect([...all.found]).toEqual(["text 0 of", "text 899 of", "behind"]);
  // The attachment is not read over.
  expect(reads).toHaveLength(2);
  expect(reads[1]![0]).toBeGreaterThan(500_000);
  reads.length = 0;
  const first = new Finder([new Needle("text 0 of")]);
  await findInBody({ texts: first, headers: NONE }, body, summary, ALONE);
  expect(reads).toHaveLength(1);
});

test.each([
  ["quoted-printable", "iso-8859-1", (text: string) => text.replace("ä", "=E4"), 200_000],
  ["base64", "utf-8", (text: string) => Buffer.from(text).toString("base64").replace(/.{76}/g, "$&\r\n"), 200_000],
  ["8bit", "utf-8", (text: string) => text, 3_000_000],
  ["base64", "utf-16le", (text: string) => Buffer.from(text, "utf16le").toString("base64"), 3_000_001],
])(
  "texts of %s and %s are found in large parts, with line ends and without",
  async (encoding, charset, encode, size) => {
    for (const filler of ["words\r\n", "words "]) {
      const text = `${filler.repeat(size / filler.length)}a Kärntner mail`;
      const head = `Content-Type: text/plain; charset=${charset}\r\nContent-Transfer-Encoding: ${encoding}\r\n\r\n`;
      const { body, summary } = scanned(bytes(head + encode(text)));
      const finder = new Finder([new Needle(fold("KÄRNTNER Mail")), new Needle("nowhere")]);
      await findInBody({ texts: finder, headers: NONE }, body, summary, ALONE);
      expect([...finder.found]).toEqual([fold("kärntner mail")]);
    }
  },
);

test("headers of parts and of attached messages, and messages' own kinds of text, are looked through", async () => {
  const inner = "Subject: =?utf-8?q?sch=C3=B6n?=\r\nTo: inner@x\r\n\r\ninner words\r\n";
  const message = [
    "Subject: outer\r\nContent-Type: multipart/report; boundary=b\r\n\r\n",
    `--b\r\nContent-Type: message/rfc822\r\nX-Of-Part: one\r\n\r\n${inner}`,
    "--b\r\nContent-Type: message/delivery-status\r\n\r\nAction: failed\r\n",
    "--b\r\nContent-Type: image/png\r\nContent-Disposition: attachment;\r\n\tfilename=holiday.png\r\n\r\nnot words\r\n--b--\r\n",
  ].join("");
  const { body, summary } = scanned(bytes(message));
  const needles = [
    "outer",
    "schön",
    "inner@x",
    "inner words",
    "x-of-part: one",
    "failed",
    "attachment; filename",
    "not words",
  ];
  const texts = new Finder(needles.map((text) => new Needle(text)));
  const headers = new Finder(needles.map((text) => new Needle(text)));
  await findInBody({ texts, headers }, body, summary, ALONE);
  expect([...texts.found].sort()).toEqual(["failed", "inner words"]);
  expect([...headers.found].sort()).toEqual(["attachment; filename", "inner@x", "schön", "x-of-part: one"]);
});
