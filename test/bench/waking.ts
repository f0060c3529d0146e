import { createECDH, randomBytes } from "node:crypto";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { makeCertificate } from "@restante/host/certificate-kit";
import { decrypt } from "http_ece";
import { JmapClient } from "../kit/jmap-client.ts";
import { connectLmtp, deliver } from "../kit/line-client.ts";
import { DEMO, makeDataFolder, type RunningServer, removeDataFolder, startServer } from "../kit/server.ts";

/** Deliveries of each kind: a subscription has twenty messages in a minute, and the first one is its code. */
const WOKEN = 9;
const WAKEN_MS_MAX = 10_000;
const PAUSE_MS = 100;

/** Rows on how long a delivery takes to a push service, whether its account is open in the process or not. */
export async function benchWaking(): Promise<readonly (readonly [string, string, string])[]> {
  const data = await makeDataFolder();
  const made = await makeCertificate(["localhost"]);
  await writeFile(join(data, "push-ca.pem"), made.cert);
  const phone = createECDH("prime256v1");
  const [p256dh, auth] = [phone.generateKeys(), randomBytes(16)];
  const heard: { readonly at: number; readonly body: Buffer }[] = [];
  const service = createServer(made, (request, respond) => {
    const at = performance.now();
    const pieces: Buffer[] = [];
    request.on("data", (piece: Buffer) => pieces.push(piece));
    request.on("end", () => {
      heard.push({ at, body: Buffer.concat(pieces) });
      respond.writeHead(201).end();
    });
  });
  service.listen(0, "127.0.0.1");
  await once(service, "listening");
  const next = async (count: number): Promise<number> => {
    const late = AbortSignal.timeout(WAKEN_MS_MAX);
    while (heard.length < count) {
      if (late.aborted) throw new Error("the phone was not woken");
      await delay(1);
    }
    return heard[count - 1]!.at;
  };
  const env = {
    RESTANTE_HTTPS_TLS: "off",
    RESTANTE_PUSH_ALLOW: "localhost",
    RESTANTE_PUSH_CA_FILE: join(data, "push-ca.pem"),
    RESTANTE_PUSH_CONTACT: "mailto:postmaster@example.org",
  };
  const wake = async (server: RunningServer): Promise<string> => {
    const lmtp = await connectLmtp(server.ports.lmtp!);
    const times: number[] = [];
    for (let n = 0; n < WOKEN; n++) {
      const count = heard.length;
      await deliver(lmtp, [DEMO.user], `From: a@x.org\r\nTo: ${DEMO.user}\r\nSubject: ${n}\r\n\r\nhello\r\n`);
      const answered = performance.now();
      times.push((await next(count + 1)) - answered);
      await delay(PAUSE_MS);
    }
    lmtp.end();
    times.sort((a, b) => a - b);
    return `${times[WOKEN >> 1]!.toFixed(1)} (farthest ${times.at(-1)!.toFixed(1)})`;
  };
  let server = await startServer(data, { env });
  try {
    const client = await JmapClient.connect(server.ports.https!);
    const { port } = service.address() as AddressInfo;
    const keys = { p256dh: p256dh.toString("base64url"), auth: auth.toString("base64url") };
    const subscription = {
      deviceClientId: "phone",
      url: `https://localhost:${port}/push`,
      keys,
      types: ["EmailDelivery"],
    };
    const { id } = (await client.call("PushSubscription/set", { create: { a: subscription } })).created.a;
    await next(1);
    const plain = decrypt(heard[0]!.body, { version: "aes128gcm", privateKey: phone, authSecret: keys.auth });
    const { verificationCode } = JSON.parse(plain.toString());
    await client.call("PushSubscription/set", { update: { [id]: { verificationCode } } });
    const open = await wake(server);
    // A new process has nobody signed in.
    await server.stop();
    server = await startServer(data, { env });
    const locked = await wake(server);
    return [
      ["LMTP's 250 to the request at the push service, its account open, ms", open, "50"],
      ["the same, nobody signed in", locked, "50"],
    ];
  } finally {
    await server.stop();
    service.closeAllConnections();
    service.close();
    await removeDataFolder(data);
  }
}
