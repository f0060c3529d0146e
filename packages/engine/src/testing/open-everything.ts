import { ringSealer } from "../account/keys/sealer.ts";
import { entryNumber, hexText, splitEntry } from "../bay/entry.ts";
import type { SealedKind } from "../bay/machine.ts";
import { manifestNumber } from "../bay/manifest.ts";
import {
  bodyContext,
  type CryptoPlatform,
  openNote,
  openObject,
  openPreamble,
  preambleLength,
  type Ring,
} from "../crypto/index.ts";
import { readPack } from "../mail/checkpoint/pack.ts";
import { bodyId } from "../mail/ops/names.ts";
import { kindIn } from "../storage/object-kinds.ts";

const PAGE_KINDS: readonly SealedKind[] = [
  "columns",
  "rows",
  "headers",
  "references",
  "values",
  "hashes",
  "texts",
  "ids",
];

/**
 * All that the owner's keys can make of an account's objects in a store: what somebody finds who gets hold of both. Names are
 * those within the account. Bodies that ride in entries and notes are left sealed: packs and objects of their own are not.
 */
export async function openEverything(
  platform: CryptoPlatform,
  ring: Ring,
  objects: Iterable<readonly [string, Uint8Array]>,
): Promise<Map<string, Uint8Array[]>> {
  const sealer = ringSealer(platform, ring);
  const openBody = async (id: string, bytes: Uint8Array): Promise<Uint8Array> => {
    const { key } = await openPreamble(platform, ring, id, bytes);
    return openObject(bodyContext(platform, ring.account, id, key), bytes.slice(preambleLength(bytes)));
  };
  const open = async (name: string, bytes: Uint8Array): Promise<Uint8Array[]> => {
    switch (kindIn(name)) {
      case "log":
        return [sealer.open("entry", String(entryNumber(name)), splitEntry(bytes))];
      case "checkpoint":
        return [sealer.open("manifest", String(manifestNumber(name)), bytes)];
      case "page":
        return [openPage(name, bytes)];
      case "pack":
        return Promise.all(
          readPack(bytes).map(({ id, offset, length }) =>
            openBody(hexText(id), bytes.subarray(offset, offset + length)),
          ),
        );
      case "body":
        return [await openBody(hexText(bodyId(name)), bytes)];
      case "note":
        return [(await openNote(platform, ring, name, bytes, [])).summary];
      default:
        return [bytes];
    }
  };
  const openPage = (name: string, bytes: Uint8Array): Uint8Array => {
    for (const kind of PAGE_KINDS)
      try {
        return sealer.open(kind, name, bytes);
      } catch {
        // Another kind, then.
      }
    throw new Error(`${name} is a page of no kind`);
  };
  return new Map(
    await Promise.all([...objects].map(async ([name, bytes]) => [name, await open(name, bytes)] as const)),
  );
}
