// Kit of the engine's benches.
import { join } from "node:path";
import { openLog } from "../src/account/open-log.ts";
import type { Platform } from "../src/account/platform.ts";
import { FOLDERS } from "../src/account/sign-in/sign-up.ts";
import { accountPrefix } from "../src/account/sign-in/users.ts";
import { makeRing, type Ring, ready } from "../src/crypto/index.ts";
import { Mail } from "../src/mail/mail.ts";
import { nodePlatform } from "../src/node/crypto-platform.ts";
import { openEmbeddedStore } from "../src/node/embedded/store.ts";
import type { ObjectStore } from "../src/storage/object-store.ts";

await ready;
export const crypto: ReturnType<typeof nodePlatform> = nodePlatform();
export const platform: Platform = {
  crypto,
  now: Date.now,
  monotonic: () => performance.now(),
  delay: (ms) => new Promise((resolve) => setTimeout(resolve, ms).unref()),
  breathe: () => new Promise((resolve) => setImmediate(resolve)),
  trustedHosts: [],
  log: (event) => console.error(event),
};
export const openStore = (folder: string): Promise<ObjectStore> =>
  openEmbeddedStore({
    folder: join(folder, "store"),
    onFatal(message) {
      throw new Error(message);
    },
  });

/** The keys of a new account of this store, without the slow slots. */
export async function makeAccount(store: ObjectStore): Promise<Ring> {
  const ring = makeRing(crypto);
  const { bay } = await openLog(store, accountPrefix(ring), platform, ring);
  await new Mail(bay, platform.now).push({ kind: "begin", seconds: 1_700_000_000, folders: FOLDERS });
  await bay.dispose();
  return ring;
}
