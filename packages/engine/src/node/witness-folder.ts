import { mkdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { WitnessKeeper } from "../account/platform.ts";
import { writeBeside } from "./whole-file.ts";

/** Witnesses as one small file an account, in the host's own folder, outside the store. */
export function witnessFolder(folder: string): WitnessKeeper {
  const file = (account: string): string => join(folder, `${account}.json`);
  return {
    async isRestored(account) {
      const found = await stat(restoredMark(folder, account)).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== "ENOENT") throw error;
      });
      return found !== undefined;
    },
    async clearRestored(account) {
      await rm(restoredMark(folder, account), { force: true });
    },
    async read(account) {
      const text = await readFile(file(account), "utf8").catch((error: NodeJS.ErrnoException) => {
        if (error.code !== "ENOENT") throw error;
      });
      if (text === undefined) return undefined;
      const { entry, hash } = JSON.parse(text) as { entry: number; hash: string };
      return { entry, hash: new Uint8Array(Buffer.from(hash, "hex")) };
    },
    async write(account, { entry, hash }) {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const text = JSON.stringify({ entry, hash: Buffer.from(hash).toString("hex") });
      await rename(await writeBeside(file(account), text), file(account));
    },
  };
}

/** Marks that the store of these accounts was restored: their owners' next sign-in says so in the log. */
export async function markRestored(folder: string, accounts: readonly string[]): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  for (const account of accounts) await writeFile(restoredMark(folder, account), "", { mode: 0o600, flush: true });
}

function restoredMark(folder: string, account: string): string {
  return join(folder, `${account}.restored`);
}
