import { setTimeout as delay } from "node:timers/promises";
import type { ObjectStore, Platform } from "@restante/engine";
import { type nodePlatform, openEmbeddedStore } from "@restante/engine/node";

/** The engine inside a bench's own process: its store, and a platform that does nothing by itself. */
export function openBenchStore(folder: string): Promise<ObjectStore> {
  const onFatal = (message: string): never => {
    throw new Error(message);
  };
  return openEmbeddedStore({ folder, reserveBytes: 0, onFatal });
}

export function benchPlatform(
  crypto: ReturnType<typeof nodePlatform>,
  { trustedHosts, log }: Pick<Platform, "trustedHosts" | "log">,
): Platform {
  return {
    crypto,
    now: Date.now,
    monotonic: () => performance.now(),
    // A delay that is ended early is over all the same.
    delay: (ms, signal) => delay(ms, undefined, { ref: false, ...(signal && { signal }) }).catch(() => undefined),
    breathe: () => new Promise((resolve) => setImmediate(resolve)),
    every: () => () => undefined,
    trustedHosts,
    log,
  };
}
