import { once } from "node:events";
import { readdirSync } from "node:fs";
import type { Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { expect, test } from "vitest";
import { Received, startTestServer, type TestServer } from "./test-kit.ts";

const descriptors = (): number => readdirSync("/proc/self/fd").length;

/** An account with one message so large that its answer waits for its reader. */
const account = {
  state: { findPath: () => ({ id: "0000000000000000.0.0" }) },
  ended: new AbortController().signal,
  rolledBack: false,
  close: () => undefined,
  refresh: async () => undefined,
  onChange: () => () => undefined,
  async prepare(source: AsyncIterable<Uint8Array>) {
    for await (const _ of source);
  },
};
const LARGE = Buffer.alloc(64 * 1024);
const view = {
  length: 1,
  readOnly: true,
  mailbox: { id: "0000000000000000.0.0", uidNext: 2, uidValidity: 1, keywordSets: new Map() },
  firstUnseen: () => undefined,
  lowerBound: () => 0,
  uidAt: () => 1,
  messages: () => [{ position: 0, row: 0, state: { sizeOf: () => 2 ** 30 } }],
  sync: () => ({ expunged: [], added: 0, flagged: [] }),
};
const withMail = {
  ...account,
  getMailbox: () => view.mailbox,
  openView: () => view,
  uidNextAtOpening: new Map([[view.mailbox.id, 2]]),
  keywordsIn: () => [],
  openBody: async () => ({
    size: 2 ** 30,
    async *read() {
      for (;;) yield LARGE;
    },
  }),
};

/** A client's socket, and what it speaks by: the same, or TLS over it. */
interface Client {
  readonly raw: Socket;
  readonly socket: Socket;
}

/** How a client goes: without a word, with a reset, or by its own end, waiting for ours. */
const ENDS: readonly ((client: Client) => void)[] = [
  ({ raw }) => raw.destroy(),
  ({ raw }) => raw.resetAndDestroy(),
  ({ socket }) => {
    socket.allowHalfOpen = true;
    socket.end();
  },
];
/** A ClientHello's first octets: a handshake record of 512 octets is on its way. */
const HALF_HELLO = Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03]);

type Stage = (server: TestServer) => Promise<Client>;

async function greeted(server: TestServer, ...lines: readonly [string, RegExp][]): Promise<Client> {
  const socket = server.connect("imap");
  const received = new Received(socket);
  await received.until(/^\* OK .*\r\n/m);
  for (const [line, answer] of lines) {
    socket.write(line);
    await received.until(answer);
  }
  return { raw: socket, socket };
}

async function secured(raw: Socket): Promise<Client> {
  const socket = connectTls({ socket: raw, rejectUnauthorized: false });
  socket.on("error", () => socket.destroy());
  await once(socket, "secureConnect");
  return { raw, socket };
}

const LOGIN: [string, RegExp] = ["a LOGIN u p\r\n", /^a OK/m];
const connected: (listener: "imap" | "imaps", first?: Uint8Array) => Stage = (listener, first) => async (server) => {
  const socket = server.connect(listener);
  await once(socket, "connect");
  if (first) socket.write(first);
  return { raw: socket, socket };
};
/** How far it had come. */
const STAGES: Record<string, Stage> = {
  "imap, at once": connected("imap"),
  "imap, within a line": (server) => greeted(server, ["a NO", /^/]),
  "imap, within a literal": (server) => greeted(server, ["a LOGIN {5}\r\n", /^\+ /m], ["ab", /^/]),
  "imap, within a message": (server) => greeted(server, LOGIN, ["b APPEND x {500}\r\n", /^\+ /m], ["ab", /^/]),
  "imap, during AUTHENTICATE": (server) => greeted(server, ["a AUTHENTICATE PLAIN\r\n", /^\+ /m]),
  "imap, during IDLE": (server) => greeted(server, LOGIN, ["b IDLE\r\n", /^\+ /m]),
  "imap, while an answer waits for it": async (server) => {
    const client = await greeted(server, LOGIN, ["b EXAMINE x\r\n", /^b OK/m], ["c FETCH 1 BODY[]\r\n", /^\* 1/m]);
    client.socket.pause();
    return client;
  },
  "imap, after STARTTLS": (server) => greeted(server, ["a STARTTLS\r\n", /^a OK/m]),
  "imap, within the handshake after STARTTLS": async (server) => {
    const client = await greeted(server, ["a STARTTLS\r\n", /^a OK/m]);
    client.socket.write(HALF_HELLO);
    return client;
  },
  "imap, with something else than a handshake after STARTTLS": async (server) => {
    const client = await greeted(server, ["a STARTTLS\r\n", /^a OK/m]);
    client.socket.write("b NOOP\r\n");
    return client;
  },
  "imap, secured by STARTTLS": async (server) => {
    const { raw } = await greeted(server, ["a STARTTLS\r\n", /^a OK/m]);
    const client = await secured(raw.removeAllListeners("data"));
    client.socket.write("b NOOP\r\n");
    return client;
  },
  "imaps, without a handshake": connected("imaps"),
  "imaps, within the handshake": connected("imaps", HALF_HELLO),
  "imaps, in clear": connected("imaps", Buffer.from("a NOOP\r\n")),
  "imaps, secured": async (server) => secured(server.connect("imaps")),
};

/** Resolves when nothing of a connection is left: at the server's side, and in the process. */
async function allGone(server: TestServer, before: number): Promise<void> {
  while (server.gate.counts.connections > 0 || descriptors() > before)
    await new Promise((resolve) => setTimeout(resolve, 5));
}

test.each(Object.keys(STAGES))("%s: whoever goes leaves no descriptor behind", async (stage) => {
  // In the time of a test nobody is dismissed.
  const server = await startTestServer({ account: withMail });
  const before = descriptors();
  const clients = await Promise.all(
    ENDS.flatMap((end) =>
      Array.from({ length: 3 }, async () => {
        const client = await STAGES[stage]!(server);
        end(client);
        return client;
      }),
    ),
  );
  // A client that waits for our FIN gets it.
  while (server.gate.counts.connections > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  for (const { raw } of clients) raw.destroy();
  await allGone(server, before);
  expect(server.gate.counts).toEqual({ connections: 0, strangers: 0 });
  expect(server.events.filter(({ event }) => event === "failed")).toEqual([]);
});

test.each(Object.keys(STAGES))("%s: whoever says nothing more is let go", async (stage) => {
  const server = await startTestServer({
    account: withMail,
    limits: { signInMs: 400 },
    times: { handshakeMs: 200, idleMs: 500, drainMs: 500 },
  });
  const before = descriptors();
  const { raw } = await STAGES[stage]!(server);
  while (server.gate.counts.connections > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  raw.destroy();
  await allGone(server, before);
});

test.each(["imap", "imaps"] as const)("%s: an octet now and then does not make the time longer", async (listener) => {
  const server = await startTestServer({ limits: { signInMs: 300 }, times: { handshakeMs: 300 } });
  const before = descriptors();
  const socket = server.connect(listener);
  const octets = listener === "imaps" ? HALF_HELLO : Buffer.alloc(10_000, "a");
  let at = 0;
  const drip = setInterval(() => socket.write(octets.subarray(at, ++at)), 20);
  const received = new Received(socket);
  const farewell = await received.end();
  clearInterval(drip);
  if (listener === "imap") expect(farewell).toMatch(/^\* BYE .*\r\n/m);
  socket.destroy();
  await allGone(server, before);
});

test("once TLS has begun nothing is said in clear, not even why a client must go", async () => {
  const server = await startTestServer({ limits: { signInMs: 200 } });
  const socket = server.connect("imap");
  const received = new Received(socket);
  socket.write("a STARTTLS\r\n");
  await received.until(/^a OK .*\r\n/m);
  expect(await received.end()).toBe("");
});
