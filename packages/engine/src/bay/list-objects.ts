import type { ObjectStore, StoreOptions } from "../storage/object-store.ts";
import { asStoreFailure } from "./store-failure.ts";

const LISTED_AT_ONCE = 1000;

export interface ListedObject {
  readonly name: string;
  readonly size: number;
  readonly created: number;
  /** The store's date of the listing. */
  readonly now: number;
}

/** All objects whose names begin with `prefix`, in order. Errors: `unavailable` when the store can't be listed. */
export async function* listObjects(
  store: ObjectStore,
  prefix: string,
  options: StoreOptions = {},
): AsyncGenerator<ListedObject> {
  for (let after = ""; ; ) {
    const { objects, now } = await asStoreFailure(store.list(prefix, { ...options, after, limit: LISTED_AT_ONCE }));
    for (const object of objects) yield { ...object, now };
    if (objects.length < LISTED_AT_ONCE) return;
    after = objects.at(-1)!.name;
  }
}
