import { EngineError } from "@restante/engine";
import { expect, test } from "vitest";
import { Received, startTestServer } from "./test-kit.ts";

/** A client of a server whose account keeps messages when it is told to: `store(text)`, with an error or none. */
async function setUp(heldBytes = 1) {
  const events: string[] = [];
  /** By text: the end of its storing. */
  const outcomes = new Map<string, PromiseWithResolvers<Error | undefined>>();
  const outcomeOf = (text: string): PromiseWithResolvers<Error | undefined> => {
    const outcome = outcomes.get(text) ?? Promise.withResolvers<Error | undefined>();
    outcomes.set(text, outcome);
    return outcome;
  };
  const account = {
    state: { findPath: () => ({ id: "0000000000000000.0.0" }) },
    ended: new AbortController().signal,
    rolledBack: false,
    close: () => undefined,
    refresh: async () => undefined,
    async prepare(source: AsyncIterable<Uint8Array>) {
      let text = "";
      for await (const piece of source) text += Buffer.from(piece).toString("latin1");
      events.push(`read ${text}`);
      const error = await outcomeOf(text).promise;
      if (error) throw error;
      return { text, heldBytes, email: { header: new Uint8Array(0), summary: new Uint8Array(0) } };
    },
    async appendMany(_mailbox: string, messages: readonly { readonly text: string }[]) {
      events.push(`appended ${messages.map(({ text }) => text).join("")}`);
      return { uidValidity: 1, uids: messages.map((_message, at) => at + 1) };
    },
  };
  const server = await startTestServer({ account });
  const socket = server.connect("imap");
  const received = new Received(socket);
  socket.write("a LOGIN u p\r\n");
  await received.until(/^a OK .*\r\n/m);
  const store = (text: string, error?: Error): void => outcomeOf(text).resolve(error);
  const send = (...texts: readonly string[]): void => {
    socket.write(`b APPEND Sent${texts.map((text) => ` {${text.length}+}\r\n${text}`).join("")}\r\nc NOOP\r\n`);
  };
  return { send, store, events, answers: () => received.until(/^c .*\r\n/m) };
}

/** Until nothing more is done by itself. */
const turns = () => new Promise((resolve) => setTimeout(resolve, 20));

test("while a message is being stored the next one is read, and no third; they are appended in their order", async () => {
  const { send, store, events, answers } = await setUp();
  store("two");
  send("one", "two", "three");
  while (events.length < 2) await turns();
  await turns();
  expect(events).toEqual(["read one", "read two"]);
  store("one");
  store("three");
  expect(await answers()).toMatch(/^b OK \[APPENDUID 1 1:3\] .*\r\nc OK/m);
  expect(events).toEqual(["read one", "read two", "read three", "appended onetwothree"]);
});

test.each(["one", "two", "three"])(
  "if %s of three is not stored none is, and the next command is read",
  async (bad) => {
    const { send, store, events, answers } = await setUp();
    for (const text of ["one", "two", "three"])
      store(text, text === bad ? new EngineError("over-quota", "full") : undefined);
    send("one", "two", "three");
    expect(await answers()).toMatch(/^b NO \[OVERQUOTA\] .*\r\nc OK .*\r\n$/);
    expect(events.some((event) => event.startsWith("appended"))).toBe(false);
  },
);

test("a mistake behind a message that is being stored is answered, and the next command is read", async () => {
  const { send, answers } = await setUp();
  send("one", "");
  expect(await answers()).toMatch(/^b NO \[CANNOT\] .*\r\nc OK .*\r\n$/);
});

test("messages that are too large together are refused, however late that is known", async () => {
  const { send, store, events, answers } = await setUp(5 * 2 ** 20);
  store("one");
  store("two");
  send("one", "two");
  expect(await answers()).toMatch(/^b NO \[TOOBIG\] .*\r\nc OK .*\r\n$/);
  expect(events.some((event) => event.startsWith("appended"))).toBe(false);
});
