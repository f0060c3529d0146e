import { mkdir, stat } from "node:fs/promises";
import { dirname } from "node:path";

/** Makes a folder for its user alone, and what leads there. Not by Node's own `recursive`, which tries for ever where a folder is
 * there and takes none (/proc, a mount that went). Throws the system's error. */
export async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST" && (await stat(path)).isDirectory()) return;
    if (code !== "ENOENT" || dirname(path) === path) throw error;
    await makeFolder(dirname(path));
    // Another process may have been first.
    await mkdir(path, { mode: 0o700 }).catch((again: NodeJS.ErrnoException) => {
      if (again.code !== "EEXIST") throw again;
    });
  }
}
