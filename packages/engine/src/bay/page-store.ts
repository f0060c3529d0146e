import { EngineError } from "../errors.ts";
import { folderOf } from "../storage/object-kinds.ts";
import type { ObjectStore } from "../storage/object-store.ts";
import { hexText } from "./entry.ts";
import type { Sealer } from "./machine.ts";
import { serial } from "./serial.ts";
import type { PageStore } from "./snapshots.ts";
import { asStoreFailure } from "./store-failure.ts";

const WRITE = { priority: "bulk", essential: true } as const;

export interface PageStoreOptions {
  readonly store: ObjectStore;
  readonly prefix: string;
  readonly sealer: Sealer;
  readonly random: (bytes: number) => Uint8Array;
  /** Lets the event loop turn once. */
  readonly breathe?: (() => Promise<void>) | undefined;
}

/** Sealed pages under `page/`, each of a random name that it is bound to, and packs under `pack/`. Pages are asked for
 * at once, and opened one in a turn of the event loop: an account of a million messages has five hundred. */
export function createPageStore({ store, prefix, sealer, random, breathe }: PageStoreOptions): PageStore {
  const inTurn = serial();
  return {
    async write(kind, content) {
      const name = `${folderOf("page")}${hexText(random(16))}`;
      await asStoreFailure(store.put(prefix + name, sealer.seal(kind, name, content), WRITE));
      return name;
    },
    async read(kind, name) {
      const got = await asStoreFailure(store.get(prefix + name));
      if (!got.found) throw new EngineError("corrupt", "a page is missing in the store");
      return inTurn(async () => {
        await breathe?.();
        return sealer.open(kind, name, got.bytes);
      });
    },
    packName: () => `${folderOf("pack")}${hexText(random(16))}`,
    async putPack(name, content) {
      await asStoreFailure(store.put(prefix + name, content, WRITE));
    },
  };
}
