import { copyFile, cp, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import {
  accountPrefix,
  backUpAccount,
  measureAccount,
  type ObjectStore,
  restoreAccount,
  trustRecord,
  type User,
} from "@restante/engine";
import {
  backupEmbeddedStore,
  markRestored,
  openEmbeddedStore,
  restoreEmbeddedStore,
  settleEmbeddedStore,
  UsersFolder,
} from "@restante/engine/node";
import { type Config, makeFolder } from "@restante/host";
import { becomeDataOwner, makeConfigured, openContext, openLog, placesOf } from "./context.ts";
import { EXIT, Exit } from "./exit.ts";
import type { Flags } from "./flags.ts";
import { openLdap } from "./ldap.ts";
import { setRestoredAside } from "./outbound.ts";
import { Progress } from "./progress.ts";

/** Written last: a backup without it was cut off. */
const COMPLETE_FILE = "backup.json";

/**
 * `restante backup DIR`, beside running servers. DIR gets the store, the users, TLS and this host's signing key: sealed
 * or public all, but for TLS and that key. The pepper, without which no password can be tried, goes to `DIR.pepper`, and the
 * server key to `DIR.server`, to be kept elsewhere. Witnesses stay out: they tell what *this* host saw.
 */
export async function backUp(config: Config, args: readonly [string], flags: Pick<Flags, "json">): Promise<number> {
  await becomeDataOwner(config);
  const folder = folderOf(config, args, "backup");
  const places = placesOf(config);
  await makeConfigured("backup", folder);
  if ((await readdir(folder)).length > 0) throw new Exit(EXIT.failed, `${folder} is not empty`);
  if (isEmbedded(config) && !(await exists(join(places.store, "store.sqlite"))))
    throw new Exit(EXIT.failed, "there is no store to back up");
  // A user without the right to write beside the folder is told before the long part.
  const [pepper, serverKey] = [`${folder}.pepper`, serverKeyOf(folder)];
  await copyIfThere(places.pepper, pepper);
  await copyIfThere(places.serverKey, serverKey);
  // Users before the store: each that is named has its account there.
  await backUpUsers(config, join(folder, "users"));
  await copyTree(places.tls, join(folder, "tls"));
  await copyIfThere(places.lmtpKey, join(folder, "keys", "lmtp"));
  const copy = join(folder, "store");
  const { files, bytes } = isEmbedded(config)
    ? await withProgress("copied", (onFile) => backupEmbeddedStore(places.store, copy, onFile))
    : await backUpObjects(config, copy);
  await writeFile(join(folder, COMPLETE_FILE), `${JSON.stringify({ format: 1, files, bytes })}\n`, { flush: true });
  if (flags.json) process.stdout.write(`${JSON.stringify({ folder, pepper, serverKey, files, bytes })}\n`);
  else
    process.stdout.write(
      `backed up to ${folder}: ${files} ${isEmbedded(config) ? "files and the database" : "objects"}, ${bytes} bytes\n` +
        `The pepper is in ${pepper}. Keep it apart: together they are as strong as the passwords.\n` +
        `The server key is in ${serverKey}. Keep it with the pepper.\n` +
        (isEmbedded(config) ? "Files are linked where they can be: copy the folder to another disk.\n" : ""),
    );
  return EXIT.well;
}

async function withProgress<T>(done: string, work: (onFile: () => void) => Promise<T>): Promise<T> {
  using progress = new Progress({ total: 0, unit: "files", done });
  return await work(() => progress.add(1));
}

/** True where all of the accounts lies in this host's folder, which is copied as it is. */
function isEmbedded({ storage }: Config): boolean {
  return storage.kind === "embedded" && storage.log_kind === "";
}

/** Accounts out of a bucket, or of two stores, into an embedded store: each as of one moment. */
async function backUpObjects(
  config: Config,
  folder: string,
): Promise<{ readonly files: number; readonly bytes: number }> {
  await using context = await openContext(config, "check");
  await using to = await openCopy(folder);
  let [files, bytes] = [0, 0];
  for (const { record } of await context.users.list()) {
    const prefix = accountPrefix(record);
    using progress = new Progress({
      total: await measureAccount(context.store, prefix),
      unit: "bytes",
      done: "backed up",
    });
    const onDone = (size: number): void => {
      bytes += size;
      progress.add(size);
    };
    files += (await backUpAccount({ from: context.store, to: to.store, prefix, onDone })).copied;
  }
  return { files, bytes };
}

/** Mail that waited when the backup was made goes to its owners. Without the server key nobody can read it. */
async function settleQueue(config: Config): Promise<number> {
  await using context = await openContext(config, "check");
  return await setRestoredAside(context);
}

/** The accounts of a backup into the configured store. */
async function restoreObjects(config: Config, folder: string, users: readonly User[]): Promise<void> {
  await using context = await openContext(config, "check");
  await context.checkStore();
  await using from = await openCopy(folder);
  for (const { record } of users) {
    const prefix = accountPrefix(record);
    using progress = new Progress({ total: await measureAccount(from.store, prefix), unit: "bytes", done: "restored" });
    const { signer, store, platform } = context;
    const onDone = (size: number): void => progress.add(size);
    await restoreAccount({ from: from.store, to: store, prefix, signer, random: platform.crypto.random, onDone });
  }
}

async function openCopy(folder: string): Promise<{ readonly store: ObjectStore } & AsyncDisposable> {
  const onFatal = (message: string): void => {
    throw new Exit(EXIT.failed, `${folder}: ${message}`);
  };
  const store = await openEmbeddedStore({ folder, reserveBytes: 0, onFatal });
  return {
    store,
    async [Symbol.asyncDispose]() {
      await store.dispose();
      settleEmbeddedStore(folder);
    },
  };
}

/** A directory has its own backups; what it tells of accounts is kept here too, since a restore must mark each of them. */
async function backUpUsers(config: Config, to: string): Promise<void> {
  if (config.login.kind !== "ldap") return copyTree(placesOf(config).users, to);
  const directory = await openLdap(config, openLog(config));
  const copy = new UsersFolder(to);
  for (const user of await directory.list()) await copy.add(user);
}

/**
 * `restante restore DIR` into a place that has no store. Mail that came after the backup is gone, so uids may be given
 * again: each account is marked, and its owner's next sign-in raises every UIDVALIDITY.
 */
export async function restore(config: Config, args: readonly [string], flags: Pick<Flags, "json">): Promise<number> {
  await becomeDataOwner(config);
  const folder = folderOf(config, args, "restore");
  const places = placesOf(config);
  await readComplete(folder);
  if (isEmbedded(config) && (await exists(places.store)))
    throw new Exit(EXIT.failed, `there is a store in ${places.store}; stop the server and move it away`);
  const users = await new UsersFolder(join(folder, "users")).list();
  const accounts = users.map(({ record }) => accountPrefix(record).slice(0, -1));
  await makeConfigured("server.data", config.server.data);
  if (config.storage.path !== "") await makeConfigured("storage.path", dirname(config.storage.path));
  // Before the store: whoever finds it finds it marked.
  await markRestored(places.witness, accounts);
  for (const name of ["users", "tls"] as const) await copyTree(join(folder, name), places[name]);
  await copyIfThere(join(folder, "keys", "lmtp"), places.lmtpKey);
  const hasPepper = await copyIfThere(`${folder}.pepper`, places.pepper);
  await copyIfThere(serverKeyOf(folder), places.serverKey);
  // Their keys are the operator's word now, also where a newer one was seen.
  const seen = new UsersFolder(places.seen);
  for (const user of users) await trustRecord(seen, user);
  if (isEmbedded(config))
    await withProgress("copied", (onFile) => restoreEmbeddedStore(join(folder, "store"), places.store, onFile));
  // An account of a bucket brings no queue along.
  const aside = isEmbedded(config) ? await settleQueue(config) : 0;
  if (!isEmbedded(config)) await restoreObjects(config, join(folder, "store"), users);
  const opens = hasPepper || (await exists(places.pepper));
  if (flags.json) process.stdout.write(`${JSON.stringify({ accounts: accounts.length, pepper: opens, aside })}\n`);
  else
    process.stdout.write(
      `${accounts.length} accounts restored; mail programs will fetch everything anew\n` +
        `Hosts that deliver elsewhere and saw newer keys want: restante lmtp trust ADDRESS\n` +
        `${aside} messages waited to be sent and may have gone since: their owners have them, and none is sent\n${
          opens ? "" : `There is no ${folder}.pepper: passwords won't open, recovery codes will (account recover).\n`
        }`,
    );
  return EXIT.well;
}

function folderOf(config: Config, [folder]: readonly [string], command: string): string {
  if ([config.storage.kind, config.storage.log_kind].includes("memory"))
    throw new Exit(EXIT.usage, `${command} is for accounts that outlive the server`);
  return folder.replace(/\/+$/, "");
}

/** Beside a backup, as its pepper. */
function serverKeyOf(folder: string): string {
  return `${folder}.server`;
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

/** Copies a file. False if there is none. */
async function copyIfThere(from: string, to: string): Promise<boolean> {
  if (!(await exists(from))) return false;
  await makeFolder(dirname(to));
  await copyFile(from, to);
  return true;
}
