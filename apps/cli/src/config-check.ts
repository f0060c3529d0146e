import { constants, existsSync } from "node:fs";
import { access, stat } from "node:fs/promises";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { StoreError } from "@restante/engine";
import {
  acmeFile,
  type Config,
  ConfigError,
  certificateProblems,
  dataPath,
  findKey,
  isLoopbackAddress,
  ListenError,
  listen,
  parseListenAddress,
  readCertificate,
} from "@restante/host";
import { serverNames } from "./certificate-watch.ts";
import { becomeDataOwner, type Context, type KeyFile, keysOf, openContext, placesOf } from "./context.ts";
import { EXIT, Exit } from "./exit.ts";
import type { Flags } from "./flags.ts";
import { listenersOf } from "./listeners.ts";
import { print } from "./print.ts";
import { checkDemo, RULES } from "./rules.ts";
import { readRunning } from "./running.ts";
import { exitOf, systemErrorOf, textOf } from "./system-error.ts";

/** An address that no directory has; a search for it shows that the directory answers. */
const NOBODY = "nobody@localhost";

/** `wrong` stays so until somebody changes something, `unavailable` may be better later; `warning` hinders nobody yet. */
type State = "well" | "warning" | "wrong" | "unavailable";

interface Finding {
  /** A setting, or what it names. */
  readonly what: string;
  readonly state: State;
  readonly text: string;
}

/**
 * `restante config check`: what `serve` would need, looked at one by one: addresses that can be listened on, folders, the
 * certificate, the store, and the accounts that settings name. All is looked at, whatever is found before.
 */
export async function checkConfig(config: Config, flags: Pick<Flags, "json">): Promise<number> {
  // Ports are looked at by root, which may have all of them, folders and files by the server's user.
  const listeners = await Promise.all(listenersOf(config).map(checkListener(config, await readRunning(config))));
  await becomeDataOwner(config);
  const findings = [
    ...checkRules(config),
    ...listeners,
    ...checkTrusting(config),
    ...(await Promise.all(foldersOf(config).map(checkFolder))),
    ...(await checkInnerFolders(config)),
    ...(await Promise.all(Object.values(keysOf(config)).map(checkKey))),
    ...(await checkCertificate(config)),
  ];
  if (!findings.some(({ state }) => state === "wrong")) findings.push(...(await checkStore(config)));
  const states = findings.map(({ state }) => state);
  const file = config.file ?? "defaults";
  if (flags.json) print(flags, { file, findings });
  else {
    const lines = findings.map(({ what, state, text }) => `${what}: ${state}${text === "" ? "" : `: ${text}`}`);
    const wrong = states.filter((state) => state === "wrong" || state === "unavailable").length;
    print(flags, [...lines, `${file}: ${wrong === 0 ? "well" : `${wrong} to mend`}`]);
  }
  if (states.includes("wrong")) return EXIT.usage;
  return states.includes("unavailable") ? EXIT.unavailable : EXIT.well;
}

const well = (what: string, text = ""): Finding => ({ what, state: "well", text });

function found(what: string, error: unknown): Finding {
  if (error instanceof ConfigError) return { what, state: "wrong", text: error.message };
  if (error instanceof ListenError)
    return { what, state: error.kind === "taken" ? "unavailable" : "wrong", text: error.message };
  const refused = systemErrorOf(error);
  if (refused) return { what, state: exitOf(refused) === EXIT.usage ? "wrong" : "unavailable", text: textOf(refused) };
  const isWrong = (error instanceof StoreError && error.code === "invalid") || error instanceof Exit;
  return { what, state: isWrong ? "wrong" : "unavailable", text: (error as Error).message };
}

/** Settings that contradict each other. */
function checkRules(config: Config): Finding[] {
  return RULES.flatMap(([what, check]) => {
    try {
      check(config);
      return [];
    } catch (error) {
      return [found(what, error)];
    }
  });
}

function checkListener({ server: { share_ports } }: Config, running: ReadonlyMap<string, number>) {
  return async ({ setting, address }: { readonly setting: string; readonly address: string }): Promise<Finding> => {
    const what = `${setting} ${address}`;
    const server = createServer((socket) => socket.destroy());
    try {
      await listen(server, parseListenAddress(address), share_ports);
      return well(what);
    } catch (error) {
      const pid = running.get(address);
      const isOurs = pid !== undefined && error instanceof ListenError && error.kind === "taken";
      return isOurs ? well(what, `the server that runs listens there: process ${pid}`) : found(what, error);
    } finally {
      server.close();
    }
  };
}

/** Warnings for LMTP and metrics listeners that other machines reach: neither asks for a password. */
function checkTrusting({ lmtp, metrics }: Config): Finding[] {
  const texts = { "lmtp.listen": "delivers", "metrics.listen": "reads what is counted" };
  return [
    ...lmtp.listen.map((address) => ({ what: "lmtp.listen" as const, address })),
    ...metrics.listen.map((address) => ({ what: "metrics.listen" as const, address })),
  ]
    .filter(({ address }) => !isLoopbackAddress(parseListenAddress(address)))
    .map(({ what, address }) => ({
      what,
      state: "warning",
      text: `whoever reaches ${address} ${texts[what]}: nobody is asked`,
    }));
}

function foldersOf(config: Config): { readonly what: string; readonly path: string }[] {
  const { store, users } = placesOf(config);
  return [
    { what: "server.data", path: config.server.data },
    { what: "storage.path", path: store },
    { what: "login.users_dir", path: users },
  ];
}

/** Folders of the server's own below `server.data`: told of where something is wrong alone. */
async function checkInnerFolders(config: Config): Promise<Finding[]> {
  const { tls, seen, witness, cache, hints, tickets, traces, running } = placesOf(config);
  const paths = [dirname(seen), tls, seen, witness, cache, hints, tickets, traces, running];
  const findings = await Promise.all(paths.map((path) => checkFolder({ what: "server.data", path })));
  return findings.filter(({ state }) => state !== "well");
}

/** Checks a folder: it is there and may be written to, or can be made. */
async function checkFolder({ what, path }: { readonly what: string; readonly path: string }): Promise<Finding> {
  try {
    const folder = await nearest(path);
    if (!(await stat(folder)).isDirectory()) return { what, state: "wrong", text: `${folder} is no folder` };
    await access(folder, constants.W_OK | constants.X_OK);
    return well(what, folder === path ? path : `${path} will be made`);
  } catch (error) {
    return found(what, error);
  }
}

/** The path, or what leads there as far as it is there. */
async function nearest(path: string): Promise<string> {
  try {
    await stat(path);
    return path;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT" || dirname(path) === path) throw error;
    return nearest(dirname(path));
  }
}

/** Checks a key file: it has as many bytes as it should, or can be made. */
async function checkKey({ setting: what, path, bytes }: KeyFile): Promise<Finding> {
  try {
    // Where it is there, its folder may be anybody's.
    if (await findKey(path, bytes)) return well(what, path);
  } catch (error) {
    return found(what, error);
  }
  return checkFolder({ what, path: dirname(path) });
}

/** The one that would be in force, and for what names it should be good. */
function certificateOf(config: Config): {
  readonly what: string;
  readonly files: readonly [string, string];
  readonly names: readonly string[];
} {
  const { cert, key, acme } = config.tls;
  const folder = dataPath(config, "tls");
  if (cert !== "") return { what: "tls.cert", files: [cert, key], names: serverNames(config) };
  if (acme !== "") return { what: "tls.acme", files: [acmeFile(folder), acmeFile(folder)], names: [] };
  return { what: "tls.cert", files: [join(folder, "localhost.pem"), join(folder, "localhost.key")], names: [] };
}

async function checkCertificate(config: Config): Promise<Finding[]> {
  const { what, files, names } = certificateOf(config);
  const isLater = config.tls.cert === "" && !existsSync(files[0]);
  if (isLater && what === "tls.acme") return [well(what, "it will be asked for")];
  if (isLater) return [well(what, "a certificate of its own will be made, which names localhost alone")];
  try {
    const { facts } = await readCertificate(...files);
    const problems = certificateProblems(facts, { nowMs: Date.now(), names });
    const isOver = problems.some((text) => !text.startsWith("it ends"));
    if (problems.length === 0) return [well(what, `until ${facts.validTo}, for ${facts.subjectAltName ?? ""}`)];
    return problems.map((text) => ({ what, state: isOver ? "wrong" : "warning", text }));
  } catch (error) {
    return [found(what, error)];
  }
}

/** The people: in their folder, or the directory, which must answer. */
async function checkUsers({ config, users, passwords }: Context): Promise<Finding[]> {
  const what = passwords ? "ldap" : "login.users_dir";
  try {
    if (passwords) {
      await users.find(NOBODY);
      return [well(what, config.ldap.url)];
    }
    const all = await users.list();
    checkDemo(
      config,
      all.map(({ address }) => address),
    );
    return [well(what, `${all.length} accounts`)];
  } catch (error) {
    return [found(what, error)];
  }
}

async function checkStore(config: Config): Promise<Finding[]> {
  const database = join(placesOf(config).store, "store.sqlite");
  // Looking must not make one.
  if (config.storage.kind !== "s3" && (await nearest(database)) !== database)
    return [well("storage", "an empty store will be made")];
  try {
    await using context = await openContext(config, "check");
    await context.reachStore();
    const findings = [well("storage", config.storage.kind), ...(await checkUsers(context))];
    const { aliases, catch_all, postmaster } = config.lmtp;
    const named = [
      ...Object.entries(aliases).map(([alias, address]) => ({ what: `lmtp.aliases ${alias}`, address })),
      ...(catch_all === "" ? [] : [{ what: "lmtp.catch_all", address: catch_all }]),
      ...(postmaster === "" ? [] : [{ what: "lmtp.postmaster", address: postmaster }]),
    ];
    for (const { what, address } of named)
      if (!(await context.users.find(address)))
        findings.push({ what, state: "wrong", text: `there is no account ${address}` });
    return findings;
  } catch (error) {
    return [found("storage", error)];
  }
}
