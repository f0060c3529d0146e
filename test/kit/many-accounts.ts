import { join } from "node:path";
import { type Platform, ready, signUp } from "@restante/engine";
import { nodePlatform, openEmbeddedStore, UsersFolder } from "@restante/engine/node";
import { readOrMakeKey } from "@restante/host";

/**
 * `node many-accounts.ts DATA COUNT PASSWORD`: makes user1@many.example, user2… in the embedded store of a data folder that no
 * server uses meanwhile, in one process: `restante account add` is a process each.
 */
const [data, count, password] = process.argv.slice(2) as [string, string, string];
await ready;
const crypto = nodePlatform();
const onFatal = (message: string): never => {
  throw new Error(message);
};
const store = await openEmbeddedStore({ folder: join(data, "store"), reserveBytes: 0, onFatal });
const platform: Platform = {
  crypto,
  now: Date.now,
  monotonic: () => performance.now(),
  delay: (ms) => new Promise((resolve) => setTimeout(resolve, ms).unref()),
  breathe: () => new Promise((resolve) => setImmediate(resolve)),
  every: () => () => undefined,
  trustedHosts: [],
  log: () => undefined,
};
const users = new UsersFolder(join(data, "users"));
const pepper = await readOrMakeKey(join(data, "keys", "pepper"), 32);
for (let n = 1; n <= Number(count); n++)
  await signUp({ store, users, platform, pepper }, `user${n}@many.example`, password);
await store.dispose();
await crypto.dispose();
