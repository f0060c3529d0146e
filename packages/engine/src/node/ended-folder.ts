import { randomBytes } from "node:crypto";
import { appendFileSync, mkdirSync } from "node:fs";
import { readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { EndedKeeper } from "../account/outbound/older-history.ts";
import { absentIsUndefined } from "./absent.ts";

/** A mail: its id, and when it ended. */
const ID_BYTES = 16;
const MAIL_BYTES: number = ID_BYTES + 8;
const ENDING = ".ids";
/** Mails of one file, and of all files that are read. */
const MAILS_MAX = 65_536;
const OCTETS_MAX: number = 16 * MAILS_MAX * MAIL_BYTES;
/** Files that are read: each start of a process may make one. */
const FILES_MAX = 4_096;
/** How long a file is kept: mail that a backup held would have been sent by then. */
const KEPT_MS: number = 60 * 24 * 60 * 60_000;

/** Mails that ended, in the host's own folder, outside the store: files of ids, of which each process writes its own. None stays
 * open: a process that is silent for long finds its file gone, and makes it again. */
export function endedFolder(folder: string, now: () => number = Date.now): EndedKeeper {
  let own: { readonly path: string; count: number } | undefined;
  const makeOwn = (): { readonly path: string; count: number } => {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    return { path: join(folder, randomBytes(8).toString("hex") + ENDING), count: 0 };
  };
  return {
    note(id) {
      own ??= makeOwn();
      const { path } = own;
      if (++own.count === MAILS_MAX) own = undefined;
      // Some microseconds: a power cut may cost the last ones.
      const octets = Buffer.alloc(MAIL_BYTES);
      octets.write(id, "hex");
      octets.writeDoubleBE(now(), ID_BYTES);
      try {
        appendFileSync(path, octets, { mode: 0o600 });
      } catch (error) {
        // A part of it may stand at the file's end: there it is none.
        own = undefined;
        throw error;
      }
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
  const files: { readonly path: string; readonly size: number; readonly writtenMs: number }[] = [];
  for (const name of names.filter((one) => one.endsWith(ENDING))) {
    const path = join(folder, name);
    const facts = await stat(path).catch(absentIsUndefined);
    if (facts?.isFile()) files.push({ path, size: facts.size, writtenMs: facts.mtimeMs });
  }
  files.sort((a, b) => b.writtenMs - a.writtenMs);
  const kept: string[] = [];
  let octets = 0;
  for (const { path, size, writtenMs } of files) {
    octets += size;
    const isKept = kept.length < FILES_MAX && octets <= OCTETS_MAX && Date.now() - writtenMs < KEPT_MS;
    if (isKept) kept.push(path);
    else await rm(path, { force: true });
  }
  return kept;
}
