import { asStoreFailure } from "../../bay/store-failure.ts";
import type { ObjectStore } from "../../storage/object-store.ts";
import { generationOf } from "./slots.ts";

/** True if a slot is still in the store: the same password sealed again has another slot of its generation. Errors:
 * `unavailable`. */
export async function slotExists(store: ObjectStore, prefix: string, slot: string): Promise<boolean> {
  const kind = generationOf(slot) === undefined ? slot : slot.slice(0, slot.lastIndexOf("-") + 1);
  const { objects } = await asStoreFailure(store.list(prefix + kind, { limit: 1 }));
  return objects.length > 0;
}
