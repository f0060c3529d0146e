import type { ReadMailbox, ReadState } from "@restante/engine";
import { formatFolderId } from "../protocol/ids.ts";
import type { Version } from "../protocol/version.ts";

/** A folder as phones see it: MS-ASCMD §2.2.3.186. */
export interface Folder {
  readonly id: string;
  readonly parentId: string;
  readonly name: string;
  readonly type: number;
  readonly class: FolderClass;
  /** None of those that are empty until there are collections. */
  readonly mailbox: ReadMailbox | undefined;
}
export type FolderClass = "Email" | "Calendar" | "Contacts" | "Tasks" | "Notes";

export const ROOT_ID = "0";
export const USER_MAIL_FOLDER = 12;
export const INBOX = 2;
export const DRAFTS = 3;
export const TRASH = 4;
export const SENT = 5;
const TYPES: Readonly<Record<string, number>> = { "\\Drafts": DRAFTS, "\\Trash": TRASH, "\\Sent": SENT };

/** Folders that phones look for and Restante does not have yet. They are empty. */
const EMPTY: readonly { readonly folder: Folder; readonly since: Version }[] = [
  { folder: emptyFolder("calendar", "Calendar", 8, "Calendar"), since: 12.1 },
  { folder: emptyFolder("contacts", "Contacts", 9, "Contacts"), since: 12.1 },
  { folder: emptyFolder("tasks", "Tasks", 7, "Tasks"), since: 12.1 },
  { folder: emptyFolder("notes", "Notes", 10, "Notes"), since: 14 },
];

function emptyFolder(id: string, name: string, type: number, of: FolderClass): Folder {
  return { id, parentId: ROOT_ID, name, type, class: of, mailbox: undefined };
}

interface KnownTrees {
  /** The last change of mailboxes that they have. */
  readonly stamp: number;
  readonly byVersion: Map<Version, readonly Folder[]>;
}
const knownTrees = new WeakMap<ReadState, KnownTrees>();

/** All folders, parents before what is below them. They are put in order once for each change of mailboxes: a request may ask
 * for them a thousand times. */
export function folderTree(state: ReadState, version: Version): readonly Folder[] {
  const stamp = state.changed.mailbox;
  let known = knownTrees.get(state);
  if (known?.stamp !== stamp) {
    known = { stamp, byVersion: new Map() };
    knownTrees.set(state, known);
  }
  let tree = known.byVersion.get(version);
  if (!tree) {
    tree = makeTree(state, version);
    known.byVersion.set(version, tree);
  }
  return tree;
}

function makeTree(state: ReadState, version: Version): Folder[] {
  const mailboxes = state.liveMailboxes();
  const byPath = new Map(mailboxes.map((mailbox) => [mailbox.path, mailbox]));
  const taken = new Set<number>();
  const typeOf = (mailbox: ReadMailbox): number => {
    const type = mailbox.path === "INBOX" ? INBOX : (TYPES[mailbox.specialUse ?? ""] ?? USER_MAIL_FOLDER);
    // At most one folder of each of these.
    if (type === USER_MAIL_FOLDER || taken.has(type)) return USER_MAIL_FOLDER;
    taken.add(type);
    return type;
  };
  const shown = mailboxes
    .toSorted((a, b) => a.path.split("/").length - b.path.split("/").length || (a.path < b.path ? -1 : 1))
    .map((mailbox): Folder => {
      const { parent, name } = placeOf(mailbox.path, byPath);
      return {
        id: formatFolderId(mailbox.id),
        parentId: parent ? formatFolderId(parent.id) : ROOT_ID,
        name,
        type: typeOf(mailbox),
        class: "Email",
        mailbox,
      };
    });
  return [...shown, ...EMPTY.filter(({ since }) => version >= since).map(({ folder }) => folder)];
}

/** The nearest mailbox above a path, and what is left of the path below it: some levels are no mailboxes. */
function placeOf(
  path: string,
  byPath: ReadonlyMap<string, ReadMailbox>,
): { readonly parent: ReadMailbox | undefined; readonly name: string } {
  for (let at = path.lastIndexOf("/"); at > 0; at = path.lastIndexOf("/", at - 1)) {
    const parent = byPath.get(path.slice(0, at));
    if (parent) return { parent, name: path.slice(at + 1) };
  }
  return { parent: undefined, name: path === "INBOX" ? "Inbox" : path };
}

/** The folder with this id; undefined if there is none. */
export function findFolder(state: ReadState, version: Version, id: string): Folder | undefined {
  return folderTree(state, version).find((folder) => folder.id === id);
}
