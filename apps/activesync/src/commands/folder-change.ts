import { EngineError } from "@restante/engine";
import { type Element, integer, one, optional, readValues, SchemaError, schema, group as shapeOf, text } from "wbxml";
import type { Context } from "../context.ts";
import { type FoldersState, foldersNow, keepFolders, readFolders, repeatedFolders } from "../folders/state.ts";
import { type Folder, ROOT_ID, USER_MAIL_FOLDER } from "../folders/tree.ts";
import { FOLDER_NAME_CHARS_MAX, ID_CHARS_MAX } from "../limits.ts";
import { group, leaf } from "../protocol/elements.ts";
import { formatFolderId } from "../protocol/ids.ts";
import { KEY_UNKNOWN, MALFORMED, OK } from "./folder-sync.ts";

/** Statuses: MS-ASCMD §2.2.3.177.4 to .6. */
const EXISTS = 2;
const SPECIAL = 3;
const NOT_FOUND = 4;
const NO_PARENT = 5;
/** A user's generic folder is one of mail. */
const GENERIC = 1;

const key = one("FolderHierarchy:SyncKey", text(ID_CHARS_MAX));
const name = one("FolderHierarchy:DisplayName", text(FOLDER_NAME_CHARS_MAX * 4));
const CREATE = schema(
  "FolderHierarchy:FolderCreate",
  shapeOf({
    key,
    parentId: one("FolderHierarchy:ParentId", text(ID_CHARS_MAX)),
    name,
    type: one("FolderHierarchy:Type", integer(0, 255)),
  }),
);
const UPDATE = schema(
  "FolderHierarchy:FolderUpdate",
  shapeOf({
    key,
    id: one("FolderHierarchy:ServerId", text(ID_CHARS_MAX)),
    parentId: optional("FolderHierarchy:ParentId", text(ID_CHARS_MAX)),
    name,
  }),
);
const DELETE = schema(
  "FolderHierarchy:FolderDelete",
  shapeOf({ key, id: one("FolderHierarchy:ServerId", text(ID_CHARS_MAX)) }),
);

/** FolderCreate: MS-ASCMD §2.2.1.2. */
export async function folderCreate(body: Element | undefined, context: Context): Promise<Element> {
  return changed("FolderCreate", context, async () => {
    const asked = readValues(CREATE, needed(body));
    if (asked.type !== USER_MAIL_FOLDER && asked.type !== GENERIC) throw new FolderError(MALFORMED);
    return {
      key: asked.key,
      async change(before) {
        const path = pathOf(asked.parentId, asked.name, context);
        const there = foldersNow(context).find(({ mailbox }) => mailbox?.path === path);
        // The folder was made, and the answer that told it was lost.
        if (there && before.some(({ folders }) => folders.some(({ id }) => id === there.id))) return { made: there.id };
        return { made: formatFolderId(await context.session.create(path)) };
      },
    };
  });
}

/** FolderUpdate: MS-ASCMD §2.2.1.6. A new name, another parent, or both. */
export async function folderUpdate(body: Element | undefined, context: Context): Promise<Element> {
  return changed("FolderUpdate", context, async () => {
    const asked = readValues(UPDATE, needed(body));
    return {
      key: asked.key,
      async change() {
        const folder = userFolder(asked.id, context, EXISTS);
        const path = pathOf(asked.parentId ?? folder.parentId, asked.name, context);
        if (path !== folder.mailbox!.path) await context.session.rename(folder.mailbox!.path, path);
        return { moved: folder.id };
      },
    };
  });
}

/** FolderDelete: MS-ASCMD §2.2.1.3, with all that is below it. */
export async function folderDelete(body: Element | undefined, context: Context): Promise<Element> {
  return changed("FolderDelete", context, async () => {
    const asked = readValues(DELETE, needed(body));
    return {
      key: asked.key,
      async change(before) {
        const { session } = context;
        const repeated = before.find(({ folders }) => !folders.some(({ id }) => id === asked.id));
        if (repeated && !foldersNow(context).some(({ id }) => id === asked.id))
          return { deleted: asked.id, left: repeated };
        const { mailbox } = userFolder(asked.id, context, SPECIAL);
        const all = [mailbox!, ...session.state.below(mailbox!.path)];
        const outcome = await session.changeFolders(() => ({
          // Folders below go first.
          steps: all.toReversed().map(({ id }) => ({ do: "destroy", mailbox: id, ifEmpty: false })),
        }));
        if (outcome.refusal === "no-mailbox") throw new FolderError(NOT_FOUND);
        if (outcome.refusal) throw new EngineError("conflict", "changed meanwhile, try again");
        return { deleted: asked.id };
      },
    };
  });
}

class FolderError extends Error {
  readonly status: number;
  constructor(status: number) {
    super(`status ${status}`);
    this.status = status;
  }
}

function needed(body: Element | undefined): Element {
  if (!body) throw new FolderError(MALFORMED);
  return body;
}

interface FolderChange {
  readonly key: string;
  /** `before`: what came of requests that used the key before. */
  change(before: readonly FoldersState[]): Promise<FolderOutcome>;
}

interface FolderOutcome {
  /** A folder that was made, by its id. */
  readonly made?: string;
  /** One that has another name or place. */
  readonly moved?: string;
  /** One that went, by its id: on the phone with all that it knows below it. */
  readonly deleted?: string;
  /** The folders that a deletion left which was done before, and not heard of. */
  readonly left?: FoldersState;
}

/** The key that is told covers the change: its maker is not told of it again. */
async function changed(
  command: "FolderCreate" | "FolderUpdate" | "FolderDelete",
  context: Context,
  read: () => Promise<FolderChange>,
): Promise<Element> {
  const tag = `FolderHierarchy:${command}`;
  try {
    const { key: asked, change } = await read();
    const known = await readFolders(context, asked);
    if (!known) throw new FolderError(KEY_UNKNOWN);
    const before = new Set(foldersNow(context).map(({ id }) => id));
    const { made, moved, deleted, left } = await change(await repeatedFolders(context, asked));
    // The phone is still to be told of changes that others made meanwhile, and of consequences: a folder whose parent was
    // missing lies in one that is made.
    const own = foldersNow(context).filter(({ id }) => id === made || id === moved);
    const there = new Set(foldersNow(context).map(({ id }) => id));
    const isKept = (id: string): boolean => !left || left.folders.some((one) => one.id === id);
    const dropped = deleted === undefined ? new Set<string>() : withAllBelow(deleted, known);
    const kept = known.folders.filter(
      ({ id }) =>
        (there.has(id) || (!before.has(id) && isKept(id))) && !own.some((one) => one.id === id) && !dropped.has(id),
    );
    const next = await keepFolders(context, [...kept, ...own], asked);
    return group(
      tag,
      leaf("FolderHierarchy:Status", OK),
      leaf("FolderHierarchy:SyncKey", next),
      made === undefined ? undefined : leaf("FolderHierarchy:ServerId", made),
    );
  } catch (error) {
    const status = statusOf(error);
    if (status === undefined) throw error;
    return group(tag, leaf("FolderHierarchy:Status", status));
  }
}

/** As the phone knows them, whatever became of them meanwhile. */
function withAllBelow(id: string, { folders }: FoldersState): ReadonlySet<string> {
  const found = new Set([id]);
  for (const above of found) for (const one of folders) if (one.parentId === above) found.add(one.id);
  return found;
}

function statusOf(error: unknown): number | undefined {
  if (error instanceof SchemaError) return MALFORMED;
  if (error instanceof FolderError) return error.status;
  if (!(error instanceof EngineError)) return undefined;
  if (error.code === "already-exists") return EXISTS;
  if (error.code === "not-found") return NOT_FOUND;
  return error.code === "invalid" ? MALFORMED : undefined;
}

function userFolder(id: string, context: Context, ifSpecial: number): Folder {
  const folder = foldersNow(context).find((one) => one.id === id);
  if (!folder) throw new FolderError(NOT_FOUND);
  if (!folder.mailbox || folder.type !== USER_MAIL_FOLDER) throw new FolderError(ifSpecial);
  return folder;
}

/** The delimiter of levels, and control characters. */
const NOT_IN_NAMES = /[/\u0000-\u001f\u007f]/;

/** Throws FolderError: 5 without that parent, 10 for what is no name. */
function pathOf(parentId: string, wanted: string, context: Context): string {
  const trimmed = wanted.trim();
  if (trimmed === "" || NOT_IN_NAMES.test(trimmed) || trimmed.length > FOLDER_NAME_CHARS_MAX)
    throw new FolderError(MALFORMED);
  if (parentId === ROOT_ID) return trimmed;
  const parent = foldersNow(context).find(({ id }) => id === parentId);
  if (!parent?.mailbox) throw new FolderError(NO_PARENT);
  return `${parent.mailbox.path}/${trimmed}`;
}
