import { expect, test } from "vitest";
import { bodyParts, hasAttachment, isHtml, type Part, scan } from "./index.ts";

type Tree = string | { readonly multipart: string; readonly parts: readonly Tree[] };
const of = (multipart: string, ...parts: readonly Tree[]): Tree => ({ multipart, parts });

let boundaries = 0;
function write(tree: Tree): string {
  if (typeof tree === "string") return `Content-Type: ${tree}\r\n\r\nx`;
  const boundary = `b${boundaries++}.`;
  const parts = tree.parts.map((part) => `--${boundary}\r\n${write(part)}\r\n`).join("");
  return `Content-Type: multipart/${tree.multipart}; boundary="${boundary}"\r\n\r\n${parts}--${boundary}--`;
}

const partsOf = (tree: Tree) => bodyParts(scan(new TextEncoder().encode(write(tree))).root);
const names = (parts: readonly Part[]): string[] => parts.map(({ description, subtype }) => description ?? subtype);
const named = (type: string, name: string, more = ""): string => `${type}${more}\r\nContent-Description: ${name}`;
const AS_FILE = "\r\nContent-Disposition: attachment";

test("parts are sorted as in the example of RFC 8621 §4.1.4", () => {
  const lists = partsOf(
    of(
      "mixed",
      named("text/plain", "A"),
      of(
        "mixed",
        of(
          "alternative",
          of("mixed", named("text/plain", "B"), named("image/jpeg", "C"), named("text/plain", "D")),
          of("related", named("text/html", "E"), named("image/jpeg", "F")),
        ),
        named("image/jpeg", "G", AS_FILE),
        named("application/x-excel", "H"),
        "message/rfc822\r\nContent-Description: J\r\n",
      ),
      named("text/plain", "K"),
    ),
  );
  expect(names(lists.textBody)).toEqual(["A", "B", "C", "D", "K"]);
  expect(names(lists.htmlBody)).toEqual(["A", "E", "K"]);
  expect(names(lists.attachments)).toEqual(["C", "F", "G", "H", "J"]);
});

test.each<[string, Tree, readonly string[]]>([
  ["text alone", "text/plain", ["plain", "plain", ""]],
  ["HTML alone", "text/html", ["html", "html", ""]],
  ["HTML alone in an alternative", of("alternative", "text/html"), ["html", "html", ""]],
  ["text alone in an alternative", of("alternative", "text/plain"), ["plain", "plain", ""]],
  ["an invitation", of("alternative", "text/plain", "text/html", "text/calendar"), ["plain", "html", "calendar"]],
  ["a named text behind the first", of("mixed", "text/plain", "text/plain; name=a.txt"), ["plain", "plain", "plain"]],
  [
    "a named text that is the first",
    of("mixed", "text/plain; name=a.txt", "text/html"),
    ["plain,html", "plain,html", ""],
  ],
  ["an image beside text", of("mixed", "text/plain", "image/png; name=a"), ["plain,png", "plain,png", ""]],
  ["a second of what is related", of("related", "text/html", "text/plain"), ["html", "html", "plain"]],
  ["text that is to be saved", `text/plain${AS_FILE}`, ["", "", "plain"]],
  [
    "two forms deeper within an alternative",
    of("alternative", of("mixed", "text/html", "image/png")),
    ["html,png", "html,png", "png"],
  ],
])("%s", (_, tree, wanted) => {
  const { textBody, htmlBody, attachments } = partsOf(tree);
  expect([textBody, htmlBody, attachments].map((list) => list.map(({ subtype }) => subtype).join())).toEqual(wanted);
});

test.each<[string, Tree, boolean]>([
  ["text", "text/plain", false],
  ["a file", of("mixed", "text/plain", "application/pdf"), true],
  ["a file that is shown inline", of("mixed", "text/plain", "application/pdf\r\nContent-Disposition: inline"), false],
  ["a picture within HTML", of("related", "text/html", "image/png\r\nContent-ID: <a>"), false],
  ["a picture beside HTML that nothing can refer to", of("related", "text/html", "image/png"), true],
  ["a picture that is to be saved", of("related", "text/html", `image/png${AS_FILE}\r\nContent-ID: <a>`), true],
  ["a file with an id", of("related", "text/html", "application/pdf\r\nContent-ID: <a>"), true],
  ["a message", of("mixed", "text/plain", "message/rfc822\r\n"), true],
])("whether there is an attachment: %s", (_, tree, wanted) => {
  expect(hasAttachment(partsOf(tree))).toBe(wanted);
});

test.each<[Tree, boolean]>([
  ["text/plain", false],
  ["text/html", true],
  [of("alternative", "text/plain", "text/html"), true],
  [of("mixed", "text/plain", "text/html; name=a.html"), false],
  [of("mixed", "text/plain", `text/html${AS_FILE}`), false],
])("whether it is written as HTML: %j", (tree, wanted) => {
  expect(isHtml(partsOf(tree))).toBe(wanted);
});
