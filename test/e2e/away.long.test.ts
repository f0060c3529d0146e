import { readdir, readFile, rm } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { JmapClient } from "../kit/jmap-client.ts";
import { connectLmtp, deliver } from "../kit/line-client.ts";
import { DEMO, makeDataFolder, type RunningServer, removeDataFolder, restante, startServer } from "../kit/server.ts";

/** An owner who is away, seen from outside: a process that only delivers, one that only sends, and nobody signed in. */
const USING = ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:vacationresponse"];
const MAIL = `From: bob@x.org\r\nTo: ${DEMO.user}\r\nSubject: are you there?\r\nMessage-ID: <1@x.org>\r\n\r\nhello\r\n`;

let data: string;
let sink: Server;
/** Envelopes and texts that the smarthost took. */
const taken: string[] = [];
const started: RunningServer[] = [];
let posted = 0;
let env: Readonly<Record<string, string>>;

/** A smarthost that takes everything. */
function takeAll(socket: Socket): void {
  let text = "";
  let isData = false;
  const say = (line: string): void => void socket.write(`${line}\r\n`);
  socket.on("error", () => undefined);
  say("220 sink");
  socket.on("data", (chunk: Buffer) => {
    text += chunk.toString("latin1");
    for (;;) {
      const end = isData ? text.indexOf("\r\n.\r\n") : text.indexOf("\r\n");
      if (end < 0) return;
      const line = text.slice(0, end);
      text = text.slice(end + (isData ? 5 : 2));
      taken.push(line);
      if (isData) say("250 2.0.0 taken");
      else if (/^DATA/i.test(line)) say("354 go on");
      else if (/^EHLO/i.test(line)) say("250 sink");
      else if (/^QUIT/i.test(line)) socket.end("221 bye\r\n");
      else say("250 ok");
      isData = /^DATA/i.test(line) && !isData;
    }
  });
}

async function start(only: string, more: Readonly<Record<string, string>> = {}): Promise<RunningServer> {
  const server = await startServer(data, { args: ["--only", only], env: { ...env, ...more } });
  started.push(server);
  return server;
}

async function post(lmtp: RunningServer, from: string): Promise<void> {
  const text = MAIL.replace("<1@", `<${++posted}@`);
  const client = await connectLmtp(lmtp.ports.lmtp!);
  expect(await deliver(client, [DEMO.user], text, from)).toEqual([expect.stringMatching(/^250 /)]);
  client.end();
}

/** The strings that a process has in its memory. */
async function heapOf({ process: child }: RunningServer): Promise<string> {
  child.kill("SIGUSR2");
  const isHeap = (name: string): boolean => name.endsWith(".heapsnapshot");
  const find = async (): Promise<string> => (await readdir(data)).find(isHeap) ?? "";
  await expect.poll(find, { timeout: 30_000 }).not.toBe("");
  const path = join(data, await find());
  // It is written in pieces.
  await expect
    .poll(async () => (await readFile(path, "utf8")).trimEnd().endsWith("]}"), { timeout: 60_000 })
    .toBe(true);
  return readFile(path, "utf8");
}

const answers = (): string[] => taken.filter((line) => line.includes("Auto-Submitted:"));

beforeAll(async () => {
  data = await makeDataFolder();
  sink = createServer(takeAll);
  await new Promise<void>((resolve) => sink.listen(0, "127.0.0.1", resolve));
  // The first start makes the demo account.
  const first = await startServer(data, { env: { RESTANTE_HTTPS_TLS: "off" } });
  expect(await first.stop()).toBe(0);
  const { port } = sink.address() as { readonly port: number };
  env = { RESTANTE_HTTPS_TLS: "off", RESTANTE_OUTBOUND_SMARTHOST: `smtp://127.0.0.1:${port}` };
});
afterAll(async () => {
  for (const server of started) await server.stop();
  sink.close();
  await removeDataFolder(data);
});

test("an owner who is away is answered for by processes without their keys, until they end it", async () => {
  const front = await start("https");
  const client = await JmapClient.connect(front.ports.https!);
  const vacation = { isEnabled: true, textBody: "gone fishing" };
  const set = await client.request([["VacationResponse/set", { update: { singleton: vacation } }, "0"]], USING);
  expect(set.methodResponses[0][1].updated).toEqual({ singleton: null });
  await front.stop();
  const watched = { NODE_OPTIONS: "--heapsnapshot-signal=SIGUSR2" };
  const [lmtp, send] = [await start("lmtp", watched), await start("send")];
  const began = performance.now();
  await post(lmtp, "bob@x.org");
  await expect.poll(answers, { timeout: 5_000, interval: 20 }).toHaveLength(1);
  process.stdout.write(`answered after ${Math.round(performance.now() - began)} ms\n`);
  expect(taken).toContain("MAIL FROM:<>");
  expect(taken.find((line) => line.startsWith("RCPT"))).toContain("<bob@x.org>");
  expect(answers()[0]).toContain("gone fishing");
  const heap = await heapOf(lmtp);
  // It has the words of its own work, so it would have others.
  expect([heap.includes("outbound/request/"), heap.includes("fishing")]).toEqual([true, false]);
  await post(lmtp, "bob@x.org");
  await post(lmtp, "list-request@x.org");
  await post(lmtp, "");
  await post(lmtp, "carol@x.org");
  await expect.poll(answers, { timeout: 20_000 }).toHaveLength(2);

  const listed = await restante(data, ["mandate", "list", DEMO.user, "--password-stdin"], `${DEMO.password}\n`, env);
  expect(listed).toMatchObject({ code: 0, out: expect.stringMatching(/^vacation {2}vacation /) });
  const end = ["mandate", "end", DEMO.user, "vacation", "--password-stdin"];
  expect(await restante(data, end, `${DEMO.password}\n`, env)).toMatchObject({ code: 0 });
  expect((await restante(data, end, `${DEMO.password}\n`, env)).code).not.toBe(0);
  const none = await restante(data, ["mandate", "list", DEMO.user, "--password-stdin"], `${DEMO.password}\n`, env);
  expect(none).toMatchObject({ code: 0, out: "" });
  await post(lmtp, "dave@x.org");
  await post(lmtp, "erin@x.org");
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  expect(answers()).toHaveLength(2);
  for (const server of [lmtp, send])
    for (const word of ["fishing", "bob@x.org"]) expect(server.logs()).not.toContain(word);
});

test("a process that only delivers needs no more than the server's public key", async () => {
  const key = Buffer.from(await readFile(join(data, "keys", "server.pub"), "utf8"), "base64");
  expect(key.length).toBe(1216);
  await rm(join(data, "keys", "server.pub"));
  const lmtp = await start("lmtp");
  await post(lmtp, "frank@x.org");
});
