import { type Body, EngineError } from "@restante/engine";
import { encodeOffsets } from "@restante/mime";
import { expect, test } from "vitest";
import type { ConnectionTimes } from "../connection-options.ts";
import { FETCH_ITEMS_MAX, FIELDS_BYTES_MAX } from "../limits.ts";
import { Received, startTestServer } from "../test-kit.ts";

const PIECE = Buffer.alloc(64 * 1024, "a");
const damaged = (): EngineError => new EngineError("corrupt", "SELECT secret FROM objects: /var/lib/x");

/** A body of `pieces` pieces, of which those from `failsAt` on do not open. */
function bodyOf(pieces: number, failsAt: number, error: () => unknown = damaged): Body {
  return {
    size: pieces * PIECE.length,
    async *read(start, end) {
      for (let piece = Math.floor(start / PIECE.length); piece < pieces && piece * PIECE.length < end; piece++) {
        if (piece === failsAt) throw error();
        const at = piece * PIECE.length;
        yield PIECE.subarray(Math.max(start - at, 0), end - at);
      }
    },
  };
}

/** Signed in, with a mailbox whose messages have these bodies. */
async function selected(
  bodies: readonly (Body | (() => unknown))[],
  times: Partial<ConnectionTimes> = { idleMs: 400 },
  kept: { readonly header?: object; readonly summary?: object; readonly messageLimit?: number } = {},
) {
  const sizes = bodies.map((body) => ("size" in body ? body.size : 10));
  const messages = sizes.map((size, position) => ({ position, row: position, state: { sizeOf: () => size } }));
  const view = {
    length: bodies.length,
    readOnly: true,
    mailbox: { id: "0000000000000000.0.0", uidNext: bodies.length + 1, uidValidity: 1, keywordSets: new Map() },
    firstUnseen: () => undefined,
    lowerBound: (uid: number) => uid - 1,
    uidAt: (position: number) => position + 1,
    messages: (positions: readonly number[]) => positions.map((position) => messages[position]),
    sync: () => ({ expunged: [], added: 0, flagged: [] }),
  };
  const account = {
    ended: new AbortController().signal,
    rolledBack: false,
    close: () => undefined,
    refresh: async () => undefined,
    getMailbox: () => view.mailbox,
    openView: () => view,
    uidNextAtOpening: new Map([[view.mailbox.id, view.mailbox.uidNext]]),
    keywordsIn: () => [],
    readHeaders: async () => [kept.header],
    readSummaries: async () => [kept.summary],
    async openBody({ position }: { readonly position: number }) {
      const body = bodies[position]!;
      if (typeof body === "function") throw body();
      return body;
    },
  };
  const server = await startTestServer({
    account,
    times,
    ...(kept.messageLimit === undefined ? {} : { messageLimit: kept.messageLimit }),
  });
  const socket = server.connect("imap");
  const received = new Received(socket);
  const ask = async (text: string, answer: RegExp): Promise<string> => {
    socket.write(text);
    return received.until(answer);
  };
  await ask("a LOGIN u p\r\nb EXAMINE x\r\n", /^b OK .*\r\n/m);
  return { server, socket, received, ask };
}

test("a FETCH that is cut short and then refused tells both", async () => {
  const opens = bodyOf(1, 9);
  const { ask } = await selected([opens, damaged, opens, opens], undefined, { messageLimit: 3 });
  const answer = await ask("c FETCH 1:4 BODY.PEEK[]<0.1>\r\n", /^c .*\r\n/m);
  expect(answer.match(/^\* .{3,5}/gm)).toEqual(["* 4 FET", "* 3 FET", "* NO [M"]);
  expect(answer).toMatch(/^\* NO \[MESSAGELIMIT 3 2\] .*\r\nc NO \[CORRUPTION\]/m);
});

test("of a message that does not open nothing is told; the others are, and then what is the matter", async () => {
  const opens = bodyOf(2, 9);
  const { ask } = await selected([opens, damaged, bodyOf(2, 0), bodyOf(3, 0), opens]);
  const answer = await ask("c FETCH 1:5 (UID BODY.PEEK[])\r\n", /^c .*\r\n/m);
  expect(answer.match(/^\* \d FETCH \(UID \d BODY\[\] \{131072\}\r$/gm)).toHaveLength(2);
  expect(answer.match(/FETCH /g)).toHaveLength(2);
  expect(answer.endsWith("a)\r\nc NO [CORRUPTION] What is stored is damaged\r\n")).toBe(true);
  // Small sections, and a part of a body.
  const piece = await ask("d FETCH 3,5 BODY.PEEK[]<5.10>\r\n", /^d .*\r\n/m);
  expect(piece).toBe("* 5 FETCH (BODY[]<5> {10}\r\naaaaaaaaaa)\r\nd NO [CORRUPTION] What is stored is damaged\r\n");
  expect(await ask("e NOOP\r\n", /^e .*\r\n/m)).toMatch(/^e OK/);
});

test.each([
  ["damage", damaged],
  ["a failure that nobody foresaw", () => new Error("SQLITE_CORRUPT: disk image")],
  ["a store that goes", () => new EngineError("unavailable", "connect ECONNREFUSED 10.0.0.1:3900")],
])(
  "%s in the middle of a body cuts the connection, and nothing is taken for the mail's octets",
  async (_name, error) => {
    const { server, socket, received } = await selected([bodyOf(40, 20, error), bodyOf(1, 9)]);
    socket.write("c FETCH 1:2 BODY.PEEK[]\r\nd NOOP\r\n");
    const answer = await received.end();
    const literal = /^\* 1 FETCH \(BODY\[\] \{2621440\}\r\n(a*)$/.exec(answer);
    expect(literal).not.toBeNull();
    expect(literal![1]!.length).toBeLessThanOrEqual(20 * PIECE.length);
    expect(server.events.filter(({ event }) => event === "failed")).toHaveLength(1);
  },
);

test("what fails before an answer has left is a refusal, in words of ours, with nothing of the answer before it", async () => {
  const failing = (error: () => unknown): Body => bodyOf(2, 1, error);
  const { ask } = await selected([
    failing(() => new EngineError("unavailable", "connect ECONNREFUSED 10.0.0.1:3900")),
    failing(() => new Error("SQLITE_CORRUPT: disk image")),
  ]);
  expect(await ask("c FETCH 1 (UID BODY.PEEK[])\r\n", /^c .*\r\n/m)).toBe(
    "c NO [UNAVAILABLE] Not available now, try again\r\n",
  );
  expect(await ask("d FETCH 2 (UID BODY.PEEK[])\r\n", /^d .*\r\n/m)).toBe("d NO [SERVERBUG] Internal error\r\n");
});

test("a body that is shorter than it was told is damage too", async () => {
  const short = { ...bodyOf(1, 9), size: 3 * PIECE.length };
  const { ask, received } = await selected([short, { ...bodyOf(20, 30), size: 30 * PIECE.length }]);
  expect(await ask("c FETCH 1 BODY.PEEK[]\r\n", /^c .*\r\n/m)).toMatch(/^c NO \[CORRUPTION\]/);
  expect(await ask("e FETCH 1 BODY.PEEK[]<70000.10>\r\n", /^e .*\r\n/m)).toMatch(/^e NO \[CORRUPTION\]/);
  await ask("d FETCH 2 BODY.PEEK[]\r\n", /^d .*\r\n/m);
  expect(received.isEnded).toBe(true);
});

test("a server that stops, and a client that is silent too long, hear no BYE within a literal", async () => {
  for (const stop of [true, false]) {
    const endless = bodyOf(100_000, 100_001);
    const { server, socket, received, ask } = await selected([endless]);
    await ask("c FETCH 1 BODY.PEEK[]\r\n", /FETCH/);
    socket.pause();
    const isOver = stop ? server.stop() : undefined;
    while (server.gate.counts.connections > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    await isOver;
    socket.resume();
    await received.end();
    expect(received.text).not.toContain("BYE");
  }
});

test("nothing is said within a literal whose rest does not come", async () => {
  let goOn: () => void = () => undefined;
  const stuck = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  const body: Body = {
    size: 20 * PIECE.length,
    async *read() {
      for (let piece = 0; piece < 10; piece++) yield PIECE;
      await stuck;
    },
  };
  const { server, received, ask } = await selected([body]);
  await ask("c FETCH 1 BODY.PEEK[]\r\n", /FETCH/);
  // By the client's silence.
  await received.end();
  expect(received.text).not.toContain("BYE");
  goOn();
  await server.stop();
});

test("a client that does not take what waits for it is cut off, though it says something now and then", async () => {
  const { server, socket, ask } = await selected([bodyOf(1_000, 1_001)], { drainMs: 300 });
  await ask("c FETCH 1 BODY.PEEK[]\r\n", /FETCH/);
  socket.pause();
  const talk = setInterval(() => socket.write("x"), 50);
  while (server.gate.counts.connections > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  clearInterval(talk);
});

test("items that take long are made in steps that others come between", async () => {
  const slow = {
    select: () => {
      for (const end = performance.now() + 2; performance.now() < end; );
      return "\r\n";
    },
  };
  const { ask } = await selected([bodyOf(1, 9)], {}, { header: slow, summary: { headerWhole: true } });
  let rounds = 0;
  let isOver = false;
  const count = (): void => {
    rounds++;
    if (!isOver) setImmediate(count);
  };
  setImmediate(count);
  const items = new Array(100).fill("BODY.PEEK[HEADER.FIELDS (X)]").join(" ");
  await ask(`c FETCH 1 (${items})\r\n`, /^c OK .*\r\n/m);
  isOver = true;
  expect(rounds).toBeGreaterThan(10);
});

test("of a header that is not kept whole no more is read than fields are looked for in", async () => {
  const reads: number[] = [];
  const sound = bodyOf(60, 61);
  const body: Body = {
    size: sound.size,
    read: (start, end) => {
      reads.push(end - start);
      return sound.read(start, end);
    },
  };
  const part = {
    kind: "leaf",
    headerStart: 0,
    bodyStart: 50 * PIECE.length,
    bodyEnd: sound.size,
    children: [],
  } as const;
  const summary = { headerWhole: false, offsets: encodeOffsets(part) };
  const { ask } = await selected([body], {}, { header: { text: "" }, summary });
  await ask("c FETCH 1 BODY.PEEK[HEADER.FIELDS (X)]\r\n", /^c OK .*\r\n/m);
  expect(reads).toEqual([FIELDS_BYTES_MAX]);
});

test("items of one FETCH are bounded, and what waits for a slow reader is, whatever they are", async () => {
  const { server, socket, ask } = await selected([bodyOf(1, 9)]);
  const items = (n: number): string => new Array(n).fill("BODY.PEEK[]").join(" ");
  expect(await ask(`c FETCH 1 (${items(FETCH_ITEMS_MAX + 1)})\r\n`, /^c .*\r\n/m)).toMatch(/^c BAD List too long/);
  socket.pause();
  socket.write(`d FETCH 1 (${items(FETCH_ITEMS_MAX)})\r\n`);
  while (server.backlog.bytes === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  expect(server.backlog.bytes).toBeLessThan(512 * 1024);
});

test("octets are told as they came, NUL too: RFC 9051 §4.3 has none in a literal, and a mail that is copied must stay what it is", async () => {
  const octets = Buffer.from("Subject: a\0b\r\n\r\nc\0d");
  const body: Body = {
    size: octets.length,
    async *read(start, end) {
      yield octets.subarray(start, end);
    },
  };
  const { ask } = await selected([body]);
  const whole = await ask("c FETCH 1 BODY.PEEK[]\r\n", /^c .*\r\n/m);
  expect(whole.startsWith(`* 1 FETCH (BODY[] {${octets.length}}\r\n${octets.toString("latin1")})`)).toBe(true);
});
