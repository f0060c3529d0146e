import { hexText } from "../../bay/entry.ts";
import { listObjects } from "../../bay/list-objects.ts";
import { asStoreFailure } from "../../bay/store-failure.ts";
import { hash } from "../../crypto/index.ts";
import { EngineError } from "../../errors.ts";
import { type ObjectStore, StoreError } from "../../storage/object-store.ts";

/** An object as whoever has the store sees it; `hash` is BLAKE2b-256 in hex, absent if its bytes are not to be had. */
export interface SealedObject {
  readonly name: string;
  readonly size: number;
  readonly hash?: string;
  readonly problem?: string;
}

/**
 * The operator's check: every object, in order of names, read whole and hashed, with no key. Two lists of one store,
 * or of a store and its backup, can be compared line by line. Errors: `unavailable` when the store can't be listed.
 */
export async function* checkSealed(store: ObjectStore): AsyncGenerator<SealedObject> {
  for await (const { name, size } of listObjects(store, "")) {
    const object = await readSealed(store, name, size);
    if (object) yield object;
  }
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
