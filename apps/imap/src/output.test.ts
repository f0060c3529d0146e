import type { Socket } from "node:net";
import fc from "fast-check";
import { expect, test } from "vitest";
import { Backlog } from "./backlog.ts";
import { BACKLOG_BYTES_MAX } from "./limits.ts";
import { Output } from "./output.ts";

/** An output, and all that was written to its socket, which takes everything at once. */
function setUp(trace: { readonly isFollowed?: () => boolean; readonly tell?: (line: string) => void } = {}) {
  const written: Buffer[] = [];
  const socket = {
    destroyed: false,
    cork: () => undefined,
    uncork: () => undefined,
    write(bytes: Uint8Array) {
      written.push(Buffer.from(bytes));
      return true;
    },
  };
  const output = new Output(socket as unknown as Socket, {
    backlog: new Backlog(BACKLOG_BYTES_MAX),
    drainMs: 1000,
    ...trace,
  });
  return { output, all: () => Buffer.concat(written).toString("latin1") };
}

test("what is taken back was never there, whatever stood before it", async () => {
  // A text and how it comes, or a flush; and whether each answer is taken back.
  const part = fc.tuple(fc.integer({ min: 0, max: 3000 }), fc.boolean());
  const answers = fc.array(
    fc.record({ parts: fc.array(part, { maxLength: 4 }), flush: fc.boolean(), back: fc.boolean() }),
  );
  await fc.assert(
    fc.asyncProperty(answers, async (list) => {
      const { output, all } = setUp();
      let expected = "";
      for (const [index, { parts, flush, back }] of list.entries()) {
        const text = parts.map(([size]) => String.fromCharCode(97 + (index % 26)).repeat(size));
        output.begin();
        for (const [at, [, isBytes]] of parts.entries())
          if (isBytes) output.bytes(Buffer.from(text[at]!));
          else output.text(text[at]!);
        if (back) expect(output.takeBack()).toBe(true);
        else {
          output.end();
          expected += text.join("");
        }
        if (flush) await output.flush();
      }
      await output.flush();
      expect(all()).toBe(expected);
    }),
    { numRuns: 200 },
  );
});

test("nothing is taken back of what has left, until it is whole", async () => {
  const { output, all } = setUp();
  output.begin();
  output.text("* 1 FETCH (");
  expect(output.isWithinAnswer).toBe(false);
  await output.flush();
  expect([output.isWithinAnswer, output.takeBack()]).toEqual([true, false]);
  output.text(")");
  output.end();
  expect([output.isWithinAnswer, output.takeBack()]).toEqual([false, true]);
  await output.flush();
  expect(all()).toBe("* 1 FETCH ()");
});

test("where too much waits for slow readers, the one that has waited longest is cut off, and counts no more", () => {
  const backlog = new Backlog(100);
  const cuts: string[] = [];
  const reader = (name: string) => () => {
    cuts.push(name);
  };
  const [a, b, c] = [reader("a"), reader("b"), reader("c")];
  backlog.add(40, a);
  backlog.add(40, b);
  backlog.remove(a);
  backlog.add(50, a);
  expect([backlog.bytes, cuts]).toEqual([90, []]);
  // b has waited longer than a, which took what waited for it meanwhile.
  backlog.add(30, c);
  expect([backlog.bytes, cuts]).toEqual([80, ["b"]]);
  backlog.remove(b);
  expect(backlog.bytes).toBe(80);
});

test("who begins to follow in the middle of an answer hears from the next one on", async () => {
  const told: string[] = [];
  let isFollowed = false;
  const { output } = setUp({ isFollowed: () => isFollowed, tell: (line) => void told.push(line) });
  output.begin();
  output.text("* 1 FETCH (BODY[] {12}\r\nsecr");
  await output.flush();
  isFollowed = true;
  output.text("et\r\nmore)\r\n");
  await output.flush();
  output.end();
  output.text("a OK done\r\n");
  await output.flush();
  isFollowed = false;
  output.text("b OK unheard\r\n");
  await output.flush();
  expect(told).toEqual(["a OK done"]);
});
