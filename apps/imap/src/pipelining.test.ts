import { once } from "node:events";
import { EngineError } from "@restante/engine";
import { expect, test } from "vitest";
import { startTestServer } from "./test-kit.ts";

/** A server whose only account keeps what is prepared and appended, each as its test says. */
async function setUp(append: (text: string) => Promise<void>) {
  const events: string[] = [];
  const account = {
    state: { findPath: () => ({ id: "0000000000000000.0.0" }) },
    ended: new AbortController().signal,
    rolledBack: false,
    close: () => undefined,
    async prepare(source: AsyncIterable<Uint8Array>) {
      const pieces: Uint8Array[] = [];
      for await (const piece of source) pieces.push(piece.slice());
      const text = Buffer.concat(pieces).toString("latin1");
      events.push(`prepared ${text}`);
      return text;
    },
    async appendMany(_mailbox: string, [text = ""]: readonly string[]) {
      await append(text);
      events.push(`appended ${text}`);
      return { uidValidity: 1, uids: [events.length] };
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

test("while a message is stored the next is taken in, and no more; the order is the commands'", async () => {
  const waiting: (() => void)[] = [];
  const { socket, events, answers, stop } = await setUp(() => new Promise((resolve) => waiting.push(resolve)));
  socket.write(`${appendOf("b", "1") + appendOf("c", "2") + appendOf("d", "3")}e LOGOUT\r\n`);
  for (const n of [1, 2, 3]) {
    while (waiting.length < n) await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setTimeout(resolve, 20));
    const prepared = events.filter((event) => event.startsWith("prepared")).length;
    expect(prepared).toBe(Math.min(n + 1, 3));
    waiting[n - 1]!();
  }
  expect((await answers()).map((line) => line.slice(0, 4))).toEqual(["a OK", "b OK", "c OK", "d OK", "* BY", "e OK"]);
  expect(events.filter((event) => event.startsWith("appended"))).toEqual(["appended 1", "appended 2", "appended 3"]);
  await stop();
});

test("when the outcome of one is unknown the next is neither stored nor answered", async () => {
  const { socket, events, answers, stop } = await setUp(async (text) => {
    await new Promise((resolve) => setTimeout(resolve, 20));
    if (text === "2") throw new EngineError("unknown-outcome", "the store does not answer");
  });
  socket.write(appendOf("b", "1") + appendOf("c", "2") + appendOf("d", "3") + appendOf("e", "4"));
  expect((await answers()).map((line) => line.slice(0, 5))).toEqual(["a OK ", "b OK ", "* BYE"]);
  expect(events.filter((event) => event.startsWith("appended"))).toEqual(["appended 1"]);
  await stop();
});

test("when the outcome of one is unknown no other command is done either", async () => {
  const { socket, events, answers, stop } = await setUp(async () => {
    await new Promise((resolve) => setTimeout(resolve, 20));
    throw new EngineError("unknown-outcome", "the store does not answer");
  });
  socket.write(`${appendOf("b", "1")}c CREATE New\r\nd LOGOUT\r\n`);
  expect((await answers()).map((line) => line.slice(0, 5))).toEqual(["a OK ", "* BYE"]);
  expect(events).toEqual(["prepared 1"]);
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
