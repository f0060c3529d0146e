import { hexText } from "../../bay/entry.ts";
import { listObjects } from "../../bay/list-objects.ts";
import { asStoreFailure } from "../../bay/store-failure.ts";
import { hash } from "../../crypto/index.ts";
import { EngineError } from "../../errors.ts";
import { type ObjectStore, StoreError } from "../../storage/object-store.ts";
import { partOfMail } from "../outbound/queue.ts";

/** An object as whoever has the store sees it; `hash` is BLAKE2b-256 in hex, absent if its bytes are not to be had. */
export interface SealedObject {
  readonly name: string;
  readonly size: number;
  readonly hash?: string;
  readonly problem?: string;
}

/** How long a process may take from a mail's octets to its place in the queue, or from its end to the end of its objects. */
const UNDER_WAY_MS: number = 60 * 60_000;

/**
 * The operator's check: every object, in order of names, read whole and hashed, with no key. Two lists of one store,
 * or of a store and its backup, can be compared line by line. `onLeftover` is told of objects of mails that wait no more, which killed
 * processes left: they are no damage, and go within a week. Errors: `unavailable` when the store can't be listed.
 */
export async function* checkSealed(
  store: ObjectStore,
  onLeftover: (name: string) => void = () => undefined,
): AsyncGenerator<SealedObject> {
  const parts = new Map<string, string[]>();
  for await (const { name, size, created, now } of listObjects(store, "")) {
    const object = await readSealed(store, name, size);
    if (!object) continue;
    yield object;
    const part = partOfMail(name);
    // Names of the queue come after those of its mails' other objects.
    if (part?.isPlace) parts.delete(part.id);
    else if (part && now - created >= UNDER_WAY_MS) parts.set(part.id, [...(parts.get(part.id) ?? []), name]);
  }
  // A mail may have ended meanwhile, and its objects with it.
  for (const name of [...parts.values()].flat())
    if ((await asStoreFailure(store.get(name, { start: 0, end: 1 }))).found) onLeftover(name);
}

/** Undefined if it was deleted since it was listed. */
async function readSealed(store: ObjectStore, name: string, size: number): Promise<SealedObject | undefined> {
  try {
    const got = await asStoreFailure(store.get(name));
    if (!got.found) return undefined;
    const sealed = { name, size: got.bytes.length, hash: hexText(hash(got.bytes)) };
    return got.bytes.length === got.size ? sealed : { ...sealed, problem: "has another size than the store says" };
  } catch (error) {
    // The store's own words are for its operator, who runs this check.
    if (error instanceof EngineError)
      return { name, size, problem: error.cause instanceof StoreError ? error.cause.message : error.message };
    throw error;
  }
}
