import { readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { expect, test } from "vitest";
import { readPath } from "./path.ts";
import { candidates } from "./recipients.ts";
import { spool } from "./spool.ts";
import { formatTrace } from "./trace.ts";

const rules = { aliases: { "Info@x.org": "ada@x.org" }, delimiter: "+", catchAll: "all@x.org", postmaster: "" };

test("an address is looked up as alias, as it is, without its detail, and then the catch-all", () => {
  expect(candidates("INFO@x.org", rules)).toEqual(["ada@x.org", "info@x.org", "all@x.org"]);
  expect(candidates("info+news@x.org", rules)).toEqual(["info+news@x.org", "ada@x.org", "info@x.org", "all@x.org"]);
  expect(candidates("+odd@x.org", { ...rules, catchAll: "" })).toEqual(["+odd@x.org"]);
  expect(candidates("a+b@x.org", { ...rules, delimiter: "", catchAll: "" })).toEqual(["a+b@x.org"]);
});

test.each([
  ["ada@xn--bcher-kva.example", ["grete@bücher.example", "ada@xn--bcher-kva.example"]],
  ["ADA@BÜCHER.example", ["grete@bücher.example", "ada@bücher.example"]],
  ["ada@Bu\u0308cher.example.", ["grete@bücher.example", "ada@bücher.example"]],
  ['"a\\"d a"@x.org', ['a"d a@x.org']],
  ['"ada"@x.org', ["ada@x.org"]],
  ['"ada+x"@x.org', ["ada+x@x.org", "ada@x.org"]],
  ["ada@exa_mple.org.", ["ada@exa_mple.org"]],
  ["ada@1.2", ["ada@1.2"]],
  ["ada@[127.0.0.1]", ["ada@[127.0.0.1]"]],
  ["ada@bü/x.example", ["ada@bü/x.example"]],
])("%s is looked up as %j", (address, expected) => {
  const aliases = { "ada@bücher.example": "grete@bücher.example" };
  expect(candidates(address, { ...rules, aliases, catchAll: "" })).toEqual(expected);
});

test("postmaster without a domain goes where it is configured, and else nowhere", () => {
  expect(candidates("Postmaster", rules)).toEqual([]);
  expect(candidates("Postmaster", { ...rules, postmaster: "Ada@x.org" })).toEqual(["ada@x.org"]);
  expect(candidates("postmaster", { ...rules, aliases: { postmaster: "bob@x.org" } })).toEqual(["bob@x.org"]);
  expect(candidates("postmaster@x.org", rules)).toEqual(["postmaster@x.org", "all@x.org"]);
});

test.each([
  ["<a..b@docomo.ne.jp>", "a..b@docomo.ne.jp", ""],
  ["<.a.@x>", ".a.@x", ""],
  [" <a@ex_ample.org>  SIZE=1", "a@ex_ample.org", "  SIZE=1"],
  ['<"a b"@x> SIZE=1', '"a b"@x', " SIZE=1"],
  ['<"a>\\"<b"@x>', '"a>\\"<b"@x', ""],
  ["<root>", "root", ""],
  ["<a@x.>", "a@x.", ""],
  ["<a@b@x>", "a@b@x", ""],
  ["<@r,@s:a@x>", "a@x", ""],
  ["<ädä@bücher.example> SMTPUTF8", "ädä@bücher.example", " SMTPUTF8"],
  ["<>", "", ""],
])("the path %s is read", (text, address, rest) => {
  expect(readPath(text)).toEqual({ address, rest });
});

test.each([
  "",
  "a@x",
  "<a@x",
  "<a b@x>",
  "<<a@x>>",
  '<"a@x>',
  "<a@x>SIZE=1",
  "<a\u0000@x>",
  `<${"a".repeat(1_001)}@x>`,
])("%j is no path", (text) => {
  expect(readPath(text)).toBeUndefined();
});

test("what a client says of itself can't add a header line", () => {
  const fields = {
    from: "a\r\nEvil: 1@x",
    recipient: "b@x",
    client: "c\nEvil: 2",
    address: "::1",
    server: "s",
    id: "1",
    time: new Date(0),
  };
  const text = new TextDecoder().decode(formatTrace(fields));
  expect(text.split("\r\n").filter((line) => line.startsWith("Evil"))).toEqual([]);
  expect(text).toContain("for <b@x>; Thu, 01 Jan 1970 00:00:00 +0000\r\n");
});

test.each([10, 300_000, 3_000_000])(
  "a spooled message of %i bytes reads the same each time and leaves no file",
  async (size) => {
    async function* source(): AsyncGenerator<Uint8Array> {
      for (let at = 0; at < size; at += 1000) yield new Uint8Array(Math.min(1000, size - at)).fill(at % 251);
    }
    const files = (): number => readdirSync(tmpdir()).filter((name) => name.startsWith("restante-spool-")).length;
    const before = files();
    const expected = Buffer.concat(await Array.fromAsync(source()));
    await using spooled = await spool(source());
    for (let round = 0; round < 2; round++)
      expect(Buffer.compare(Buffer.concat(await Array.fromAsync(spooled.read())), expected)).toBe(0);
    expect(files()).toBe(before);
  },
);
