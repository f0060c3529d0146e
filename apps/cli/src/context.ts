import { readFile, stat, writeFile } from "node:fs/promises";
import {
  type AccountSession,
  Accounts,
  type Deliverer,
  normalizeAddress,
  type ObjectStore,
  type PasswordDirectory,
  type Platform,
  QuietEntries,
  ready,
  SERVER_KEY_BYTES,
  SERVER_PUBLIC_KEY_BYTES,
  type SeenRecords,
  type SigningKeyPair,
  serverPublicKey,
  signingKeyPair,
  Unsettled,
  type User,
  type UserDirectory,
} from "@restante/engine";
import { nodePlatform, UsersFolder, witnessFolder } from "@restante/engine/node";
import {
  type Config,
  ConfigError,
  createLog,
  dataPath,
  type Log,
  type Metrics,
  makeFolder,
  readOrMakeKey,
} from "@restante/host";
import { askSecret } from "./ask.ts";
import { EXIT, Exit } from "./exit.ts";
import type { Flags } from "./flags.ts";
import { openLdap } from "./ldap.ts";
import { OwnQuotas } from "./own-quotas.ts";
import { type OpenedStore, openStore, type Use } from "./store.ts";
import { exitOf, isSystemError, textOf } from "./system-error.ts";

const PEPPER_BYTES = 32;
const SIGNER_SEED_BYTES = 32;

/** The store, the users and the platform, made from the configuration: every command works on them. */
export interface Context extends AsyncDisposable {
  readonly config: Config;
  readonly log: Log;
  /** Where somebody may ask for them. */
  readonly metrics: Metrics | undefined;
  readonly store: ObjectStore;
  /** Throws ConfigError where no log can be kept in the store. Nothing is written there before, whoever asks. */
  readonly checkStore: () => Promise<void>;
  /** Throws StoreError where the store does not answer now, or can keep no log. */
  readonly reachStore: () => Promise<void>;
  /** Frees what killed processes left of uploads. */
  readonly sweepStore: () => Promise<void>;
  readonly users: UserDirectory;
  /** The same, where it judges passwords itself. */
  readonly passwords: PasswordDirectory | undefined;
  readonly platform: Platform;
  /** Recipient records that this host saw last, by account: docs/rules.md §7. */
  readonly seenRecords: SeenRecords;
  /** The key pair by which this host signs. */
  readonly signer: SigningKeyPair;
}

export async function openContext(config: Config, use: Use = "all", metrics?: Metrics): Promise<Context> {
  await ready;
  const log = openLog(config);
  await makeFolders(config);
  const signer = await readSigner(config);
  const crypto = nodePlatform();
  const { store: folder, cache: cacheFolder, hints: hintsFolder } = placesOf(config);
  const place: OpenedStore["place"] = (account, bucket) => opened.place(account, bucket);
  const quotas = new OwnQuotas(config);
  const passwords =
    config.login.kind === "ldap" ? await openLdap(config, log, { place, limit: quotas.limit }) : undefined;
  const opened = await openStore({ config, folder, cacheFolder, hintsFolder, log, use, metrics });
  return {
    config,
    log,
    metrics,
    store: opened.store,
    checkStore: opened.check,
    reachStore: opened.reach,
    sweepStore: opened.sweep,
    passwords,
    users: passwords ?? new UsersFolder(placesOf(config).users, { anyForm: true }),
    seenRecords: new UsersFolder(placesOf(config).seen),
    signer,
    platform: {
      crypto,
      now: Date.now,
      monotonic: () => performance.now(),
      delay: (ms, signal) =>
        new Promise((resolve) => {
          const timer = setTimeout(resolve, ms).unref();
          const end = (): void => {
            clearTimeout(timer);
            resolve();
          };
          signal?.addEventListener("abort", end, { once: true });
        }),
      breathe: () => new Promise((resolve) => setImmediate(resolve)),
      every(ms, work) {
        const timer = setInterval(work, ms).unref();
        return () => clearInterval(timer);
      },
      trustedHosts: trustedHosts(config, signer),
      quietEntries: new QuietEntries(),
      quota: quotas.ofAll,
      quotaOf: quotas.of,
      log,
      witnesses: witnessFolder(placesOf(config).witness),
    },
    async [Symbol.asyncDispose]() {
      await opened.dispose();
      await crypto.dispose();
    },
  };
}

export function openLog(config: Config): Log {
  return createLog(config.log.level, (line) => process.stderr.write(line));
}

interface Places {
  readonly store: string;
  readonly users: string;
  readonly tls: string;
  readonly pepper: string;
  readonly lmtpKey: string;
  readonly seen: string;
  readonly witness: string;
  readonly ended: string;
  readonly cache: string;
  readonly hints: string;
  readonly serverKey: string;
  readonly serverPublicKey: string;
  readonly tickets: string;
  readonly traces: string;
  readonly running: string;
}

/** Where this host keeps what. */
export function placesOf(config: Config): Places {
  const serverKey = config.server.key_file || dataPath(config, "keys", "server");
  return {
    store: config.storage.path || dataPath(config, "store"),
    users: config.login.users_dir || dataPath(config, "users"),
    tls: dataPath(config, "tls"),
    pepper: config.login.pepper_file || dataPath(config, "keys", "pepper"),
    lmtpKey: config.lmtp.key_file || dataPath(config, "keys", "lmtp"),
    seen: dataPath(config, "keys", "seen"),
    witness: dataPath(config, "keys", "witness"),
    ended: dataPath(config, "keys", "ended"),
    cache: dataPath(config, "cache"),
    hints: dataPath(config, "hints"),
    serverKey,
    serverPublicKey: `${serverKey}.pub`,
    tickets: dataPath(config, "tickets"),
    traces: dataPath(config, "traces"),
    running: dataPath(config, "running"),
  };
}

/** Throws Exit, which names the setting. */
export async function makeConfigured(setting: string, path: string): Promise<void> {
  try {
    await makeFolder(path);
  } catch (error) {
    if (!isSystemError(error)) throw error;
    throw new Exit(exitOf(error), `${setting}: the folder ${path} can't be made: ${textOf(error)}`);
  }
}

interface DataFolder {
  readonly server: Pick<Config["server"], "data">;
}

/** The owner of `server.data`, if this process is root and the folder another's: that user's server could not read root's
 * files. */
async function otherOwner({ server }: DataFolder): Promise<{ readonly uid: number; readonly gid: number } | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  // A folder that is not there yet, or can't be seen, is nobody's: who opens it tells why.
  const facts = await stat(server.data).catch(() => undefined);
  return facts && facts.uid !== 0 ? facts : undefined;
}

/** Root's commands work as the user to whom `server.data` belongs, from here on and for good. */
export async function becomeDataOwner(config: DataFolder): Promise<void> {
  const owner = await otherOwner(config);
  if (!owner) return;
  // Its groups too, which a certificate may be read by. (Missing in the types.)
  (process as unknown as { initgroups(user: number, group: number): void }).initgroups(owner.uid, owner.gid);
  process.setgid!(owner.gid);
  process.setuid!(owner.uid);
}

/** A server is begun as its user, who may have to be given the right to its ports. Throws ConfigError. */
export async function refuseOthersData(config: Config): Promise<void> {
  const owner = await otherOwner(config);
  if (owner)
    throw new ConfigError(
      `server.data: ${config.server.data} belongs to user ${owner.uid}: begin the server as that user ` +
        `(setpriv --reuid=${owner.uid} --regid=${owner.gid} --init-groups restante serve …), or by its unit`,
    );
}

/** The folders that settings name; all others lie in them. */
async function makeFolders(config: Config): Promise<void> {
  const { server, storage, login } = config;
  await becomeDataOwner(config);
  await makeConfigured("server.data", server.data);
  const isOnDisk = storage.kind === "embedded" || storage.log_kind === "embedded";
  if (isOnDisk && storage.path !== "") await makeConfigured("storage.path", storage.path);
  if (login.kind === "static" && login.users_dir !== "") await makeConfigured("login.users_dir", login.users_dir);
}

export interface KeyFile {
  /** The setting that may name it. */
  readonly setting: string;
  readonly path: string;
  readonly bytes: number;
}

/** Secrets of this host: the front end's pepper, without which the store alone yields no password; what processes of all hosts of a
 * store share besides the store; and what this host signs by what it delivers. */
export function keysOf(config: Config): Readonly<Record<"pepper" | "server" | "lmtp", KeyFile>> {
  const { pepper, serverKey, lmtpKey } = placesOf(config);
  return {
    pepper: { setting: "login.pepper_file", path: pepper, bytes: PEPPER_BYTES },
    server: { setting: "server.key_file", path: serverKey, bytes: SERVER_KEY_BYTES },
    lmtp: { setting: "lmtp.key_file", path: lmtpKey, bytes: SIGNER_SEED_BYTES },
  };
}

/** Throws Exit, as all that reads these keys. */
export function readPepper(config: Config): Promise<Uint8Array> {
  return readKey(keysOf(config).pepper);
}

export function readServerKey(config: Config): Promise<Uint8Array> {
  return readKey(keysOf(config).server);
}

async function readKey({ setting, path, bytes }: KeyFile): Promise<Uint8Array> {
  try {
    return await readOrMakeKey(path, bytes);
  } catch (error) {
    if (isSystemError(error)) throw new Exit(exitOf(error), `${setting}: ${textOf(error)}`);
    throw error instanceof ConfigError ? new ConfigError(`${setting}: ${error.message}`) : error;
  }
}

/** The public half of the server key, as a file beside it: all that a process needs which only delivers. */
export async function writeServerPublicKey({ config, log }: Context, serverKey: Uint8Array): Promise<Uint8Array> {
  const path = placesOf(config).serverPublicKey;
  const key = serverPublicKey(serverKey);
  const text = `${Buffer.from(key).toString("base64")}\n`;
  try {
    if ((await readFile(path, "utf8").catch(() => "")) !== text) await writeFile(path, text);
  } catch (error) {
    // The key may lie where nothing is written.
    log({ level: "warn", event: "the server's public key can't be written", error });
  }
  return key;
}

/** The same as it was written by a process that has the server key; undefined if none did. Throws ConfigError. */
export async function readServerPublicKey(config: Config): Promise<Uint8Array | undefined> {
  const path = placesOf(config).serverPublicKey;
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw new ConfigError(`${path}: ${error.message}`);
  });
  if (text === undefined) return undefined;
  const key = new Uint8Array(Buffer.from(text.trim(), "base64"));
  if (key.length !== SERVER_PUBLIC_KEY_BYTES) throw new ConfigError(`${path} does not hold a server's public key`);
  return key;
}

async function readSigner(config: Config): Promise<SigningKeyPair> {
  return signingKeyPair(await readKey(keysOf(config).lmtp));
}

/** Public keys of the hosts whose deliveries are believed: this one's, and those that the configuration names. */
function trustedHosts(config: Config, signer: SigningKeyPair): readonly Uint8Array[] {
  return [signer.publicKey, ...config.login.trusted_hosts.map((key) => new Uint8Array(Buffer.from(key, "base64")))];
}

/** Signs the owner in by their password for the length of `work`. Where the store shows an older history than this host
 * has seen, that is said, and nothing is begun that `changes` the account; but where a part of it is lost, what `mends` that. */
export async function withSession<T>(
  config: Config,
  address: string,
  flags: Flags & { readonly use?: Use; readonly changes?: boolean; readonly mends?: boolean },
  work: (session: AccountSession) => Promise<T>,
): Promise<T> {
  await using context = await openContext(config, flags.use);
  await getUser(context, address);
  const accounts = new Accounts({ ...context, pepper: await readPepper(config) });
  try {
    const session = await accounts.login(address, await askSecret("Password: ", flags), "");
    if (session.barred !== undefined && !(flags.mends && session.isPartial)) {
      if (flags.changes) throw new Exit(EXIT.failed, session.barred);
      process.stderr.write(`restante: ${session.barred}\n`);
    }
    const result = await work(session);
    session.close();
    return result;
  } finally {
    await accounts.dispose();
  }
}

/** The user of a whole address, or of its part before the @ where that is unique. Throws Exit. */
export async function getUser({ users }: Context, address: string): Promise<User> {
  const name = normalizeAddress(address);
  const user = name.includes("@") ? await users.find(name) : await users.findLocal(name);
  if (!user) throw new Exit(EXIT.usage, `there is no account ${address}; restante account list shows those there are`);
  return user;
}

/** `serverPublicKey`: what requests for answers are sealed to; undefined where nothing is answered. */
export function makeDeliverer(
  { store, platform, users, signer }: Context,
  serverPublicKey: Uint8Array | undefined,
): Deliverer {
  return { store, platform, users, signer, unsettled: new Unsettled(platform), serverPublicKey };
}
