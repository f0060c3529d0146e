import { once } from "node:events";
import { readdirSync, readlinkSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connectImap, connectLmtp, deliver, LineClient } from "../kit/line-client.ts";
import type { MainThreadReport } from "../kit/main-thread.ts";
import { makeDataFolder, type RunningServer, removeDataFolder, restante, startServer } from "../kit/server.ts";
import { httpsLoads } from "./https-loads.ts";
import { imapLoads } from "./imap-loads.ts";
import { phoneLoads } from "./phone-loads.ts";

/**
 * Attacks of strangers and mails, as loads against a real server, while somebody else uses it. Counts are
 * asserted; how long the other one waits is told beside a quiet run, since that depends on the machine.
 *
 * A further load is a row of LOADS: a sentence, and what it does.
 */
const ADA = { user: "ada@example.org", password: "a-password-for-tests" };
const BOB = { user: "bob@example.org", password: "another-password-for-tests" };
/** Milliseconds of the main thread's own processor time in one turn. */
const TURN_MS_MAX = 50;
const MEMORY_BYTES_MAX: number = 64 * 2 ** 20;
/** Octets that may wait for all clients that don't read. */
const WAITING_BYTES_MAX: number = 64 * 2 ** 20;
/** Seconds in which whatever ended has let its sockets go. */
const LET_GO_MS = 20_000;
const NOOP_EACH_MS = 5;
const QUIET_MS = 3_000;

process.env.TEST_QUICK_ARGON2 ??= "1";

let data: string;
let server: RunningServer;
let noops: number[] = [];
let stopNoops: () => Promise<void>;

const port = (name: string): number => server.ports[name]!;
/** Descriptors of the server's sockets: those of its threads and files come and go by themselves. */
function sockets(): number {
  const folder = `/proc/${server.process.pid}/fd`;
  const targets = readdirSync(folder).map((name) => {
    try {
      return readlinkSync(join(folder, name));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return "";
      throw error;
    }
  });
  return targets.filter((target) => target.startsWith("socket:")).length;
}
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Since the load began. */
let longestTurnMs = 0;

async function look(): Promise<MainThreadReport> {
  const socket = connect(join(data, "main-thread"));
  let text = "";
  socket.setEncoding("utf8").on("data", (piece: string) => {
    text += piece;
  });
  await once(socket, "close");
  const report = JSON.parse(text) as MainThreadReport;
  longestTurnMs = Math.max(longestTurnMs, report.longestTurnMs);
  return report;
}

function quantiles(times: readonly number[]): string {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number): string => (sorted[Math.floor((sorted.length - 1) * share)] ?? 0).toFixed(1);
  return `p50 ${at(0.5)} p99 ${at(0.99)} max ${at(1)} ms of ${sorted.length}`;
}

/** Somebody who asks again and again whether there is anything new. */
async function useAs({ user, password }: typeof BOB): Promise<() => Promise<void>> {
  const client = await connectImap(port("imap"), user, password);
  await client.command("SELECT INBOX");
  let isOver = false;
  const loop = (async () => {
    while (!isOver) {
      const begun = performance.now();
      await client.command("NOOP");
      noops.push(performance.now() - begun);
      await pause(NOOP_EACH_MS);
    }
  })();
  return async () => {
    isOver = true;
    await loop;
    client.end();
  };
}

beforeAll(async () => {
  data = await makeDataFolder();
  for (const { user, password } of [ADA, BOB]) {
    const { code, err } = await restante(data, ["account", "add", user, "--password-stdin"], `${password}\n`);
    if (code !== 0) throw new Error(err);
  }
  server = await startServer(data, { mainThread: join(data, "main-thread") });
  const lmtp = await connectLmtp(port("lmtp"));
  for (const mail of MAILS) await deliver(lmtp, [ADA.user], mail);
  lmtp.end();
  stopNoops = await useAs(BOB);
  const ada = await connectImap(port("imap"), ADA.user, ADA.password);
  await ada.command("SELECT INBOX");
  ada.end();
  await pause(QUIET_MS);
  console.log(`quiet: NOOP ${quantiles(noops)}`);
}, 60_000);

afterAll(async () => {
  await stopNoops?.();
  await server?.stop();
  await removeDataFolder(data);
});

const filler = (bytes: number): string => "words and more words, of which one\r\n".repeat(Math.ceil(bytes / 36));
/** Mails that cost much, or whose owner makes them cost much. */
const MAILS: readonly string[] = [
  ...Array.from({ length: 8 }, (_, n) => `Subject: large ${n}\r\n\r\n${filler(1_000_000)}`),
  `Subject: header\r\n${Array.from({ length: 5_000 }, (_, n) => `X-${n}: =?utf-8?q?w=C3=B6rter?= and words\r\n`).join("")}\r\nx\r\n`,
];
const PARTS = `Subject: parts\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n${"--b\r\n\r\n\r\n".repeat(100_000)}--b--\r\n`;

/** Many sockets at once, each of which comes so far and goes. */
async function connections(count: number, name: string, first: string, go: (socket: Socket) => void): Promise<void> {
  for (let at = 0; at < count; at += 100)
    await Promise.all(
      Array.from({ length: 100 }, async () => {
        const socket = connect(port(name), "127.0.0.1");
        socket.on("error", () => socket.destroy());
        await once(socket, "connect");
        if (first !== "") socket.write(first, "latin1");
        go(socket);
        if (!socket.destroyed) await once(socket, "close");
      }),
    );
}

async function asAda(commands: (client: LineClient) => Promise<void>): Promise<void> {
  const client = await connectImap(port("imap"), ADA.user, ADA.password);
  await client.command("SELECT INBOX");
  await commands(client);
  client.end();
}

/** Asks for `items` of every message and reads nothing of the answer. */
async function unread(items: string): Promise<LineClient> {
  const client = await connectImap(port("imap"), ADA.user, ADA.password);
  await client.command("SELECT INBOX");
  client.socket.pause();
  client.send(`x FETCH 1:* (${items})\r\n`);
  return client;
}

/** Octets of an answer that is too long to be looked through. */
async function countAnswer(client: LineClient, command: string): Promise<number> {
  let octets = 0;
  let tail = "";
  const isOver = new Promise<void>((resolve) => {
    client.socket.removeAllListeners("data").on("data", (piece: string) => {
      octets += piece.length;
      tail = (tail + piece).slice(-100);
      if (/^big OK .*\r\n$/m.test(tail)) resolve();
    });
  });
  client.send(`big ${command}\r\n`);
  await isOver;
  return octets;
}

const HALF_HELLO = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";

const LOADS: Record<string, () => Promise<void>> = {
  ...httpsLoads(() => port("https")),
  ...imapLoads({ port, ...ADA }),
  ...phoneLoads(port, ADA),
  "a thousand connections that never shake hands": async () => {
    await connections(1_000, "imaps", "", (socket) => socket.destroy());
    await connections(300, "imaps", HALF_HELLO, (socket) => socket.resetAndDestroy());
    await connections(300, "imap", "a STARTTLS\r\n", (socket) => socket.destroySoon());
  },
  "more strangers than there may be": async () => {
    const held: Socket[] = [];
    for (let n = 0; n < 600; n++) held.push(connect(port("imap"), "127.0.0.1").on("error", () => undefined));
    await Promise.all(held.slice(-100).map((socket) => once(socket, "data")));
    for (const socket of held) socket.destroy();
  },
  "user names and command lines of 60 KB": async () => {
    for (let n = 0; n < 200; n++) {
      const client = await LineClient.connect(port("imap"));
      client.send(`a LOGIN ${"u".repeat(60_000)}${n} p\r\nb LOGIN ${"u".repeat(300)}${n} p\r\n`);
      await client.until(/^a BAD .*\r\n/m);
      await client.until(/^b NO .*\r\n/m);
      client.end();
    }
  },
  "30,000 pairs of IDLE and DONE, and as many NOOPs": () =>
    asAda(async (client) => {
      client.send("a IDLE\r\nDONE\r\n".repeat(30_000));
      client.send(`${"b NOOP\r\n".repeat(30_000)}c NOOP\r\n`);
      await client.until(/^c OK .*\r\n/m);
    }),
  "FETCH of as many bodies and headers as may be, by readers and by those who read nothing": async () => {
    const items = (item: string): string => new Array(200).fill(item).join(" ");
    const waiting = await Promise.all(
      Array.from({ length: 20 }, (_, n) => unread(items(n % 2 === 0 ? "BODY.PEEK[]" : "BODY.PEEK[HEADER] ENVELOPE"))),
    );
    await asAda(async (client) => {
      const octets = await countAnswer(client, `FETCH 9 (${items("BODY.PEEK[HEADER.FIELDS.NOT (X-1)]")})`);
      expect(octets).toBeGreaterThan(200 * 100_000);
    });
    expect((await look()).waitingBytes).toBeLessThan(WAITING_BYTES_MAX);
    for (const client of waiting) client.end();
  },
  "SEARCH with as many keys as may be": () =>
    asAda(async (client) => {
      const keys = Array.from({ length: 120 }, (_, n) => `NOT TEXT "nowhere ${n}"`).join(" ");
      expect(await client.command(`SEARCH ${keys}`)).toMatch(/^\* SEARCH 1 2 3 4 5 6 7 8 9/m);
      const like = `"${"a".repeat(20_000)}b${"a".repeat(20_000)}"`;
      expect(await client.command(`SEARCH NOT TEXT ${like}`)).toMatch(/^\* SEARCH 1 2/m);
      expect(await client.command(`SEARCH ${new Array(4_999).fill("TEXT x").join(" ")}`)).toMatch(/ BAD /);
    }),
  "a mail of 100,000 parts": async () => {
    const lmtp = await connectLmtp(port("lmtp"));
    expect(await deliver(lmtp, [ADA.user], PARTS)).toEqual([expect.stringMatching(/^250 /)]);
    lmtp.end();
    await asAda(async (client) => {
      await client.command("FETCH * BODYSTRUCTURE");
      await client.command("FETCH * (BODY BODY.PEEK[1.MIME] BODY.PEEK[900])");
      expect(await client.command("SEARCH TEXT nowhere")).toMatch(/^\* SEARCH\r$/m);
    });
  },
  "100,000 recipients that are one": async () => {
    const lmtp = await connectLmtp(port("lmtp"));
    lmtp.send("MAIL FROM:<>\r\n");
    lmtp.send(`RCPT TO:<${ADA.user}>\r\n`.repeat(100_000));
    lmtp.send("NOOP\r\n");
    await lmtp.until(/^452 4\.5\.3 .*\r\n/m);
    await lmtp.until(/^250 2\.0\.0 OK.*\r\n/m);
    lmtp.end();
  },
  "copies of copies, and a thousand keywords": () =>
    asAda(async (client) => {
      await client.command("CREATE Copies");
      await client.command("COPY 1:8 Copies");
      await client.command("SELECT Copies");
      for (let n = 0; n < 11; n++) await client.command("COPY 1:* Copies");
      let refused = 0;
      for (let n = 0; n < 300; n++) if (/ NO /.test(await client.command(`STORE 1 +FLAGS.SILENT (k${n})`))) refused++;
      expect(refused).toBe(200);
    }),
};

test.each(Object.keys(LOADS))(
  "%s",
  async (name) => {
    await look();
    const { memoryBytes } = await look();
    const before = sockets();
    noops = [];
    longestTurnMs = 0;
    await LOADS[name]!();
    const after = await look();
    const told = `longest turn ${longestTurnMs.toFixed(0)} ms, NOOP ${quantiles(noops)}`;
    console.log(`${name}: ${told}, memory ${((after.memoryBytes - memoryBytes) / 2 ** 20).toFixed(1)} MB more`);
    const end = Date.now() + LET_GO_MS;
    while (sockets() > before && Date.now() < end) await pause(50);
    expect(sockets()).toBeLessThanOrEqual(before);
    expect(longestTurnMs).toBeLessThan(TURN_MS_MAX);
    expect((await look()).memoryBytes - memoryBytes).toBeLessThan(MEMORY_BYTES_MAX);
  },
  60_000,
);
