import { createECDH, randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { makeCertificate } from "@restante/host/certificate-kit";
import { decrypt } from "http_ece";
import { afterAll, beforeAll, expect, test } from "vitest";
import { JmapClient, type Json } from "../kit/jmap-client.ts";
import { connectLmtp, deliver } from "../kit/line-client.ts";
import { DEMO, makeDataFolder, type RunningServer, removeDataFolder, restante, startServer } from "../kit/server.ts";

/** A phone, its push service, and a server of which nobody is signed in: processes of their own. */
const WAKEN_MS_MAX = 1_000;
let data: string;
let service: Server;
/** Messages that the phone heard, and when. */
const heard: { readonly message: Json; readonly at: number }[] = [];
const phone = createECDH("prime256v1");
const keys = { p256dh: phone.generateKeys(), auth: randomBytes(16) };
let status = 201;
let env: Readonly<Record<string, string>>;
const started: RunningServer[] = [];

async function start(only: string, more: Readonly<Record<string, string>> = {}): Promise<RunningServer> {
  const server = await startServer(data, { args: ["--only", only], env: { ...env, ...more } });
  started.push(server);
  return server;
}

async function post(lmtp: RunningServer, subject: string): Promise<void> {
  const client = await connectLmtp(lmtp.ports.lmtp!);
  expect(await deliver(client, [DEMO.user], `Subject: ${subject}\r\n\r\nhello\r\n`)).toEqual([
    expect.stringMatching(/^250 /),
  ]);
  client.end();
}

beforeAll(async () => {
  data = await makeDataFolder();
  const made = await makeCertificate(["localhost"]);
  await writeFile(join(data, "push-ca.pem"), made.cert);
  service = createServer(made, (request, respond) => {
    const pieces: Buffer[] = [];
    request.on("data", (piece: Buffer) => pieces.push(piece));
    request.on("end", () => {
      const at = performance.now();
      const authSecret = keys.auth.toString("base64url");
      const plain = decrypt(Buffer.concat(pieces), { version: "aes128gcm", privateKey: phone, authSecret });
      heard.push({ message: JSON.parse(plain.toString()), at });
      respond.writeHead(status).end();
    });
  });
  await new Promise<void>((resolve) => service.listen(0, "127.0.0.1", resolve));
  const first = await startServer(data, { env: { RESTANTE_HTTPS_TLS: "off" } });
  expect(await first.stop()).toBe(0);
  env = {
    RESTANTE_HTTPS_TLS: "off",
    RESTANTE_PUSH_ALLOW: "localhost",
    RESTANTE_PUSH_CA_FILE: join(data, "push-ca.pem"),
    RESTANTE_PUSH_CONTACT: "mailto:postmaster@example.org",
  };
});
afterAll(async () => {
  for (const server of started) await server.stop();
  service.closeAllConnections();
  service.close();
  await removeDataFolder(data);
});

test("a phone is woken by a process without keys, and by nothing once its service knows it no more", async () => {
  const front = await start("https");
  let send = await start("send");
  const client = await JmapClient.connect(front.ports.https!);
  const { port } = service.address() as AddressInfo;
  const text = (bytes: Buffer): string => bytes.toString("base64url");
  const asked = {
    deviceClientId: "phone",
    url: `https://localhost:${port}/push`,
    keys: { p256dh: text(keys.p256dh), auth: text(keys.auth) },
    types: ["EmailDelivery"],
  };
  const made = await client.call("PushSubscription/set", { create: { a: asked } });
  const { id } = made.created.a;
  await expect.poll(() => heard.length, { timeout: 10_000 }).toBe(1);
  const { verificationCode, pushSubscriptionId } = heard[0]!.message;
  expect(pushSubscriptionId).toBe(id);
  const verified = await client.call("PushSubscription/set", { update: { [id]: { verificationCode } } });
  expect(verified.updated).toEqual({ [id]: null });
  await front.stop();
  const lmtp = await start("lmtp");
  const times: number[] = [];
  for (let n = 0; n < 5; n++) {
    const before = heard.length;
    const began = performance.now();
    await post(lmtp, `${n}`);
    await expect.poll(() => heard.length, { timeout: 10_000, interval: 5 }).toBeGreaterThan(before);
    times.push(Math.round(heard.at(-1)!.at - began));
  }
  process.stdout.write(`woken after ${times} ms\n`);
  expect(Math.min(...times)).toBeLessThan(WAKEN_MS_MAX);
  expect(Object.keys(heard.at(-1)!.message.changed[client.accountId])).toEqual(["EmailDelivery"]);

  const list = ["mandate", "list", DEMO.user, "--password-stdin"];
  const listed = await restante(data, list, `${DEMO.password}\n`, env);
  expect(listed).toMatchObject({ code: 0, out: expect.stringMatching(/ {2}push .* {2}phone\n$/) });

  // A new process has not forgotten it, and lets nobody inside the house without leave.
  await send.stop();
  send = await start("send", { RESTANTE_PUSH_ALLOW: "10.0.0.1" });
  const before = heard.length;
  await post(lmtp, "inside");
  await expect.poll(() => send.logs(), { timeout: 10_000 }).toContain("a device was not woken");
  expect(heard).toHaveLength(before);
  await send.stop();
  send = await start("send");
  status = 410;
  await post(lmtp, "gone");
  await expect.poll(() => send.logs(), { timeout: 10_000 }).toContain("HTTP 410");
  await expect
    .poll(async () => (await restante(data, list, `${DEMO.password}\n`, env)).out, { timeout: 20_000 })
    .toBe("");
});
