import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { type AddressInfo, connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { type Dropbox, EngineError, type Handover, QuotaExceeded } from "@restante/engine";
import { SMTPServer } from "smtp-server";
import { SMTPConnection } from "smtp-server/lib/smtp-connection.js";
import { expect, test, vi } from "vitest";
import { RECIPIENTS_MAX } from "./limits.ts";
import { type ListenerLimits, LmtpListener } from "./lmtp-listener.ts";
import { createLmtpServer } from "./server.ts";

const LINE = `${"x".repeat(76)}\r\n`;
/** More than any buffer on the way holds. */
const MESSAGE_LINES = 100_000;

/** A dropbox that reads a little, then finds the store full. */
const full: Pick<Dropbox, "deliver"> = {
  async deliver(_before, message) {
    await message[Symbol.asyncIterator]().next();
    throw new EngineError("over-quota", "the store is full");
  },
};

/** A dropbox that keeps what it is brought. */
function keeping(messages: string[]): Pick<Dropbox, "deliver"> {
  return {
    async deliver(_before, message) {
      messages.push(Buffer.concat(await Array.fromAsync(message)).toString("latin1"));
    },
  };
}

interface Options {
  readonly onFull?: "452" | "552";
  readonly dropbox?: Pick<Dropbox, "deliver">;
  readonly handover?: Handover;
  readonly limits?: Partial<ListenerLimits>;
  readonly sizeMax?: number;
  /** Listens here instead. */
  readonly path?: string;
}

async function startServer({ dropbox = full, handover, limits, sizeMax = 2 ** 30, path, onFull }: Options) {
  const server = createLmtpServer({
    findDropbox: async (address) => (address.startsWith("nobody") ? undefined : (dropbox as Dropbox)),
    connect: () => handover ?? ({ settle: () => undefined, abandon: () => undefined } as unknown as Handover),
    rules: { aliases: {}, delimiter: "+", catchAll: "", postmaster: "" },
    sizeMax,
    serverName: "test",
    log: () => undefined,
    ...(limits ? { limits } : {}),
    ...(onFull ? { onFull } : {}),
  });
  const listener = server.makeListener();
  if (path === undefined) listener.listen(0, "127.0.0.1");
  else listener.listen(path);
  await once(listener, "listening");
  const dial = (): Socket => {
    const socket = path === undefined ? connect((listener.address() as AddressInfo).port, "127.0.0.1") : connect(path);
    return socket.on("error", () => socket.destroy());
  };
  const connections = promisify(listener.getConnections.bind(listener)) as () => Promise<number>;
  return { server, dial, connections };
}

/** A server, and a connection to it. `until` reads on to what matches. */
async function setUp(options: Options = {}) {
  const { server, dial } = await startServer(options);
  const socket = dial();
  let received = "";
  socket.setEncoding("latin1").on("data", (text: string) => {
    received += text;
  });
  const until = async (pattern: RegExp): Promise<string> => {
    while (!pattern.test(received)) await once(socket, "data");
    const text = received;
    received = "";
    return text;
  };
  const quit = async (): Promise<void> => {
    socket.end("QUIT\r\n");
    await until(/^221 /m);
    await server.stop();
  };
  return { socket, until, quit };
}

/** The same, greeted. */
async function greeted(options: Options = {}) {
  const client = await setUp(options);
  await client.until(/^220 /m);
  client.socket.write("LHLO x\r\n");
  await client.until(/^250 /m);
  return client;
}

test("a large message that is refused before it was read is answered, and the connection goes on", async () => {
  const { socket, until, quit } = await greeted();
  for (let round = 0; round < 2; round++) {
    socket.write("MAIL FROM:<>\r\nRCPT TO:<a@x>\r\nDATA\r\n");
    await until(/^354 /m);
    socket.write(`${LINE.repeat(MESSAGE_LINES)}.\r\n`);
    await until(/^452 4\.2\.2 .*full/m);
  }
  await quit();
});

test("a client is greeted at once, and once", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  try {
    const { socket, until, quit } = await setUp();
    await until(/^220 [^\n]*\n$/);
    vi.advanceTimersByTime(1000);
    socket.write("LHLO x\r\n");
    await until(/^250-[\s\S]*\n250 [^\n]*\n$/);
    await quit();
  } finally {
    vi.useRealTimers();
  }
});

test("one address twice in a transaction is stored once and answered twice, in the order given", async () => {
  const messages: string[] = [];
  const { socket, until, quit } = await greeted({ dropbox: keeping(messages) });
  socket.write("MAIL FROM:<>\r\nRCPT TO:<a@x>\r\nRCPT TO:<nobody@x>\r\nRCPT TO:<A@X>\r\nRCPT TO:<b@x>\r\nDATA\r\n");
  await until(/^354 /m);
  socket.write("Subject: x\r\n\r\nhello\r\n.\r\nNOOP\r\n");
  const replies = (await until(/^250 2\.0\.0 OK/m)).trim().split("\r\n");
  const ids = replies.slice(0, 3).map((line) => /^250 2\.6\.0 Delivered (\w+)$/.exec(line)?.[1]);
  expect(ids).toEqual([ids[0], ids[0], ids[0]]);
  expect(replies).toHaveLength(4);
  expect(messages).toHaveLength(2);
  // The same where one address is all there is: nothing is spooled.
  socket.write("MAIL FROM:<>\r\nRCPT TO:<a@x>\r\nRCPT TO:<a@x>\r\nDATA\r\n");
  await until(/^354 /m);
  socket.write("x\r\n.\r\nNOOP\r\n");
  expect((await until(/^250 2\.0\.0 OK/m)).match(/^250 2\.6\.0 Delivered/gm)).toHaveLength(2);
  expect(messages).toHaveLength(3);
  await quit();
});

test("equal recipients count too: beyond the limit each is refused, and those before are delivered to", async () => {
  const messages: string[] = [];
  const { socket, until, quit } = await greeted({ dropbox: keeping(messages) });
  socket.write(`MAIL FROM:<>\r\n${"RCPT TO:<a@x>\r\n".repeat(RECIPIENTS_MAX + 20_000)}DATA\r\n`);
  let rounds = 0;
  let isOver = false;
  const count = (): void => {
    rounds++;
    if (!isOver) setImmediate(count);
  };
  setImmediate(count);
  const answers = await until(/^354 /m);
  isOver = true;
  // Others come between.
  expect(rounds).toBeGreaterThan((RECIPIENTS_MAX + 20_000) / 60);
  expect(answers.match(/^250 2\.1\.5 /gm)).toHaveLength(RECIPIENTS_MAX);
  expect(answers.match(/^452 4\.5\.3 Too many recipients\r$/gm)).toHaveLength(20_000);
  socket.write("x\r\n.\r\nNOOP\r\n");
  expect((await until(/^250 2\.0\.0 OK/m)).match(/^250 2\.6\.0 /gm)).toHaveLength(RECIPIENTS_MAX);
  expect(messages).toEqual(["x\r\n"]);
  await quit();
});

test("a message that is too large is refused once for each recipient, also for one address twice", async () => {
  const { socket, until, quit } = await greeted({ dropbox: keeping([]), sizeMax: 1000 });
  for (const more of ["", "RCPT TO:<b@x>\r\n"]) {
    socket.write(`MAIL FROM:<>\r\nRCPT TO:<a@x>\r\nRCPT TO:<a@x>\r\n${more}DATA\r\n`);
    await until(/^354 /m);
    socket.write(`${LINE.repeat(20)}.\r\nNOOP\r\n`);
    const answers = (await until(/^250 2\.0\.0 OK/m)).trim().split("\r\n");
    expect(answers.slice(0, -1)).toEqual(new Array(more === "" ? 2 : 3).fill("552 5.3.4 Message is too large"));
  }
  await quit();
});

test("a parameter that we don't have is refused, and those that we have are taken", async () => {
  const { socket, until, quit } = await greeted();
  socket.write("LHLO x\r\n");
  expect(await until(/^250 /m)).not.toContain("DSN");
  for (const parameter of ["FUTURE=1", "RET=FULL", "AUTH=<>", "FUTURE"]) {
    socket.write(`MAIL FROM:<> ${parameter}\r\n`);
    expect(await until(/\r\n/)).toMatch(/^555 5\.5\.4 \w+ is no parameter here\r\n$/);
  }
  socket.write("MAIL FROM:<> SIZE=100 BODY=8BITMIME SMTPUTF8\r\n");
  expect(await until(/\r\n/)).toMatch(/^250 /);
  for (const parameter of ["NOTIFY=NEVER", "X=1"]) {
    socket.write(`RCPT TO:<a@x> ${parameter}\r\n`);
    expect(await until(/\r\n/)).toMatch(/^555 5\.5\.4 /);
  }
  await quit();
});

test("senders and recipients that mail has are taken, and stay as they are in Return-Path", async () => {
  const before: string[] = [];
  const dropbox: Pick<Dropbox, "deliver"> = {
    async deliver(trace, message) {
      before.push(new TextDecoder().decode(trace));
      await Array.fromAsync(message);
    },
  };
  const { socket, until, quit } = await greeted({ dropbox });
  const senders = ['"a b"@x.org', "a..b@docomo.ne.jp", "a@ex_ample.org", "root", "a@x.org.", "a@xn--bcher-kva.example"];
  for (const sender of senders) {
    socket.write(`MAIL FROM:<${sender}> SIZE=1 BODY=8BITMIME\r\nRCPT TO:<"o b"@x.org>\r\nDATA\r\n`);
    await until(/^354 /m);
    socket.write("x\r\n.\r\n");
    await until(/^250 2\.6\.0 /m);
    expect(before.at(-1)).toContain(`Return-Path: <${sender}>\r\n`);
    expect(before.at(-1)).toContain("Delivered-To: o b@x.org\r\n");
  }
  socket.write("MAIL FROM:<a b>\r\n");
  await until(/^501 /m);
  socket.write("MAIL FROM:<a@b> SIZE=x\r\n");
  await until(/^50\d /m);
  socket.write("MAIL FROM:<>\r\n");
  await until(/^250 /m);
  socket.write("RCPT TO:<>\r\n");
  await until(/^501 /m);
  socket.write("RCPT TO:<postmaster>\r\n");
  await until(/^550 /m);
  await quit();
});

test("each command tells that replies were read, and the end that the last may not have been", async () => {
  const told: string[] = [];
  const handover = { settle: () => told.push("settle"), abandon: () => told.push("abandon") } as unknown as Handover;
  const { socket, until } = await greeted({ dropbox: keeping([]), handover });
  socket.write("MAIL FROM:<>\r\nRCPT TO:<a@x>\r\nDATA\r\n");
  await until(/^354 /m);
  told.length = 0;
  socket.write("x\r\n.\r\n");
  await until(/^250 2\.6\.0 /m);
  expect(told).toEqual([]);
  socket.write("NOOP\r\n");
  await until(/^250 /m);
  expect(told).toEqual(["settle"]);
  socket.destroy();
  while (told.length < 2) await new Promise((resolve) => setImmediate(resolve));
  expect(told).toEqual(["settle", "abandon"]);
});

test("what a store or the platform says is told to no client", async () => {
  const words = "SQLITE_FULL: INSERT INTO objects /var/lib";
  const failures = [
    new Error(words),
    ...(["unavailable", "unknown-outcome", "corrupt", "over-quota", "locked"] as const).map(
      (code) => new EngineError(code, words),
    ),
  ];
  for (const failure of failures) {
    const failing = {
      deliver: async () => {
        throw failure;
      },
    };
    const { socket, until, quit } = await greeted({ dropbox: failing });
    for (const more of ["", "RCPT TO:<b@x>\r\n"]) {
      socket.write(`MAIL FROM:<>\r\nRCPT TO:<a@x>\r\n${more}DATA\r\n`);
      await until(/^354 /m);
      socket.write("x\r\n.\r\nNOOP\r\n");
      const answers = await until(/^250 2\.0\.0 OK/m);
      expect(answers).toMatch(/^4\d\d 4\.\d\.\d (?:Internal error|Try again later|Mailbox or store is full)\r$/m);
      expect(answers).not.toMatch(/SQL|var/);
    }
    await quit();
  }
});

test("beyond the number of connections a client is told to come again later", async () => {
  const { server, dial } = await startServer({ limits: { connectionsMax: 2 } });
  const greetings: string[] = [];
  const sockets = [dial(), dial(), dial()];
  for (const socket of sockets) greetings.push(String((await once(socket, "data"))[0]));
  expect(greetings.map((text) => text.slice(0, 9))).toEqual(["220 test ", "220 test ", "421 4.3.2"]);
  for (const socket of sockets) socket.destroy();
  await server.stop();
});

test("nothing is done for a client that went while its command waited for its turn", async () => {
  const commands: string[] = [];
  const listener = new LmtpListener({ lmtp: true, authOptional: true }, { onCommand: (id) => commands.push(id) });
  listener.server.listen(0, "127.0.0.1");
  await once(listener.server, "listening");
  const socket = connect((listener.server.address() as AddressInfo).port, "127.0.0.1");
  await once(socket, "data");
  const [connection] = listener.connections;
  connection!._onCommand(Buffer.from("NOOP"));
  expect(commands).toHaveLength(1);
  const closed = new Promise<void>((resolve) => {
    listener.onClose = () => resolve();
  });
  socket.destroy();
  await closed;
  connection!._onCommand(Buffer.from("NOOP"));
  expect(commands).toHaveLength(1);
  await new Promise<void>((resolve) => listener.close(resolve));
});

test("what of smtp-server is overridden is there", () => {
  const overridden = ["init", "connectionReady", "send", "_onCommand", "_setListeners", "_onClose"] as const;
  for (const name of overridden) expect(SMTPConnection.prototype[name], name).toBeTypeOf("function");
  expect(SMTPServer.prototype.connect).toBeTypeOf("function");
});

const STAGES: Record<string, string> = {
  "at once": "",
  "within a line": "LHLO x\r\nMAIL FR",
  "within a transaction": "LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a@x>\r\n",
  "within a message": "LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a@x>\r\nDATA\r\nSubject: x\r\n",
  "after many commands whose answers it does not read": `LHLO x\r\n${"NOOP\r\n".repeat(200_000)}`,
};

/** Ways for a client to end a connection. */
const ENDS: readonly ((socket: Socket) => void)[] = [
  (socket) => socket.destroy(),
  (socket) => socket.resetAndDestroy(),
  (socket) => {
    socket.allowHalfOpen = true;
    socket.end();
  },
];

const descriptors = (): number => readdirSync("/proc/self/fd").length;

test.each(Object.keys(STAGES))(
  "whoever goes %s leaves no descriptor behind, nor does who goes on for ever",
  async (stage) => {
    const folder = mkdtempSync(join(tmpdir(), "restante-lmtp-"));
    for (const path of [undefined, join(folder, "socket")]) {
      const limits = { commandMs: 300, messageMs: 300 };
      const { server, dial, connections } = await startServer({
        dropbox: keeping([]),
        limits,
        ...(path ? { path } : {}),
      });
      const before = descriptors();
      const sockets = await Promise.all(
        [...ENDS, undefined].map(async (end) => {
          if (end === ENDS[1] && path !== undefined) return;
          const socket = dial();
          await once(socket, "connect");
          socket.write(STAGES[stage]!);
          if (stage !== "at once" && !stage.startsWith("after")) await once(socket, "data");
          if (end) end(socket);
          else {
            // An octet now and then is no silence.
            const drip = setInterval(() => socket.write("x"), 20);
            // Its octets may cross the server's end.
            socket.on("error", () => clearInterval(drip)).resume();
            await new Promise((resolve) => socket.once("close", resolve));
            clearInterval(drip);
          }
          return socket;
        }),
      );
      while ((await connections()) > 0) await new Promise((resolve) => setTimeout(resolve, 5));
      for (const socket of sockets) socket?.destroy();
      while (descriptors() > before) await new Promise((resolve) => setTimeout(resolve, 5));
      await server.stop();
    }
    rmSync(folder, { recursive: true });
  },
);

test.each([
  [undefined, "452 4.2.2"],
  ["452", "452 4.2.2"],
  ["552", "552 5.2.2"],
] as const)("mail for an account that is full is refused as it is set: %s", async (onFull, reply) => {
  const dropbox = {
    async deliver() {
      throw new QuotaExceeded();
    },
  };
  const { socket, until, quit } = await greeted({ dropbox, ...(onFull && { onFull }) });
  socket.write("MAIL FROM:<>\r\nRCPT TO:<a@x>\r\nDATA\r\n");
  await until(/^354 /m);
  socket.write(`${LINE}.\r\n`);
  expect(await until(/^[45]\d\d .*\r\n/m)).toContain(`${reply} Mailbox is full`);
  await quit();
});
