import { expect, test } from "vitest";
import {
  BAD_COMMANDS_MAX,
  COMMAND_BYTES_MAX,
  COMMAND_BYTES_MAX_UNAUTHENTICATED,
  DROPPED_LITERAL_BYTES_MAX,
} from "./limits.ts";
import { Received, startTestServer } from "./test-kit.ts";

const account = {
  ended: new AbortController().signal,
  rolledBack: false,
  close: () => undefined,
  refresh: async () => undefined,
  onChange: () => () => undefined,
};

async function signedIn() {
  const server = await startTestServer({ account });
  const socket = server.connect("imap");
  const received = new Received(socket);
  const ask = async (text: string, answer: RegExp): Promise<string> => {
    socket.write(text);
    return received.until(answer);
  };
  await received.until(/^\* OK .*\r\n/m);
  return { socket, received, ask };
}

test("a command that is too long is answered by its tag, its rest is skipped, and the next one is read", async () => {
  const { ask } = await signedIn();
  const long = `tag7 LOGIN u ${"x".repeat(COMMAND_BYTES_MAX_UNAUTHENTICATED)}\r\n`;
  expect(await ask(`${long}b NOOP\r\n`, /^b .*\r\n/m)).toMatch(/^tag7 BAD Command is too long\r\nb OK/);
  await ask("c LOGIN u p\r\n", /^c OK .*\r\n/m);
  expect(await ask(`d FETCH ${"1,".repeat(COMMAND_BYTES_MAX)}\r\ne NOOP\r\n`, /^e .*\r\n/m)).toMatch(
    /^d BAD Command is too long\r\ne OK/,
  );
  expect(await ask(`f LOGIN {1}\r\n`, /^\+ .*\r\n/m)).toMatch(/^\+/);
  expect(await ask(`x ${"x".repeat(2 * COMMAND_BYTES_MAX)}\r\ng NOOP\r\n`, /^g .*\r\n/m)).toMatch(/^f BAD .*\r\ng OK/);
  // Where no tag can be told.
  expect(await ask(`${"x".repeat(2 * COMMAND_BYTES_MAX)} NOOP\r\nh NOOP\r\n`, /^h .*\r\n/m)).toMatch(
    /^\* BAD .*\r\nh OK/,
  );
});

test("the message of a command that is refused unread is never taken for commands", async () => {
  const { ask } = await signedIn();
  await ask("a LOGIN u p\r\n", /^a OK .*\r\n/m);
  const message = "evil1 NOOP\r\nevil2 NOOP\r\n";
  const literal = `{${message.length}+}\r\n${message}`;
  for (const command of ["REPLACE 1 x", "UID REPLACE 1 x (\\Seen)", "REPLACE 1:2 x", "REPLACE $ x", "UID APPEND x"]) {
    const answers = await ask(`b ${command} ${literal} ${literal}\r\nc NOOP\r\n`, /^c .*\r\n/m);
    expect(answers, command).toMatch(/^b BAD .*\r\nc OK .*\r\n$/);
  }
  // A client that waits for the continuation sends nothing.
  const waiting = await ask(`b REPLACE 1 x {${message.length}}\r\nc NOOP\r\n`, /^c .*\r\n/m);
  expect(waiting).toMatch(/^b BAD .*\r\nc OK .*\r\n$/);
});

test("a literal that is more than is dropped ends the connection, behind an unread message too", async () => {
  const { ask, received } = await signedIn();
  await ask("a LOGIN u p\r\n", /^a OK .*\r\n/m);
  const answers = await ask(
    `b REPLACE 1 x {1+}\r\nm {${DROPPED_LITERAL_BYTES_MAX + 1}+}\r\nevil NOOP\r\n`,
    /^evil .*\r\n/m,
  );
  expect(answers + (await received.end())).not.toMatch(/^evil /m);
});

test("commands that are no IMAP end a connection when they come in a row, with BYE", async () => {
  const { ask, received } = await signedIn();
  const bad = (n: number): string => Array.from({ length: n }, (_, index) => `b${index} WHAT\r\n`).join("");
  for (let round = 0; round < 3; round++)
    await ask(`${bad(BAD_COMMANDS_MAX - 1)}ok${round} NOOP\r\n`, new RegExp(`^ok${round} OK`, "m"));
  const farewell = await ask(bad(BAD_COMMANDS_MAX), /^\* BYE .*\r\n/m);
  expect(farewell.match(/^b\d+ BAD .*$/gm)).toHaveLength(BAD_COMMANDS_MAX);
  await received.end();
});

test("30,000 pairs of IDLE and DONE are done in steps that others come between", async () => {
  const { socket, ask, received } = await signedIn();
  await ask("a LOGIN u p\r\n", /^a OK .*\r\n/m);
  const pairs = 30_000;
  socket.write("b IDLE\r\nDONE\r\n".repeat(pairs));
  let rounds = 0;
  let over = false;
  const count = (): void => {
    rounds++;
    if (!over) setImmediate(count);
  };
  setImmediate(count);
  socket.write("c LOGOUT\r\n");
  const answers = await received.end();
  over = true;
  expect(answers.match(/^b OK/gm)).toHaveLength(pairs);
  // They come in pieces of 64 KiB, each of some 4,000 pairs.
  expect(rounds).toBeGreaterThan(30);
});

test("a user name that is too long is not asked for anywhere, and answered as a wrong one is", async () => {
  const asked: string[] = [];
  const server = await startTestServer({
    signIn: async (user) => {
      asked.push(user);
      return account as never;
    },
  });
  const socket = server.connect("imap");
  const received = new Received(socket);
  for (const user of [`${"ü".repeat(160)}x`, "u".repeat(321)]) {
    socket.write(`a LOGIN "${user}" p\r\n`);
    expect(await received.until(/^a .*\r\n/m)).toMatch(
      /^a NO \[AUTHENTICATIONFAILED\] Wrong user name or password\r\n$/m,
    );
    socket.write(`b AUTHENTICATE PLAIN ${Buffer.from(`\0${user}\0p`).toString("base64")}\r\n`);
    expect(await received.until(/^b .*\r\n/m)).toMatch(/^b NO \[AUTHENTICATIONFAILED\]/m);
  }
  socket.write(`c LOGIN ${"u".repeat(320)} p\r\n`);
  await received.until(/^c OK .*\r\n/m);
  expect(asked).toEqual(["u".repeat(320)]);
  // A connection that has signed in counts as no stranger.
  expect(server.gate.counts).toEqual({ connections: 1, strangers: 0 });
});
