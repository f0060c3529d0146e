import { EngineError } from "../errors.ts";
import { entryName, FENCE, isFence } from "./entry.ts";
import { LIST_ENTRIES_MAX, type LogPlace, listCheckpoints, listEntries } from "./log-objects.ts";
import { asStoreFailure } from "./store-failure.ts";

/** How often the log's end is looked for anew because it was trimmed meanwhile. */
const TRIES = 5;
/** How many entries of others may be faster than the fence. */
const RACES_MAX = 1000;

type Place = Pick<LogPlace, "store" | "prefix">;

/** Where a log ends for good, and when it was ended, by the store's date. */
export interface Fence {
  readonly name: string;
  readonly created: number;
}

/** The log's fence, if it has one. Errors: `unavailable`; `not-found` where there is no log. */
export async function findFence(place: Place): Promise<Fence | undefined> {
  return fenceAt(place, await findHead(place));
}

/** Ends the log, unless it has ended. Errors: `unavailable`, `unknown-outcome` (both: call
 * again), `not-found` where there is no log. */
export async function fenceLog(place: Place): Promise<Fence> {
  for (let tries = 1; ; tries++) {
    const head = await findHead(place);
    const fence = await fenceAt(place, head);
    if (fence !== undefined) return fence;
    const next = place.prefix + entryName(head + 1);
    const { outcome, now } = await asStoreFailure(place.store.putIfAbsent(next, FENCE, { essential: true }));
    if (outcome === "stored") return { name: next, created: now };
    // Another entry was faster.
    if (tries === RACES_MAX) throw new EngineError("unavailable", "the account is written to without end");
  }
}

async function fenceAt({ store, prefix }: Place, entry: number): Promise<Fence | undefined> {
  const name = prefix + entryName(entry);
  const got = await asStoreFailure(store.get(name, { start: 0, end: FENCE.length + 1 }));
  return got.found && isFence(got.bytes) ? { name, created: got.created } : undefined;
}

/** The number of the log's last entry. Errors: `unavailable`; `not-found` where there is no log. */
export async function findHead(place: Place): Promise<number> {
  for (let tries = 1; ; tries++) {
    const { covers } = await listCheckpoints(place, 1);
    let head = covers[0] ?? 0;
    for (;;) {
      const entries = await listEntries(place, head);
      head = entries.at(-1) ?? head;
      if (entries.length < LIST_ENTRIES_MAX) break;
    }
    if (head > 0) return head;
    if (tries === TRIES) throw new EngineError("not-found", "there is no such account in the store");
  }
}
