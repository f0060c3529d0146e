import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MemoryPlace, type Operation } from "../storage/memory.ts";
import type { ObjectStore } from "../storage/object-store.ts";
import { RecentStore } from "../storage/recent-store.ts";
import { clock } from "../testing/account-kit.ts";
import { S3Double, type S3Request } from "../testing/s3-double.ts";
import { BlockCache } from "./cache/block-cache.ts";
import { CachedStore } from "./cache/cached-store.ts";
import { S3_LIMITS, type S3Limits } from "./s3/settings.ts";
import { openS3Store } from "./s3/store.ts";

/** Cost of some work on a place: requests by kind, and round trips in sequence. */
export type Cost = { readonly trips: number } & Partial<Readonly<Record<string, number>>>;

/** A place whose requests are counted. */
export interface CountedPlace extends AsyncDisposable {
  open(): ObjectStore;
  /** Stores that are opened from now on have nothing in a cache, as on a new host. */
  emptyCache(): Promise<void>;
  count(work: () => Promise<unknown>): Promise<Cost>;
  /** Puts all of another place's objects there. */
  fill(from: MemoryPlace): void;
}

/** A clock that moves when nothing else does: who asks waits for its next tick, so that ticks are round trips. */
class Rounds {
  ticks = 0;
  #waiting: (() => void)[] = [];
  #timer: NodeJS.Timeout | undefined;
  readonly #quietMs: number;

  constructor(quietMs: number) {
    this.#quietMs = quietMs;
  }

  next(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#wait();
    });
  }

  #wait(): void {
    clearTimeout(this.#timer);
    const seen = this.#waiting.length;
    // Requests that came while the event loop was busy are seen after its timers.
    const look = (): void => void setImmediate(() => setImmediate(() => this.#advance(seen)));
    this.#timer = setTimeout(look, this.#quietMs);
  }

  #advance(seen: number): void {
    if (this.#waiting.length !== seen) return;
    this.ticks++;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

/** Counts of what happens while `work` runs. */
async function costOf(rounds: Rounds, counts: () => Readonly<Record<string, number>>, work: () => Promise<unknown>) {
  const [before, { ticks }] = [counts(), { ticks: rounds.ticks }];
  await work();
  const made = Object.entries(counts()).map(([kind, count]) => [kind, count - (before[kind] ?? 0)] as const);
  return { trips: rounds.ticks - ticks, ...Object.fromEntries(made.filter(([, count]) => count > 0)) };
}

/** The memory double: its operations are requests. */
export function memoryCounted(): CountedPlace {
  const place = new MemoryPlace(() => clock.now++);
  const rounds = new Rounds(2);
  return {
    open() {
      const store = place.open();
      for (const name of ["put", "putIfAbsent", "get", "list", "delete"] as const satisfies readonly Operation[]) {
        const request = store[name].bind(store) as (...args: unknown[]) => Promise<unknown>;
        Object.assign(store, {
          [name]: async (...args: unknown[]) => {
            await rounds.next();
            return request(...args);
          },
        });
      }
      return store;
    },
    count: (work) => costOf(rounds, () => ({ ...place.counts }), work),
    fill(from) {
      for (const [name, stored] of from.objects) place.objects.set(name, stored);
    },
    emptyCache: async () => undefined,
    [Symbol.asyncDispose]: async () => undefined,
  };
}

/** Nobody looks by itself for what others wrote, and all that is asked for at once goes out at once. */
export const UNHINDERED: S3Limits = { ...S3_LIMITS, pollUrgentMs: 2 ** 30, pollMs: 2 ** 30 };

/** The S3 backend on the S3 double, where HTTP requests are counted, behind what `restante serve` keeps near. */
export async function s3Counted(limits: S3Limits = UNHINDERED): Promise<CountedPlace & { readonly double: S3Double }> {
  const double = await S3Double.start();
  const rounds = new Rounds(20);
  const bucket = await openS3Store(double.settings, limits);
  const cacheFolder = (): Promise<string> => mkdtemp(join(tmpdir(), "restante-cache-"));
  const folders = [await cacheFolder()];
  let counting = false;
  double.now = () => clock.now++;
  double.hold = async () => {
    if (counting) await rounds.next();
  };
  const counts = (): Record<string, number> => {
    const made: Record<string, number> = {};
    for (const request of double.requests) made[kindOf(request)] = (made[kindOf(request)] ?? 0) + 1;
    return made;
  };
  return {
    double,
    // Each is as good as a process of its own, but that they share connections.
    open() {
      const warn = (error: unknown): never => {
        throw error;
      };
      return new RecentStore(new CachedStore(bucket, new BlockCache(folders.at(-1)!, 2 ** 30, warn)));
    },
    async emptyCache() {
      folders.push(await cacheFolder());
    },
    async count(work) {
      counting = true;
      try {
        return await costOf(rounds, counts, work);
      } finally {
        counting = false;
      }
    },
    fill(from) {
      for (const [name, { bytes, created }] of from.objects)
        double.objects.set(name, { bytes: Buffer.from(bytes), created });
    },
    async [Symbol.asyncDispose]() {
      await bucket.dispose();
      await double.stop();
      await Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true })));
    },
  };
}

/** The store's operation that an HTTP request belongs to. */
function kindOf({ method, key, query, creates }: S3Request): string {
  if (key === "" && method === "GET") return "list";
  if (key === "" && query.has("delete")) return "delete";
  if (method === "PUT") return creates ? "putIfAbsent" : "put";
  return method.toLowerCase();
}
