import { decode, encode } from "cborg";
import type { Context } from "../context.ts";
import { newKey } from "../sync/collection-state.ts";
import { placeOf } from "../sync/store.ts";
import { type Folder, folderTree } from "./tree.ts";

/** The folders as a phone knows them at one key: MS-ASCMD §2.2.1.5. */
export interface FoldersState {
  readonly previous: string;
  readonly folders: readonly KnownFolder[];
}
export type KnownFolder = Pick<Folder, "id" | "parentId" | "name" | "type">;

/** No folder has this id. */
const PLACE = "";
const FORMAT = 1;

/** Undefined where the key means nothing. Errors: `unavailable`. */
export async function readFolders({ session, ...context }: Context, key: string): Promise<FoldersState | undefined> {
  const bytes = await session.devices.read(placeOf(context, PLACE), key);
  const value: unknown = bytes && decode(bytes);
  if (!Array.isArray(value) || value[0] !== FORMAT) return undefined;
  const [, previous, folders] = value as [number, string, [string, string, string, number][]];
  return { previous, folders: folders.map(([id, parentId, name, type]) => ({ id, parentId, name, type })) };
}

/** States that earlier requests with this key made: their answers may have been lost. Errors: `unavailable`. */
export async function repeatedFolders(context: Context, key: string): Promise<readonly FoldersState[]> {
  const found: FoldersState[] = [];
  for (const other of await context.session.devices.keys(placeOf(context, PLACE))) {
    const state = other === key ? undefined : await readFolders(context, other);
    if (state?.previous === key) found.push(state);
  }
  return found;
}

/** Starts that are kept where it is not known which one their phone goes on from: some start at each look. */
const STARTS_MAX = 4;

/** Keeps what a phone knows from now on, and resolves with its key. States older than `previous` go; a start replaces nothing
 * until its key is used. Errors: `unavailable`. */
export async function keepFolders(
  context: Context,
  folders: readonly KnownFolder[],
  previous: string,
): Promise<string> {
  const { session, random, phone, log } = context;
  const place = placeOf(context, PLACE);
  const key = newKey(random);
  const rows = folders.map(({ id, parentId, name, type }) => [id, parentId, name, type]);
  await session.devices.write(place, key, encode([FORMAT, previous, rows]));
  const before = previous || phone.folders?.key;
  phone.folders = { key, folders };
  const clean = async (): Promise<void> => {
    const others = (await session.devices.keys(place)).filter((old) => old !== key && old !== before);
    if (before !== undefined || others.length >= STARTS_MAX) await session.devices.remove(place, others);
  };
  clean().catch((error: unknown) => log({ level: "warn", event: "a phone's old states can't be removed", error }));
  return key;
}

/** The folders as they are, for a phone. */
export function foldersNow({ session, version }: Context): readonly Folder[] {
  return folderTree(session.state, version);
}

export function isSameFolder(a: KnownFolder, b: KnownFolder): boolean {
  return a.parentId === b.parentId && a.name === b.name && a.type === b.type;
}

/** True if a phone that knows `known` has to be told of changes. */
export function areFoldersNews(known: readonly KnownFolder[], now: readonly KnownFolder[]): boolean {
  const byId = new Map(known.map((folder) => [folder.id, folder]));
  return (
    known.length !== now.length ||
    now.some((folder) => {
      const before = byId.get(folder.id);
      return !before || !isSameFolder(before, folder);
    })
  );
}
