import { randomBytes } from "node:crypto";
import { closeSync, mkdirSync, openSync, writeSync } from "node:fs";
import { readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { EndedKeeper } from "../account/outbound/older-history.ts";

/** A mail: its id, and when it ended. */
const ID_BYTES = 16;
const MAIL_BYTES: number = ID_BYTES + 8;
/** Mails of one file, files that are read, and how long a file is: what a backup held would have been sent by then. */
const MAILS_MAX = 65_536;
const FILES_MAX = 16;
const KEPT_MS: number = 60 * 24 * 60 * 60_000;

/** Mails that ended, in the host's own folder, outside the store: files of ids, of which each process writes its own. */
export function endedFolder(folder: string, now: () => number = Date.now): EndedKeeper {
  let own: { readonly file: number; count: number } | undefined;
  const openOwn = (): { readonly file: number; count: number } => {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    return { file: openSync(join(folder, `${randomBytes(8).toString("hex")}.ids`), "ax", 0o600), count: 0 };
  };
  return {
    note(id) {
      own ??= openOwn();
      // Some microseconds: a power cut may cost the last ones.
      const octets = Buffer.alloc(MAIL_BYTES);
      octets.write(id, "hex");
      octets.writeDoubleBE(now(), ID_BYTES);
      writeSync(own.file, octets);
      if (++own.count < MAILS_MAX) return;
      closeSync(own.file);
      own = undefined;
    },
    async find(ids) {
      const found = new Map<string, number>();
      for (const path of await filesOf(folder)) {
        const octets = await readFile(path).catch(absentIsUndefined);
        for (let at = 0; octets && at + MAIL_BYTES <= octets.length; at += MAIL_BYTES) {
          const id = octets.toString("hex", at, at + ID_BYTES);
          if (ids.has(id)) found.set(id, Math.max(found.get(id) ?? 0, octets.readDoubleBE(at + ID_BYTES)));
        }
      }
      return found;
    },
  };
}

/** The newest files; those that are too old or too many go. */
async function filesOf(folder: string): Promise<string[]> {
  const names = (await readdir(folder).catch(absentIsUndefined)) ?? [];
  const files: { readonly path: string; readonly writtenMs: number }[] = [];
  for (const name of names) {
    const path = join(folder, name);
    const facts = await stat(path).catch(absentIsUndefined);
    if (facts) files.push({ path, writtenMs: facts.mtimeMs });
  }
  files.sort((a, b) => b.writtenMs - a.writtenMs);
  const isKept = ({ writtenMs }: (typeof files)[number], at: number): boolean =>
    at < FILES_MAX && Date.now() - writtenMs < KEPT_MS;
  for (const file of files.filter((one, at) => !isKept(one, at))) await rm(file.path, { force: true });
  return files.filter(isKept).map(({ path }) => path);
}

function absentIsUndefined(error: NodeJS.ErrnoException): undefined {
  if (error.code === "ENOENT") return undefined;
  throw error;
}
