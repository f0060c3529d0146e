import type { Dirent } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";

/** One folder of a tree, and what lies in it, by name. Links count as what they lead to. */
export interface Listing {
  readonly folder: string;
  /** Names of the folders that lead to it from the root of the walk. */
  readonly levels: readonly string[];
  readonly files: readonly string[];
  readonly folders: readonly string[];
}

export interface WalkOptions {
  /** Hears a sentence for each thing that can't be read, with its place. */
  readonly onProblem: (problem: string) => void;
  /** True for a folder that is walked too. By default those whose names begin with a dot are left out. */
  readonly enters?: (name: string, listing: Pick<Listing, "levels">) => boolean;
}

/**
 * Each folder of a tree before those in it, in the order of their names. A folder that is reached twice, by links, is walked
 * once. Throws what the root itself can't be read by.
 */
export async function* walkFolders(root: string, { onProblem, enters }: WalkOptions): AsyncGenerator<Listing> {
  const seen = new Set<string>();
  const waiting: { readonly folder: string; readonly levels: readonly string[] }[] = [{ folder: root, levels: [] }];
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    const { folder, levels } = next;
    const listing = await readOnce(folder, seen, onProblem).catch((error: Error) => {
      if (levels.length === 0) throw error;
      onProblem(`${folder} can't be read and is left out: ${error.message}`);
    });
    if (!listing) continue;
    yield { folder, levels, ...listing };
    const entered = listing.folders.filter((name) => enters?.(name, { levels }) ?? !name.startsWith("."));
    for (const name of entered.reverse()) waiting.push({ folder: join(folder, name), levels: [...levels, name] });
  }
}

type Inside = Pick<Listing, "files" | "folders">;

/** Undefined if it was read before, by another name. */
async function readOnce(
  folder: string,
  seen: Set<string>,
  onProblem: (problem: string) => void,
): Promise<Inside | undefined> {
  const { dev, ino } = await stat(folder);
  const identity = `${dev} ${ino}`;
  if (seen.has(identity)) return undefined;
  seen.add(identity);
  return readFolder(folder, onProblem);
}

/** Files and folders of one folder, by name. */
export async function readFolder(folder: string, onProblem: (problem: string) => void): Promise<Inside> {
  const files: string[] = [];
  const folders: string[] = [];
  const entries = await readdir(folder, { withFileTypes: true, encoding: "buffer" });
  for (const entry of entries) {
    const name = entry.name.toString("utf8");
    const path = join(folder, name);
    if (!Buffer.from(name).equals(entry.name))
      onProblem(`${path} is left out: its name is no UTF-8; rename it (convmv does it for whole trees)`);
    else {
      const kind = await kindOfEntry(entry, path);
      if (kind === "file") files.push(name);
      else if (kind === "folder") folders.push(name);
      else onProblem(`${path} is left out: it is ${kind}`);
    }
  }
  return { files: files.sort(), folders: folders.sort() };
}

async function kindOfEntry(entry: Dirent<Buffer>, path: string): Promise<string> {
  if (entry.isFile()) return "file";
  if (entry.isDirectory()) return "folder";
  try {
    const found = await stat(path);
    if (found.isFile()) return "file";
    return found.isDirectory() ? "folder" : "neither a file nor a folder";
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return code === "ENOENT" ? "a link to nothing" : `not to be read: ${message}`;
  }
}
