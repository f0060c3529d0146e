import { open, stat } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { readEmlxHead } from "./eml/emlx.ts";
import { walkFolders } from "./folder-walk.ts";
import type { Place } from "./mail-place.ts";
import { classifyFromLine } from "./mbox/from-line.ts";

/** Kinds of mail outside the store, as far as a look tells. */
export type Kind = "maildir" | "mbox" | "eml" | "outlook";

/** Octets of a file that tell what it is. */
const HEAD_BYTES = 4096;
/** Files of a folder that are looked at. */
const FILES_MAX = 1000;
/** MS-CFB §2.2, which .msg files are, and MS-PST §2.2.2.6. */
const OUTLOOK = /^(?:\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1|!BDN)/;
const FIELD = /^[!-9;-~]+[ \t]*:/;

/** A file's kind by its first octets; undefined if they tell none. */
export function kindOfOctets(octets: Uint8Array): Kind | undefined {
  const head = Buffer.from(octets).toString("latin1");
  if (OUTLOOK.test(head)) return "outlook";
  const first = /^(?:\xef\xbb\xbf)?(?:\r?\n)*([^\r\n]*)/.exec(head)![1]!;
  if (classifyFromLine(first) !== "none") return "mbox";
  if (readEmlxHead(octets, Number.POSITIVE_INFINITY)) return "eml";
  return FIELD.test(first) ? "eml" : undefined;
}

const NO = {
  maildir: "no Maildir",
  mbox: "no mbox file, nor a folder of some",
  eml: "no .eml file, nor a folder of some",
} as const;

/**
 * Why what lies at a place is not of the kind that is named, and what it is, in a sentence; undefined if it is, or nothing
 * is seen of it. Throws what the place can't be read by.
 */
export async function wrongKind({ format, path }: Place): Promise<string | undefined> {
  const named = format === "maildir" || format === "eml" ? format : "mbox";
  const isFile = (await stat(path)).isFile();
  const kinds = isFile ? new Set([await kindOfFile(path)]) : await kindsIn(path);
  kinds.delete(undefined);
  if (isFile && named === "maildir")
    return `${path} is a file and no Maildir, which is a folder${hint(kinds, path, named)}`;
  if (kinds.has(named)) return undefined;
  if (named === "maildir" && ["cur", "new"].includes(basename(resolve(path))))
    return `${path} is a part of a Maildir: give the folder that it lies in`;
  if (kinds.size === 0) return undefined;
  return `${path} is ${NO[named]}${hint(kinds, path, named)}`;
}

function hint(kinds: ReadonlySet<Kind | undefined>, path: string, named: Kind): string {
  for (const kind of ["maildir", "mbox", "eml"] as const)
    if (kind !== named && kinds.has(kind)) return `: it looks like ${kind}:${path}`;
  return kinds.has("outlook") ? ": Outlook's .msg and .pst are not supported; save the mails as .eml, or as mbox" : "";
}

async function kindOfFile(file: string): Promise<Kind | undefined> {
  await using handle = await open(file);
  const head = Buffer.alloc(HEAD_BYTES);
  const { bytesRead } = await handle.read(head, 0, HEAD_BYTES, 0);
  return kindOfOctets(head.subarray(0, bytesRead));
}

async function kindsIn(root: string): Promise<Set<Kind | undefined>> {
  const kinds = new Set<Kind | undefined>();
  let files = 0;
  const enters = (name: string): boolean => !["cur", "new", "tmp"].includes(name);
  for await (const listing of walkFolders(root, { onProblem: () => undefined, enters })) {
    if (listing.folders.includes("cur") || listing.folders.includes("new")) kinds.add("maildir");
    for (const name of listing.files) {
      if (name.startsWith(".")) continue;
      if (++files > FILES_MAX) return kinds;
      // A file that can't be read is of no kind: who imports it tells that.
      const kind = await kindOfFile(join(listing.folder, name)).catch(() => undefined);
      // A message is told from text that begins with a field by its file's name alone.
      if (kind !== "eml" || /\.emlx?$|^\d+$/i.test(name)) kinds.add(kind);
      if (/\.emlx?$/i.test(name)) kinds.add("eml");
    }
  }
  return kinds;
}
