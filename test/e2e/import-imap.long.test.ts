import { createHash } from "node:crypto";
import { once } from "node:events";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connectImap, connectLmtp, deliver, type LineClient } from "../kit/line-client.ts";
import { messageOf } from "../kit/load.ts";
import {
  makeDataFolder,
  type RunningServer,
  removeDataFolder,
  restante,
  spawnRestante,
  startServer,
} from "../kit/server.ts";

const THERE = "ada@provider.example";
const PASSWORD = "a-long-enough-password";
const REMOTE_PASSWORD = "another-long-password";
let data: string;
let away: string;
let server: RunningServer;
let client: LineClient;
let env: Record<string, string>;
let source: string;

beforeAll(async () => {
  data = await makeDataFolder();
  away = await makeDataFolder();
  await restante(away, ["account", "add", THERE, "--password-stdin"], `${REMOTE_PASSWORD}\n`);
  server = await startServer(away);
  client = await connectImap(server.ports.imap!, THERE, REMOTE_PASSWORD);
  env = { NODE_EXTRA_CA_CERTS: join(away, "tls/localhost.pem"), RESTANTE_PASSWORD: PASSWORD };
  source = `imaps://${THERE}@localhost:${server.ports.imaps}`;
  await writeFile(join(data, "secret"), `${REMOTE_PASSWORD}\n`);
});
afterAll(async () => {
  client.end();
  await server.stop();
  await removeDataFolder(data);
  await removeDataFolder(away);
});

async function makeAccount(name: string): Promise<string> {
  const address = `${name}@example.org`;
  expect(await restante(data, ["account", "add", address], "", env)).toMatchObject({ code: 0 });
  return address;
}

function bring(address: string, ...more: string[]): ReturnType<typeof restante> {
  return restante(data, ["import", source, address, "--source-password-file", "secret", ...more], "", env);
}

async function append(mailbox: string, text: string, before = ""): Promise<void> {
  const answer = await client.command(`APPEND "${mailbox}" ${before}{${text.length}+}\r\n${text}`);
  expect(answer).toContain(" OK ");
}

function digestOf(text: string): string {
  return createHash("sha256").update(text, "latin1").digest("base64");
}

/** Each mail's mailbox, time, flags and octets. */
async function exported(folder: string, address: string, name: string, password: string): Promise<string[]> {
  const out = await restante(folder, ["export", address, `eml:${name}`], "", { RESTANTE_PASSWORD: password });
  expect(out).toMatchObject({ code: 0 });
  const mails: string[] = [];
  for (const file of (await readdir(join(folder, name), { recursive: true })).filter((path) => path.endsWith(".jsonl")))
    for (const line of (await readFile(join(folder, name, file), "utf8")).trim().split("\n")) {
      const mailbox = file.slice(0, -"/.restante.jsonl".length);
      const facts = JSON.parse(line) as { file: string; receivedMs: number; flags: string[] };
      const text = await readFile(join(folder, name, mailbox, facts.file), "latin1");
      // IMAP tells seconds.
      const seconds = Math.floor(facts.receivedMs / 1000);
      mails.push(JSON.stringify([mailbox, seconds, [...facts.flags].sort(), text.slice(0, 800), digestOf(text)]));
    }
  return mails.sort();
}

test("mail of another server comes in with flags, dates and folders, once, and goes on where it stood", async () => {
  for (const command of [
    "CREATE Archiv/2026",
    "CREATE Entw&APw-rfe",
    "UNSUBSCRIBE Archiv/2026",
    "RENAME Sent Gesendet",
    "CREATE Leer",
    "SUBSCRIBE Leer",
    "SUBSCRIBE Entw&APw-rfe",
  ])
    expect(await client.command(command)).toContain(" OK ");
  await append("INBOX", "Subject: 1\r\n\r\nx\r\n", '(\\Seen $Forwarded todo) "02-Feb-2026 10:11:12 +0100" ');
  await append("INBOX", "Subject: 2\n\nbare\n");
  await append("INBOX", "Subject: 2\n\nbare\n");
  await append("Archiv/2026", "Subject: 3\r\n\r\n\u00e9\r\n", "(\\Flagged) ");
  await append("Entw&APw-rfe", `Subject: 4\r\n\r\n${"large\r\n".repeat(40_000)}`, "(\\Draft) ");
  await append("Gesendet", "Subject: 5\r\n\r\n.\r\n", "(\\Answered) ");
  const address = await makeAccount("once");
  expect(await bring(address)).toMatchObject({
    code: 0,
    out: "6 messages imported into 10 mailboxes, 0 were there already\n",
    err: "",
  });
  const there = await exported(away, THERE, "all", REMOTE_PASSWORD);
  const here = await exported(data, address, "all", PASSWORD);
  // A special use is what a mailbox is there for, whatever its name.
  expect(here).toEqual(there.map((line) => line.replace('["Gesendet"', '["Sent"')).sort());
  const subscribed = (await readFile(join(data, "all/.subscriptions"), "utf8")).split("\n");
  expect(subscribed).toEqual(expect.arrayContaining(["Entwürfe", "Leer"]));
  expect(subscribed).not.toContain("Archiv/2026");

  expect(await bring(address)).toMatchObject({ code: 0, out: expect.stringMatching(/^0 messages .*, 0 were there/) });
  await append("INBOX", "Subject: new\r\n\r\nx\r\n");
  // Another UIDVALIDITY: all is looked at anew, and what is there is known.
  await client.command("DELETE Archiv/2026");
  await client.command("CREATE Archiv/2026");
  await append("Archiv/2026", "Subject: other\r\n\r\nx\r\n");
  expect(await bring(address)).toMatchObject({ code: 0, out: expect.stringMatching(/^2 messages imported/) });
  // Into another place it is another import.
  expect(await bring(address, "--mailbox", "Old")).toMatchObject({
    out: expect.stringMatching(/^7 messages imported/),
  });
});

test("what a crash left unrecorded is known by itself", async () => {
  const address = await makeAccount("killed");
  const count = 700;
  await client.command("CREATE Many");
  for (let n = 0; n < count; n++) await append("Many", messageOf(`m1x${n}`));
  const child = spawnRestante(data, ["import", source, address, "--source-password-file", "secret"], env);
  const ended = once(child, "exit");
  const server2 = await startServer(data);
  const watcher = await connectImap(server2.ports.imap!, address, PASSWORD);
  const stored = async (): Promise<number> =>
    Number(/MESSAGES (\d+)/.exec(await watcher.command("STATUS Many (MESSAGES)"))?.[1] ?? 0);
  while ((await stored()) < 200 && child.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 5));
  child.kill("SIGKILL");
  await ended;
  const before = await stored();
  const { code, out } = await bring(address, "--json");
  expect(code).toBe(0);
  expect(before).toBeGreaterThan(0);
  expect(await stored()).toBe(count);
  expect((JSON.parse(out) as { imported: number }).imported).toBeLessThan(count + 12);
  watcher.end();
  await server2.stop();
  await client.command("DELETE Many");
});

test("a connection that is lost is made again, and nothing is doubled", async () => {
  const address = await makeAccount("lost");
  const count = 700;
  await client.command("CREATE Lost");
  for (let n = 0; n < count; n++) await append("Lost", messageOf(`l1x${n}`));
  const child = spawnRestante(data, ["import", source, address, "--source-password-file", "secret"], env);
  const ended = once(child, "exit");
  let err = "";
  child.stderr.on("data", (chunk: Buffer) => {
    err += chunk.toString();
  });
  const watching = await startServer(data);
  const watcher = await connectImap(watching.ports.imap!, address, PASSWORD);
  const stored = async (): Promise<number> =>
    Number(/MESSAGES (\d+)/.exec(await watcher.command("STATUS Lost (MESSAGES)"))?.[1] ?? 0);
  while ((await stored()) < 200 && child.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 5));
  client.end();
  await server.kill();
  server = await startServer(away, { env: { RESTANTE_IMAPS_LISTEN: `127.0.0.1:${server.ports.imaps}` } });
  client = await connectImap(server.ports.imap!, THERE, REMOTE_PASSWORD);
  expect(await ended).toEqual([0, null]);
  expect(err).toMatch(/trying again in 5 s/);
  expect(await stored()).toBe(count);
  watcher.end();
  await watching.stop();
  await client.command("DELETE Lost");
});

test("--follow brings what comes until it is ended", async () => {
  const address = await makeAccount("follow");
  const child = spawnRestante(data, ["import", source, address, "--follow", "--source-password-file", "secret"], env);
  let err = "";
  const told = async (text: RegExp): Promise<void> => {
    while (!text.test(err)) await once(child.stderr, "data");
  };
  child.stderr.on("data", (chunk: Buffer) => {
    err += chunk.toString();
  });
  let out = "";
  child.stdout.on("data", (chunk: Buffer) => {
    out += chunk.toString();
  });
  const ended = once(child, "exit");
  await told(/waiting for more\n/);
  err = "";
  await new Promise((resolve) => setTimeout(resolve, 200));
  const lmtp = await connectLmtp(server.ports.lmtp!);
  const delivered = performance.now();
  await deliver(lmtp, [THERE], "Subject: ping\r\n\r\nhello\r\n");
  lmtp.end();
  await told(/waiting for more\n/);
  // By IDLE, and not by the look that comes each two minutes.
  expect(performance.now() - delivered).toBeLessThan(60_000);
  // The other server goes away, and comes back.
  await server.kill();
  await told(/trying again in 5 s\n/);
  err = "";
  server = await startServer(away, { env: { RESTANTE_IMAPS_LISTEN: `127.0.0.1:${server.ports.imaps}` } });
  const again = await connectLmtp(server.ports.lmtp!);
  await deliver(again, [THERE], "Subject: pong\r\n\r\nhello\r\n");
  again.end();
  await told(/waiting for more\n/);
  child.kill("SIGTERM");
  expect(await ended).toEqual([0, null]);
  expect(out).toMatch(/^\d+ messages imported/);
  const mails = await exported(data, address, "followed", PASSWORD);
  for (const subject of ["ping", "pong"])
    expect(mails.filter((line) => line.includes(`Subject: ${subject}`))).toHaveLength(1);
});

test.each([
  [{ "source-password": "wrong-password-here" }, 1, /localhost refuses the password of ada@provider\.example/],
  [{ ca: "" }, 3, /localhost: .*certificate.*NODE_EXTRA_CA_CERTS/],
  [{ source: "imaps://x@localhost:1" }, 3, /localhost: .*it goes on where it stood/],
  [{ source: "imaps://x:secret@localhost" }, 2, /a source is/],
  [{ source: "mbox:secret", follow: "" }, 2, /--follow .* imaps/],
] as const)("%j ends with %i and a sentence", async (change: Record<string, string>, code, text) => {
  await makeAccount("refused").catch(() => undefined);
  const settings: Record<string, string> = {
    ...env,
    RESTANTE_SOURCE_PASSWORD: change["source-password"] ?? REMOTE_PASSWORD,
  };
  if (change.ca !== undefined) settings.NODE_EXTRA_CA_CERTS = change.ca;
  const follow = change.follow === undefined ? [] : ["--follow"];
  const args = ["import", change.source ?? source, "refused@example.org", ...follow];
  const result = await restante(data, args, "", settings);
  expect(result).toMatchObject({ code, out: "" });
  expect(result.err).toMatch(text);
  expect(result.err).not.toContain("    at ");
});
