import { expect, test } from "vitest";
import { LITERAL_MINUS_BYTES_MAX } from "./limits.ts";
import { Received, startTestServer } from "./test-kit.ts";

const account = {
  address: "ada@example.org",
  ended: new AbortController().signal,
  close: () => undefined,
  refresh: async () => undefined,
  onChange: () => () => undefined,
};

test("what is hidden is neither announced nor enabled, for all or for one account", async () => {
  const hiddenFrom = (user: string | undefined): ReadonlySet<string> =>
    new Set(user === "ada@example.org" ? ["IDLE", "QRESYNC"] : ["IDLE"]);
  const server = await startTestServer({ account, hiddenFrom });
  const socket = server.connect("imap");
  const received = new Received(socket);
  const greeting = await received.until(/^\* OK .*\r\n/m);
  expect(greeting).toMatch(/ QRESYNC /);
  expect(greeting).not.toMatch(/ IDLE /);
  socket.write("a LOGIN u p\r\nb ENABLE QRESYNC CONDSTORE\r\n");
  const answers = await received.until(/^b .*\r\n/m);
  expect(answers).toMatch(/^a OK \[CAPABILITY IMAP4rev1 IMAP4rev2 /m);
  expect(answers).not.toMatch(/ QRESYNC/);
  expect(answers).toMatch(/^\* ENABLED CONDSTORE\r\n/m);
});

test("where literals are short a longer one that comes unasked is refused, before login too", async () => {
  const server = await startTestServer({ account, literalMinus: true });
  const socket = server.connect("imap");
  const received = new Received(socket);
  expect(await received.until(/^\* OK .*\r\n/m)).toMatch(/ LITERAL- /);
  const text = "x".repeat(LITERAL_MINUS_BYTES_MAX);
  socket.write(`a LOGIN u {${text.length}+}\r\n${text}\r\n`);
  expect(await received.until(/^a .*\r\n/m)).toMatch(/^a OK/m);
  socket.write(`b APPEND x {${text.length + 1}+}\r\n${text}x\r\nc NOOP\r\n`);
  expect(await received.until(/^c .*\r\n/m)).toMatch(/^b NO \[TOOBIG\] .*\r\nc /);
});

test("a limit of messages is announced where there is one, with its number, unless it is hidden", async () => {
  const greetingOf = async (options: Parameters<typeof startTestServer>[0]): Promise<string> =>
    new Received((await startTestServer({ account, ...options })).connect("imap")).until(/^\* OK .*\r\n/m);
  expect(await greetingOf({})).not.toContain("MESSAGELIMIT");
  expect(await greetingOf({ messageLimit: 1000 })).toContain(" MESSAGELIMIT=1000 ");
  const hiddenFrom = (): ReadonlySet<string> => new Set(["MESSAGELIMIT=1000"]);
  expect(await greetingOf({ messageLimit: 1000, hiddenFrom })).not.toContain("MESSAGELIMIT");
});

test("where JMAP is, is told to who is signed in, unless it is nowhere or hidden", async () => {
  const jmapUrl = "https://mail.example.org/.well-known/jmap";
  const play = async (options: { jmapUrl?: string; hiddenFrom?: () => ReadonlySet<string> }): Promise<string[]> => {
    const server = await startTestServer({ account, ...options });
    const socket = server.connect("imap");
    const received = new Received(socket);
    expect(await received.until(/^\* OK .*\r\n/m)).not.toMatch(/JMAPACCESS/);
    socket.write("a GETJMAPACCESS\r\nb LOGIN u p\r\nc GETJMAPACCESS\r\nd UNAUTHENTICATE\r\ne CAPABILITY\r\n");
    const answers = (await received.until(/^e .*\r\n/m)).split("\r\n");
    expect(answers[0]).toMatch(/^a BAD /);
    expect(answers.find((line) => line.startsWith("* CAPABILITY"))).not.toMatch(/JMAPACCESS/);
    return answers.slice(
      1,
      answers.findIndex((line) => line.startsWith("d ")),
    );
  };
  expect(await play({ jmapUrl })).toEqual([
    expect.stringMatching(/^b OK \[CAPABILITY .* JMAPACCESS .*\]/),
    `* JMAPACCESS "${jmapUrl}"`,
    "c OK GETJMAPACCESS completed",
  ]);
  for (const options of [{}, { jmapUrl, hiddenFrom: () => new Set(["JMAPACCESS"]) }])
    expect(await play(options)).toEqual([expect.not.stringMatching(/JMAPACCESS/), expect.stringMatching(/^c BAD /)]);
});
