// Octets that a checkpoint writes after a few changes: node bench/checkpoints.ts FOLDER, a folder that `RESTANTE_BENCH_FOLDER=… node
// bench/size.ts N` made. Also milliseconds, and the longest turn of the event loop.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { Account } from "../src/account/account.ts";
import { AccountSession } from "../src/account/session.ts";
import { decodeRing } from "../src/crypto/index.ts";
import { crypto, openStore, platform } from "./kit.ts";

const folder = process.argv[2]!;
const store = await openStore(folder);
let octets = 0;
for (const name of ["put", "putIfAbsent"] as const) {
  const put = store[name].bind(store) as (name: string, content: Uint8Array, options?: object) => Promise<never>;
  store[name] = (name: string, content: Uint8Array | AsyncIterable<Uint8Array>, options?: object) => {
    if (content instanceof Uint8Array) octets += content.length;
    return put(name, content as Uint8Array, options);
  };
}
const account = await Account.open({ store, platform }, decodeRing(new Uint8Array(readFileSync(join(folder, "ring")))));
const session = new AccountSession({ address: "" }, account, () => undefined);
await session.refresh();
const inbox = session.getMailbox("INBOX").id;
// An older one is made anew first.
await account.upkeep.checkpoint();

async function measure(what: string, change: () => Promise<unknown>): Promise<void> {
  await change();
  octets = 0;
  const blocked = monitorEventLoopDelay({ resolution: 1 });
  blocked.enable();
  const begun = performance.now();
  await account.upkeep.checkpoint();
  const ms = performance.now() - begun;
  blocked.disable();
  console.log(
    `${what}: ${(octets / 1000).toFixed(0)} kB in ${ms.toFixed(0)} ms, longest turn ${(blocked.max / 1e6).toFixed(0)} ms`,
  );
}

const view = session.openView(inbox, { readOnly: false });
const middle = view.length >> 1;
console.log(`${view.length} messages`);
await measure("nothing", async () => undefined);
await measure("one flag", () => view.setFlags([middle], { mode: "add", flags: ["\\Flagged"] }));
await measure("ten flags here and there", () =>
  view.setFlags(
    Array.from({ length: 10 }, (_, n) => Math.floor((view.length * n) / 10)),
    { mode: "add", flags: ["\\Answered"] },
  ),
);
await measure("one expunge", async () => {
  await view.setFlags([middle], { mode: "add", flags: ["\\Deleted"] });
  await view.expunge([middle]);
});
session.close();
await account.dispose();
await store.dispose();
await crypto.dispose();
