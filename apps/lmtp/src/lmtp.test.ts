import { readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { expect, test } from "vitest";
import { candidates } from "./recipients.ts";
import { spool } from "./spool.ts";
import { formatTrace } from "./trace.ts";

const rules = { aliases: { "Info@x.org": "ada@x.org" }, delimiter: "+", catchAll: "all@x.org" };

test("an address is looked up as alias, as it is, without its detail, and then the catch-all", () => {
  expect(candidates("INFO@x.org", rules)).toEqual(["ada@x.org", "info@x.org", "all@x.org"]);
  expect(candidates("info+news@x.org", rules)).toEqual(["info+news@x.org", "ada@x.org", "info@x.org", "all@x.org"]);
  expect(candidates("+odd@x.org", { ...rules, catchAll: "" })).toEqual(["+odd@x.org"]);
  expect(candidates("a+b@x.org", { ...rules, delimiter: "", catchAll: "" })).toEqual(["a+b@x.org"]);
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
