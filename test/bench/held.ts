import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { OutboundQueue, ready, Sender } from "@restante/engine";
import { nodePlatform } from "@restante/engine/node";
import { benchPlatform, openBenchStore } from "./in-process.ts";

/**
 * `node --expose-gc held.ts COUNT`: how many octets a sender holds for so many mails that are held until tomorrow, and how many
 * requests its start takes.
 */
const count = Number(process.argv[2]);
const DAY_MS = 24 * 60 * 60_000;
await ready;
const folder = await mkdtemp(join(tmpdir(), "restante-held-"));
const crypto = nodePlatform();
const store = await openBenchStore(folder);
const serverKey = randomBytes(32);
const platform = benchPlatform(crypto, { trustedHosts: [], log: ({ event, error }) => console.error(event, error) });
const requests: string[] = [];
const counted = new Proxy(store, {
  get(target, name) {
    const value = Reflect.get(target, name) as unknown;
    if (typeof value !== "function") return value;
    return (...args: unknown[]) => {
      requests.push(`${String(name)} ${args[0]}`);
      return (value as (...all: unknown[]) => unknown).apply(target, args);
    };
  },
});
const queue = new OutboundQueue({ store: counted, platform, serverKey });
const one = { account: randomBytes(16), address: "demo@example.org", envid: "0".repeat(32), madeMs: Date.now() };
const recipients = [{ address: "x@sink.example", notify: undefined }];
async function* message(): AsyncGenerator<Uint8Array> {
  yield Buffer.alloc(8192, 0x61);
}
const put = async (n: number): Promise<void> => {
  const place = { id: randomBytes(16).toString("hex"), releaseMs: Date.now() + DAY_MS + n };
  const envelope = { mailFrom: one.address, recipients };
  await queue.put({ ...one, ...place, envelope, needsUtf8: false, isSentByMaker: false }, message());
};
for (let n = 0; n < count; n += 100) await Promise.all(Array.from({ length: 100 }, (_, k) => put(n + k)));
requests.length = 0;

const settledHeap = async (): Promise<number> => {
  for (let turn = 0; turn < 4; turn++) {
    await delay(100);
    globalThis.gc!();
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
};
const before = await settledHeap();
const nobody = async (): Promise<never> => {
  throw new Error("nothing is due");
};
const sender = new Sender({
  queue,
  platform,
  giveUpMs: DAY_MS,
  isDeleted: async () => false,
  transport: { send: nobody },
  reporter: { report: nobody, tellSender: nobody },
});
const begun = performance.now();
sender.start();
while (sender.waitingCount < count) await delay(1);
const listedMs = performance.now() - begun;
const octets = (await settledHeap()) - before;
const ofQueue = requests.filter((request) => request === "list outbound/queue/").length;
console.log(
  JSON.stringify({ octets, listedMs, ofQueue, others: requests.length - ofQueue, kinds: [...new Set(requests)] }),
);
await sender.stop();
await store.dispose();
await crypto.dispose();
await rm(folder, { recursive: true });
