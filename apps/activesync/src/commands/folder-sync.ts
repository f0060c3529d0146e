import { type Element, one, schema, group as shapeOf, text } from "wbxml";
import type { Context } from "../context.ts";
import { foldersNow, isSameFolder, type KnownFolder, keepFolders, readFolders } from "../folders/state.ts";
import { FOLDERS_MAX, ID_CHARS_MAX } from "../limits.ts";
import { group, leaf } from "../protocol/elements.ts";
import { valuesOf } from "../protocol/read.ts";
import { CommandError, STATUS } from "../protocol/status.ts";
import { START } from "../sync/collection-state.ts";

const FOLDER_SYNC = schema(
  "FolderHierarchy:FolderSync",
  shapeOf({ key: one("FolderHierarchy:SyncKey", text(ID_CHARS_MAX)) }),
);

/** Statuses of the folder commands: MS-ASCMD §2.2.3.177.3 to .6. */
export const OK = 1;
export const KEY_UNKNOWN = 9;
export const MALFORMED = 10;

/** FolderSync: MS-ASCMD §2.2.1.5. A start touches nothing that is known of the folders' items. */
export async function folderSync(body: Element | undefined, context: Context): Promise<Element> {
  const { phone } = context;
  const asked = valuesOf(FOLDER_SYNC, body)?.key;
  if (asked === undefined) return failed(MALFORMED);
  const now = foldersNow(context);
  if (now.length > FOLDERS_MAX) throw new CommandError(STATUS.tooManyFolders);
  if (asked === START) return answer(await keepFolders(context, now, ""), [], now);
  const state = await readFolders(context, asked);
  if (!state) return failed(KEY_UNKNOWN);
  const { key, changes } = { key: asked, changes: changesOf(state.folders, now) };
  if (changes.length === 0) {
    phone.folders = { key, folders: state.folders };
    return answer(key, state.folders, now);
  }
  return answer(await keepFolders(context, now, asked), state.folders, now);
}

function failed(status: number): Element {
  return group("FolderHierarchy:FolderSync", leaf("FolderHierarchy:Status", status));
}

function answer(key: string, known: readonly KnownFolder[], now: readonly KnownFolder[]): Element {
  const changes = changesOf(known, now);
  return group(
    "FolderHierarchy:FolderSync",
    leaf("FolderHierarchy:Status", OK),
    leaf("FolderHierarchy:SyncKey", key),
    group("FolderHierarchy:Changes", leaf("FolderHierarchy:Count", changes.length), ...changes),
  );
}

function changesOf(known: readonly KnownFolder[], now: readonly KnownFolder[]): Element[] {
  const before = new Map(known.map((folder) => [folder.id, folder]));
  const there = new Set(now.map(({ id }) => id));
  const [updates, adds]: Element[][] = [[], []];
  for (const folder of now) {
    const old = before.get(folder.id);
    if (!old) adds!.push(folderElement("Add", folder));
    else if (!isSameFolder(old, folder)) updates!.push(folderElement("Update", folder));
  }
  const deletes = known
    .filter(({ id }) => !there.has(id))
    .map(({ id }) => group("FolderHierarchy:Delete", leaf("FolderHierarchy:ServerId", id)));
  return [...updates!, ...deletes, ...adds!];
}

function folderElement(verb: "Add" | "Update", { id, parentId, name, type }: KnownFolder): Element {
  return group(
    `FolderHierarchy:${verb}`,
    leaf("FolderHierarchy:ServerId", id),
    leaf("FolderHierarchy:ParentId", parentId),
    leaf("FolderHierarchy:DisplayName", name),
    leaf("FolderHierarchy:Type", type),
  );
}
