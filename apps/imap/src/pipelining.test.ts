import { once } from "node:events";
import { EngineError } from "@restante/engine";
import { expect, test } from "vitest";
import { APPENDS_HELD_BYTES_MAX, APPENDS_UNDER_WAY_MAX } from "./limits.ts";
import { startTestServer } from "./test-kit.ts";

/** A server whose only account keeps what is prepared and appended, each as its test says. */
async function setUp(append: (text: string) => Promise<void>, heldBytes = 1, headerBytes = 0) {
  const events: string[] = [];
  const account = {
    state: { findPath: () => ({ id: "0000000000000000.0.0" }) },
    ended: new AbortController().signal,
    rolledBack: false,
    close: () => void events.push("closed"),
    async prepare(source: AsyncIterable<Uint8Array>) {
      const pieces: Uint8Array[] = [];
      for await (const piece of source) pieces.push(piece.slice());
      const text = Buffer.concat(pieces).toString("latin1");
      events.push(`prepared ${text}`);
      return { text, heldBytes, email: { header: new Uint8Array(headerBytes), summary: new Uint8Array(0) } };
    },
    async appendMany(_mailbox: string, messages: readonly { readonly text: string }[]) {
      const text = messages.map((one) => one.text).join("");
      await append(text);
      events.push(`appended ${text}`);
      return { uidValidity: 1, uids: messages.map(() => events.length) };
    },
    async create(path: string) {
      events.push(`created ${path}`);
    },
  };
  const server = await startTestServer({ account });
  const socket = server.connect("imap");
  const received: string[] = [];
  socket.setEncoding("latin1").on("data", (text: string) => received.push(text));
  const ended = once(socket, "end");
  socket.write("a LOGIN u p\r\n");
  const answers = async (): Promise<string[]> => {
    await ended;
    return received
      .join("")
      .split("\r\n")
      .filter((line) => /^[a-z] |^\* BYE/.test(line));
  };
  return { socket, events, answers, stop: server.stop };
}

const appendOf = (tag: string, text: string): string => `${tag} APPEND Sent {1+}\r\n${text}\r\n`;

const turns = () => new Promise((resolve) => setTimeout(resolve, 20));

test("while messages are stored the next are taken in, and go together; the order is the commands'", async () => {
  const waiting: (() => void)[] = [];
  const { socket, events, answers, stop } = await setUp(() => new Promise((resolve) => waiting.push(resolve)));
  socket.write(`${appendOf("b", "1") + appendOf("c", "2") + appendOf("d", "3")}e LOGOUT\r\n`);
  for (const prepared of [3, 3]) {
    while (waiting.length === 0) await new Promise((resolve) => setImmediate(resolve));
    await turns();
    expect(events.filter((event) => event.startsWith("prepared"))).toHaveLength(prepared);
    waiting.shift()!();
  }
  expect((await answers()).map((line) => line.slice(0, 4))).toEqual(["a OK", "b OK", "c OK", "d OK", "* BY", "e OK"]);
  expect(events.filter((event) => event.startsWith("appended"))).toEqual(["appended 1", "appended 23"]);
  await stop();
});

test.each([
  { heldBytes: 1, ahead: APPENDS_UNDER_WAY_MAX },
  { heldBytes: APPENDS_HELD_BYTES_MAX / 4, ahead: 4 },
  { heldBytes: 2 * APPENDS_HELD_BYTES_MAX, ahead: 1 },
  // Bodies are stored by themselves, headers are not.
  { heldBytes: 0, headerBytes: APPENDS_HELD_BYTES_MAX / 4, ahead: 4 },
])(
  "while $ahead messages of $heldBytes bytes are stored one more is taken in",
  async ({ heldBytes, headerBytes = 0, ahead }) => {
    const waiting: (() => void)[] = [];
    const append = (): Promise<void> => new Promise((resolve) => waiting.push(resolve));
    const { socket, events, answers, stop } = await setUp(append, heldBytes, headerBytes);
    const prepared = (): number => events.filter((event) => event.startsWith("prepared")).length;
    const tags = Array.from({ length: 20 }, (_, n) => String.fromCharCode(98 + n));
    socket.write(`${tags.map((tag) => appendOf(tag, tag)).join("")}z LOGOUT\r\n`);
    while (prepared() < ahead + 1) await turns();
    await turns();
    expect(prepared()).toBe(ahead + 1);
    const all = answers();
    for (let isOver = false; !isOver; isOver = events.join("").includes("appended") && prepared() === 20) {
      waiting.shift()?.();
      await turns();
    }
    for (let n = 0; n < 30; n++) {
      waiting.shift()?.();
      await turns();
    }
    expect((await all).map((line) => line.slice(0, 4))).toEqual([
      "a OK",
      ...tags.map((tag) => `${tag} OK`),
      "* BY",
      "z OK",
    ]);
    const stored = events.filter((event) => event.startsWith("appended")).map((event) => event.slice(9));
    expect(stored.join("")).toBe(tags.join(""));
    await stop();
  },
);

test("what was sent before the client went is stored, before its account is closed", async () => {
  const waiting: (() => void)[] = [];
  const { socket, events, stop } = await setUp(() => new Promise((resolve) => waiting.push(resolve)));
  socket.end(appendOf("b", "1") + appendOf("c", "2") + appendOf("d", "3"));
  while (events.length < 3) await turns();
  await turns();
  expect(events).toEqual(["prepared 1", "prepared 2", "prepared 3"]);
  for (let n = 0; n < 2; n++) {
    while (waiting.length === 0) await turns();
    waiting.shift()!();
  }
  while (!events.includes("closed")) await turns();
  expect(events.slice(3)).toEqual(["appended 1", "appended 23", "closed"]);
  await stop();
});

test("a refusal of some is told of each, in order, and those behind them go on", async () => {
  const { socket, answers, stop } = await setUp(async (text) => {
    await turns();
    if (text === "23") throw new EngineError("unavailable", "the store does not answer");
  });
  socket.write(appendOf("b", "1") + appendOf("c", "2") + appendOf("d", "3"));
  await turns();
  await turns();
  await turns();
  socket.write(`${appendOf("e", "4")}f LOGOUT\r\n`);
  expect((await answers()).map((line) => line.slice(0, 4))).toEqual([
    "a OK",
    "b OK",
    "c NO",
    "d NO",
    "e OK",
    "* BY",
    "f OK",
  ]);
  await stop();
});

test.each([1, APPENDS_HELD_BYTES_MAX])(
  "when the outcome of one is unknown the next is neither stored nor answered: %i bytes each",
  async (heldBytes) => {
    const { socket, events, answers, stop } = await setUp(async (text) => {
      await new Promise((resolve) => setTimeout(resolve, 20));
      if (text.startsWith("2")) throw new EngineError("unknown-outcome", "the store does not answer");
    }, heldBytes);
    socket.write(appendOf("b", "1") + appendOf("c", "2") + appendOf("d", "3") + appendOf("e", "4"));
    expect((await answers()).map((line) => line.slice(0, 5))).toEqual(["a OK ", "b OK ", "* BYE"]);
    expect(events.filter((event) => event.startsWith("appended"))).toEqual(["appended 1"]);
    await stop();
  },
);

test("when the outcome of one is unknown no other command is done either", async () => {
  const { socket, events, answers, stop } = await setUp(async () => {
    await new Promise((resolve) => setTimeout(resolve, 20));
    throw new EngineError("unknown-outcome", "the store does not answer");
  });
  socket.write(`${appendOf("b", "1")}c CREATE New\r\nd LOGOUT\r\n`);
  expect((await answers()).map((line) => line.slice(0, 5))).toEqual(["a OK ", "* BYE"]);
  expect(events.filter((event) => event !== "closed")).toEqual(["prepared 1"]);
  await stop();
});

test("when the outcome of the last is unknown the connection ends, though the client says nothing more", async () => {
  const { socket, answers, stop } = await setUp(async () => {
    await new Promise((resolve) => setTimeout(resolve, 20));
    throw new EngineError("unknown-outcome", "the store does not answer");
  });
  socket.write(appendOf("b", "1"));
  expect((await answers()).map((line) => line.slice(0, 5))).toEqual(["a OK ", "* BYE"]);
  await stop();
});
