import { randomBytes } from "node:crypto";
import { closeSync, constants, fsyncSync, mkdirSync, openSync, writeSync } from "node:fs";
import { appendFile, mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { WitnessKeeper } from "../account/platform.ts";
import type { Witness } from "../bay/applied-log.ts";
import type { Position } from "../bay/position.ts";
import { absentIsUndefined } from "./absent.ts";

/** Octets of a witness: written in place, so always as many. */
const WITNESS_BYTES = 128;
/** A file that no process has written to for so long may go, if another shows more. */
const STALE_MS: number = 24 * 60 * 60_000;

/**
 * Witnesses in the host's own folder, outside the store: a folder an account, and in it a small file a process, so that none
 * goes back whichever process is slow. Witnesses of earlier releases, one file an account, are read too.
 */
export function witnessFolder(folder: string): WitnessKeeper {
  const own = `${randomBytes(8).toString("hex")}.json`;
  const placeOf = (account: string): string => join(folder, account);
  const filesOf = async (account: string): Promise<string[]> => {
    const names = (await readdir(placeOf(account)).catch(absentIsUndefined)) ?? [];
    return [join(folder, `${account}.json`), ...names.map((name) => join(placeOf(account), name))];
  };
  const write = (account: string, { entry, hash }: Witness, isDurable: boolean): void => {
    const text = JSON.stringify({ entry, hash: Buffer.from(hash).toString("hex") }).padEnd(WITNESS_BYTES);
    // Done for each entry: some microseconds here, against ten times as much by way of other threads.
    const file = openOwn(placeOf(account), own);
    try {
      writeSync(file, text, 0);
      if (isDurable) fsyncSync(file);
    } finally {
      closeSync(file);
    }
  };
  return {
    async isRestored(account, restore) {
      if ((await stat(restoredMark(folder, account)).catch(absentIsUndefined)) !== undefined) return true;
      return restore !== undefined && !(await readRestores(folder, account)).includes(restore);
    },
    async clearRestored(account, restore) {
      if (restore !== undefined) {
        await mkdir(folder, { recursive: true, mode: 0o700 });
        await appendFile(restoresFile(folder, account), `${restore}\n`, { mode: 0o600, flush: true });
      }
      await rm(restoredMark(folder, account), { force: true });
    },
    async read(account) {
      const files = await filesOf(account);
      const seen = (await Promise.all(files.map(readWitness))).filter((item) => item !== undefined);
      const furthest = seen.reduce<Seen | undefined>(
        (best, item) => (best && best.witness.entry >= item.witness.entry ? best : item),
        undefined,
      );
      const isStale = (item: Seen): boolean => item !== furthest && Date.now() - item.writtenMs > STALE_MS;
      await Promise.all(seen.filter(isStale).map(({ file }) => rm(file, { force: true })));
      return furthest?.witness;
    },
    async write(account, witness) {
      write(account, witness, false);
    },
    async replace(account, witness) {
      write(account, witness, true);
      const others = (await filesOf(account)).filter((file) => file !== join(placeOf(account), own));
      await Promise.all(others.map((file) => rm(file, { force: true })));
    },
  };
}

interface Seen {
  readonly file: string;
  readonly writtenMs: number;
  readonly witness: Witness;
}

function openOwn(folder: string, name: string): number {
  const file = join(folder, name);
  const flags = constants.O_WRONLY | constants.O_CREAT;
  try {
    return openSync(file, flags, 0o600);
  } catch (error) {
    absentIsUndefined(error as NodeJS.ErrnoException);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    return openSync(file, flags, 0o600);
  }
}

/** The witness in a file. A file that a power cut left half written is none. */
async function readWitness(file: string): Promise<Seen | undefined> {
  const [text, facts] = await Promise.all([
    readFile(file, "utf8").catch(absentIsUndefined),
    stat(file).catch(absentIsUndefined),
  ]);
  if (text === undefined || facts === undefined) return undefined;
  const found = /^\{"entry":(\d+),"hash":"([0-9a-f]{64})"\}\s*$/.exec(text);
  if (!found) return undefined;
  const witness = { entry: Number(found[1]) as Position, hash: new Uint8Array(Buffer.from(found[2]!, "hex")) };
  return { file, writtenMs: facts.mtimeMs, witness };
}

/** Marks that the store of these accounts was restored: their owners' next sign-in says so in the log. */
export async function markRestored(folder: string, accounts: readonly string[]): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  for (const account of accounts) await writeFile(restoredMark(folder, account), "", { mode: 0o600, flush: true });
}

/** The restores that this host went along with: each counts once, or who has the store could show it again. */
async function readRestores(folder: string, account: string): Promise<readonly string[]> {
  const text = await readFile(restoresFile(folder, account), "utf8").catch(absentIsUndefined);
  return text?.split("\n") ?? [];
}

function restoresFile(folder: string, account: string): string {
  return join(folder, `${account}.restores`);
}

function restoredMark(folder: string, account: string): string {
  return join(folder, `${account}.restored`);
}
