import { randomBytes } from "node:crypto";
import { type FSWatcher, mkdirSync, watch } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** Names that hints tell of: `<account>/log/<n>`, `<account>/note/<name>`, and work for some process
 * (`outbound/queue/<name>`). */
const WATCHED = /^([^/]+)\/(log|note|queue|request|push)\/[^/]+$/;
/** `<account>.<kind>.<who tells>.<number>` */
const HINT = /^([^/.]+)\.(log|note|queue|request|push)\.([0-9a-f]+)\.[0-9]+$/;
/** Hints whose end was not heard of yet. */
const HEARD_MAX = 1000;

/**
 * How the processes of one host tell each other at once what they wrote to a store that tells nothing by itself: a file
 * appears in a folder that all of them watch, and goes again. A hint only: who misses it finds out at their next look.
 */
export class Hints {
  readonly #folder: string;
  readonly #fail: (error: unknown) => void;
  readonly #self = randomBytes(8).toString("hex");
  readonly #listeners = new Set<(prefix: string) => void>();
  readonly #heard = new Set<string>();
  readonly #watcher: FSWatcher | undefined;
  #told = 0;

  /** `warn` is told, once, that hints can't be given or heard. */
  constructor(folder: string, warn: (error: unknown) => void) {
    this.#folder = folder;
    let isTold = false;
    this.#fail = (error) => {
      if (!isTold) warn(error);
      isTold = true;
    };
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      this.#watcher = watch(folder, { persistent: false }, (_, file) => this.#hear(file));
      this.#watcher.on("error", this.#fail);
    } catch (error) {
      // No room for another watch, a folder that is not ours: nothing is lost but time.
      this.#fail(error);
    }
  }

  /** Tells the others that an object of this name was written. Returns at once and never fails. */
  tell(name: string): void {
    const [, account, kind] = WATCHED.exec(name) ?? [];
    if (!this.#watcher || account === undefined) return;
    const file = join(this.#folder, `${account}.${kind}.${this.#self}.${++this.#told}`);
    writeFile(file, "", { mode: 0o600 })
      .then(() => rm(file, { force: true }))
      .catch(this.#fail);
  }

  /** Calls `listener` with the prefix under which another process wrote, until the returned function is called. */
  listen(listener: (prefix: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  dispose(): void {
    this.#watcher?.close();
  }

  /** A file is heard of when it appears and when it goes. */
  #hear(file: string | null): void {
    const [, account, kind, teller] = HINT.exec(file ?? "") ?? [];
    if (file === null || account === undefined || teller === this.#self || this.#heard.delete(file)) return;
    if (this.#heard.size >= HEARD_MAX) this.#heard.clear();
    this.#heard.add(file);
    for (const listener of this.#listeners) listener(`${account}/${kind}/`);
  }
}
