import fc from "fast-check";
import { XMLParser, XMLValidator } from "fast-xml-parser";
import { expect, test } from "vitest";
import { formatPlist } from "./plist.ts";
import { element, formatXml } from "./xml.ts";

const PARSER = new XMLParser({
  ignoreAttributes: false,
  attributeNamePrefix: "@",
  parseTagValue: false,
  trimValues: false,
  ignoreDeclaration: true,
  htmlEntities: true,
});

function read(bytes: Uint8Array): Record<string, Record<string, unknown>> {
  const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  expect(XMLValidator.validate(text)).toBe(true);
  return PARSER.parse(text);
}

/** The text as XML can hold it: U+FFFD for characters that no document may have. */
function shown(text: string): string {
  return text.toWellFormed().replaceAll(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, "\ufffd");
}

const TEXT = fc.oneof(fc.string({ unit: "binary" }), fc.string({ unit: fc.constantFrom(..."<>&\"'\t\r\n\0]x\ud800") }));

test("whatever a text holds, it is read as that text and nothing else", () => {
  fc.assert(
    fc.property(TEXT, TEXT, (content, value) => {
      const { a } = read(formatXml(element("a", [element("b", `x${content}x`, { c: `x${value}x` })])));
      expect(a!.b).toEqual({ "#text": `x${shown(content)}x`, "@c": `x${shown(value)}x` });
    }),
  );
});

test("a text that would end its element, or begin another, is escaped", () => {
  const bytes = formatXml(element("a", `</a><b c="d">'&amp;]]>\0\r\n`));
  expect(Buffer.from(bytes).toString()).toBe(
    '<?xml version="1.0" encoding="utf-8"?>\n<a>&lt;/a&gt;&lt;b c=&quot;d&quot;&gt;&apos;&amp;amp;]]&gt;\ufffd&#13;&#10;</a>\n',
  );
});

test("a property list", () => {
  const { plist } = read(formatPlist({ "a<": ["x&y", 993, true, false, { b: "" }] }));
  expect(plist).toEqual({
    "@version": "1.0",
    dict: { key: "a<", array: { string: "x&y", integer: "993", true: "", false: "", dict: { key: "b", string: "" } } },
  });
});
