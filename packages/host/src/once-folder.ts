import { open, readdir, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import { makeFolder } from "./make-folder.ts";

/** Remembers for a while what was used up, for all processes of a host: a file for each name. */
export class OnceFolder {
  readonly #folder: string;
  readonly #keepMs: number;
  #sweptAt = Number.NEGATIVE_INFINITY;

  /** Names are kept for at least so many milliseconds. */
  constructor(folder: string, keepMs: number) {
    this.#folder = folder;
    this.#keepMs = keepMs;
  }

  /** True if nobody used this name before; of several calls at once one gets true. A name is of letters and digits. */
  async use(name: string): Promise<boolean> {
    if (!/^[a-z0-9]+$/.test(name)) throw new Error("not a name to be used once");
    await makeFolder(this.#folder);
    await this.#sweep();
    try {
      await (await open(join(this.#folder, name), "wx", 0o600)).close();
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
      throw error;
    }
  }

  async #sweep(): Promise<void> {
    const now = Date.now();
    if (now - this.#sweptAt < this.#keepMs) return;
    this.#sweptAt = now;
    for (const name of await readdir(this.#folder)) {
      const path = join(this.#folder, name);
      try {
        if (now - (await stat(path)).mtimeMs > this.#keepMs) await unlink(path);
      } catch (error) {
        // Another process was first.
        if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
      }
    }
  }
}
