import { copyFile, cp, mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { accountPrefix } from "@restante/engine";
import { backupEmbeddedStore, markRestored, restoreEmbeddedStore, UsersFolder } from "@restante/engine/node";
import type { Config } from "@restante/host";
import { openLog, placesOf } from "./context.ts";
import { EXIT, Exit } from "./exit.ts";
import type { Flags } from "./flags.ts";
import { openLdap } from "./ldap.ts";

/** Written last: a backup without it was cut off. */
const COMPLETE_FILE = "backup.json";

/**
 * `restante backup DIR`, beside running servers. DIR gets the store, the users, TLS and this host's signing key: sealed
 * or public all, but for TLS and that key. The pepper, without which no password can be tried, goes to `DIR.pepper`, to
 * be kept elsewhere. Witnesses stay out: they tell what *this* host saw.
 */
export async function backUp(config: Config, args: readonly string[], flags: Flags): Promise<number> {
  const folder = folderOf(config, args, "backup");
  const places = placesOf(config);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  if ((await readdir(folder)).length > 0) throw new Exit(EXIT.failed, `${folder} is not empty`);
  if (!(await exists(join(places.store, "store.sqlite")))) throw new Exit(EXIT.failed, "there is no store to back up");
  // Users before the store: each that is named has its account there.
  await backUpUsers(config, join(folder, "users"));
  await copyTree(places.tls, join(folder, "tls"));
  await copyIfThere(places.lmtpKey, join(folder, "keys", "lmtp"));
  const { files, bytes } = await backupEmbeddedStore(places.store, join(folder, "store"));
  const pepper = `${folder}.pepper`;
  await copyIfThere(places.pepper, pepper);
  await writeFile(join(folder, COMPLETE_FILE), `${JSON.stringify({ format: 1, files, bytes })}\n`, { flush: true });
  if (flags.json) process.stdout.write(`${JSON.stringify({ folder, pepper, files, bytes })}\n`);
  else
    process.stdout.write(
      `backed up to ${folder}: ${files} files and the database, ${bytes} bytes\n` +
        `The pepper is in ${pepper}. Keep it apart: together they are as strong as the passwords.\n` +
        "Files are linked where they can be: copy the folder to another disk.\n",
    );
  return EXIT.well;
}

/** A directory has its own backups; what it tells of accounts is kept here too, since a restore must mark each of them. */
async function backUpUsers(config: Config, to: string): Promise<void> {
  if (config.login.kind !== "ldap") return copyTree(placesOf(config).users, to);
  const directory = await openLdap(config, openLog(config));
  const copy = new UsersFolder(to);
  for (const user of await directory.list()) await copy.add(user);
}

/**
 * `restante restore DIR` into a place that has no store. What came after the backup is gone, so uids may be given
 * again: each account is marked, and its owner's next sign-in raises every UIDVALIDITY.
 */
export async function restore(config: Config, args: readonly string[], flags: Flags): Promise<number> {
  const folder = folderOf(config, args, "restore");
  const places = placesOf(config);
  await readComplete(folder);
  if (await exists(places.store))
    throw new Exit(EXIT.failed, `there is a store in ${places.store}; stop the server and move it away`);
  const accounts = (await new UsersFolder(join(folder, "users")).list()).map(({ record }) =>
    accountPrefix(record).slice(0, -1),
  );
  // Before the store: whoever finds it finds it marked.
  await markRestored(places.witness, accounts);
  for (const name of ["users", "tls"] as const) await copyTree(join(folder, name), places[name]);
  await copyIfThere(join(folder, "keys", "lmtp"), places.lmtpKey);
  const hasPepper = await copyIfThere(`${folder}.pepper`, places.pepper);
  await restoreEmbeddedStore(join(folder, "store"), places.store);
  const opens = hasPepper || (await exists(places.pepper));
  if (flags.json) process.stdout.write(`${JSON.stringify({ accounts: accounts.length, pepper: opens })}\n`);
  else
    process.stdout.write(
      `${accounts.length} accounts restored; mail programs will fetch everything anew\n${
        opens ? "" : `There is no ${folder}.pepper: passwords won't open, recovery codes will (account recover).\n`
      }`,
    );
  return EXIT.well;
}

function folderOf(config: Config, [folder]: readonly string[], command: string): string {
  if (folder === undefined) throw new Exit(EXIT.usage, `${command} wants a folder`);
  const { kind, log_kind } = config.storage;
  // A part of the accounts would be no backup of any.
  if (kind !== "embedded" || log_kind !== "")
    throw new Exit(EXIT.usage, `${command} is for accounts that lie in the embedded store whole`);
  return folder.replace(/\/+$/, "");
}

async function readComplete(folder: string): Promise<void> {
  const text = await readFile(join(folder, COMPLETE_FILE), "utf8").catch((error: NodeJS.ErrnoException) => {
    throw new Exit(EXIT.failed, `${folder} is no whole backup: ${error.message}`);
  });
  if ((JSON.parse(text) as { format: unknown }).format !== 1)
    throw new Exit(EXIT.failed, `${folder} was made by a newer version of Restante`);
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}

async function copyTree(from: string, to: string): Promise<void> {
  if (await exists(from)) await cp(from, to, { recursive: true, preserveTimestamps: true });
}

/** Whether there was one. */
async function copyIfThere(from: string, to: string): Promise<boolean> {
  if (!(await exists(from))) return false;
  await mkdir(dirname(to), { recursive: true, mode: 0o700 });
  await copyFile(from, to);
  return true;
}
