import { HeaderBlock } from "@restante/mime";
import { encode } from "cborg";
import { expect, test } from "vitest";
import { ready, utf8 } from "../../crypto/index.ts";
import { pattern } from "../../testing/golden-kit.ts";
import { Written } from "../../testing/written-kit.ts";
import { HEADER_BYTES_MAX } from "../contents/header.ts";
import {
  decodeIdsPage,
  FACT_BYTES,
  factsIn,
  IdsPageWriter,
  type ThreadFacts,
  threadFacts,
} from "../contents/thread-facts.ts";

await ready;

/** Of an account's key that checkpoint-kit has. */
const factsOf = (header: string): ThreadFacts => threadFacts(new HeaderBlock(utf8(header)), pattern(32));
const plain = (number: number): ThreadFacts => factsOf(`Subject: Mail ${number}\r\n\r\n`);

test("a checkpoint writes the ids of all, and of a page that nothing came to nothing", async () => {
  const written = new Written();
  const full = "Message-ID: <a@x>\r\nReferences: <b@x> <c@x>\r\nIn-Reply-To: <d@x>\r\nSubject: Re: mail 2\r\n\r\n";
  written.headers.set(1, full);
  written.headers.set(3, Uint8Array.of(77));
  // Threads are made of as much of a header as is kept.
  written.headers.set(4, `Message-ID: <e@x>\r\nX: ${"x".repeat(HEADER_BYTES_MAX)}\r\n\r\n`);
  written.add(5000);
  written.reads = 0;
  await written.checkpoint();
  // For header pages, and once for both groups.
  expect([written.reads, written.writes]).toEqual([10_000, { texts: 2, ids: 2 }]);
  const known = await written.facts(0);
  expect(known.slice(0, 6)).toEqual([
    plain(0),
    factsOf(full),
    plain(2),
    undefined,
    factsOf("Message-ID: <e@x>\r\n\r\n"),
    plain(5),
  ]);
  expect([known.length, (await written.facts(1)).length]).toEqual([4096, 904]);
  written.add(1);
  await written.checkpoint();
  expect(written.writes.ids).toBe(3);
  expect(await written.facts(0)).toEqual(known);
  expect((await written.facts(1)).slice(-2)).toEqual([plain(4999), plain(5000)]);
  await written.checkpoint();
  expect(written.writes.ids).toBe(3);
});

test("ids of what no mailbox has are swept, and no hash of theirs stays", async () => {
  const written = new Written();
  written.add(10);
  await written.checkpoint();
  written.expunge(0, 1);
  await written.checkpoint();
  expect((await written.facts(0))[0]).toEqual(plain(0));
  await written.checkpoint("sweep");
  expect((await written.facts(0)).slice(0, 3)).toEqual([undefined, undefined, plain(2)]);
  expect((await written.idsPage(0)).hashes).toHaveLength(8 * FACT_BYTES);
  written.expunge(2, 2);
  written.damage("ids");
  await written.checkpoint("sweep");
  expect((await written.facts(0)).slice(0, 4)).toEqual([undefined, undefined, undefined, plain(3)]);
  written.expunge(0, 9);
  await written.checkpoint("sweep");
  expect(written.world.state.pages.ids).toEqual([""]);
});

test("a checkpoint without ids is made up for a page at a time, and so is a damaged page, whose texts stand", async () => {
  const written = new Written();
  written.add(9000);
  await written.checkpoint();
  const all = await Promise.all([0, 1, 2].map((page) => written.facts(page)));
  written.forget("ids");
  [written.reads, written.writes.texts] = [0, 0];
  await written.checkpoint();
  expect([written.reads, written.writes.texts]).toEqual([4096, 0]);
  expect(await Promise.all([0, 1, 2].map((page) => written.facts(page)))).toEqual([all[0], [], []]);
  await written.checkpoint();
  await written.checkpoint();
  expect(await Promise.all([0, 1, 2].map((page) => written.facts(page)))).toEqual(all);
  // A page that lacks both groups is read once for both.
  written.forget("ids");
  written.forget("texts");
  written.reads = 0;
  await written.checkpoint();
  expect(written.reads).toBe(4096);
  expect([(await written.facts(0)).length, (await written.subjects(0)).length]).toEqual([4096, 4096]);
  await written.checkpoint();
  await written.checkpoint();
  written.damage("ids");
  written.add(1);
  [written.reads, written.writes.texts] = [0, 0];
  await written.checkpoint();
  expect(await written.facts(2)).toEqual([...all[2]!, plain(9000)]);
  expect(written.writes.texts).toBe(1);
});

test("a page of ids tells what was written, each hash once, and one that is none is refused", () => {
  const writer = new IdsPageWriter(4);
  const reply = factsOf("Message-ID: <b@x>\r\nReferences: <a@x> <b@x>\r\nSubject: Re: a\r\n\r\n");
  const long = factsOf(`References: ${Array.from({ length: 300 }, (_, n) => `<${n}@x>`).join(" ")}\r\n\r\n`);
  writer.set(0, reply);
  writer.set(1, factsOf("\r\n"));
  writer.set(3, long);
  const page = writer.end();
  const ids = decodeIdsPage(page, 4);
  expect([0, 1, 2, 3].map((at) => factsIn(ids, at))).toEqual([reply, factsOf("\r\n"), undefined, long]);
  expect(factsIn(ids, 4)).toBeUndefined();
  expect([factsIn(ids, 0)!.isReplyOrForward, factsIn(ids, 1)!.hashes]).toEqual([true, new Uint8Array(16)]);
  expect(long.hashes).toHaveLength(102 * FACT_BYTES);
  expect(ids.hashes).toHaveLength((3 + 100) * FACT_BYTES);
  const hash = pattern(8);
  expect(decodeIdsPage(encode([1, 1, hash, Uint8Array.of(1, 1, 0)]), 1).starts).toEqual(Uint32Array.of(1));
  const bad: unknown[][] = [
    [2, 1, hash, Uint8Array.of(1, 1, 0)],
    [1, 2, hash, Uint8Array.of(1, 1, 0, 0)],
    [1, 1, hash.subarray(1), Uint8Array.of(1, 0, 0)],
    [1, 1, hash, Uint8Array.of(1, 1)],
    [1, 1, hash, Uint8Array.of(1, 1, 0, 0)],
    [1, 1, hash, Uint8Array.of(1, 2, 0)],
    [1, 1, hash, Uint8Array.of(1, 0x81, 0x80, 0x80, 0x80, 0x80, 0, 0)],
    [1, 1, hash, Uint8Array.of(0xcb, 1, ...new Uint8Array(103))],
    [1, 1, hash, Uint8Array.of(1, 1, 0), 0],
  ];
  for (const fields of bad) expect(() => decodeIdsPage(encode(fields), 1)).toThrow(RangeError);
});

test("facts are those of the first fields, and of In-Reply-To its first id", () => {
  const { hashes } = factsOf("In-Reply-To: <a@x> <b@x>\r\nMessage-ID: <c@x>\r\nMessage-ID: <d@x>\r\n\r\n");
  const other = factsOf("References: <a@x>\r\nMessage-ID: <c@x> <e@x>\r\nSubject:\r\n\r\n");
  expect(hashes).toEqual(other.hashes);
  expect(
    threadFacts(new HeaderBlock(utf8("Message-ID: <c@x>\r\n\r\n")), pattern(32, 2)).hashes.subarray(0, 8),
  ).not.toEqual(hashes.subarray(0, 8));
  expect(factsOf("Subject: Fwd: ABC\r\n\r\n").hashes).toEqual(factsOf("Subject: abc\r\n\r\n").hashes);
});
