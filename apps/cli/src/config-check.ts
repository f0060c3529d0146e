import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { StoreError } from "@restante/engine";
import {
  type Config,
  ConfigError,
  certificateProblems,
  ListenError,
  listen,
  parseListenAddress,
  readCertificate,
} from "@restante/host";
import { serverNames } from "./certificate-watch.ts";
import { openContext, placesOf } from "./context.ts";
import { EXIT } from "./exit.ts";
import type { Flags } from "./flags.ts";
import { checkHttps } from "./https.ts";
import { hiddenFrom } from "./imap.ts";
import { listenersOf } from "./listeners.ts";
import { checkOutbound } from "./outbound.ts";
import { print } from "./print.ts";

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
  const findings = [
    ...checkRules(config),
    ...(await Promise.all(listenersOf(config).map(checkListener(config)))),
    ...(await Promise.all(foldersOf(config).map(checkFolder))),
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
  const isWrong = error instanceof StoreError && error.code === "invalid";
  return { what, state: isWrong ? "wrong" : "unavailable", text: (error as Error).message };
}

/** Settings that contradict each other. */
function checkRules(config: Config): Finding[] {
  const rules: readonly [string, () => unknown][] = [
    ["https", () => checkHttps(config)],
    ["imap", () => hiddenFrom(config)],
    ["outbound", () => checkOutbound(config)],
  ];
  return rules.flatMap(([what, check]) => {
    try {
      check();
      return [];
    } catch (error) {
      return [found(what, error)];
    }
  });
}

function checkListener({ server: { share_ports } }: Config) {
  return async ({ setting, address }: { readonly setting: string; readonly address: string }): Promise<Finding> => {
    const what = `${setting} ${address}`;
    const server = createServer((socket) => socket.destroy());
    try {
      await listen(server, parseListenAddress(address), share_ports);
      return well(what);
    } catch (error) {
      return found(what, error);
    } finally {
      server.close();
    }
  };
}

function foldersOf(config: Config): { readonly what: string; readonly path: string }[] {
  const { data } = config.server;
  const { store, users, pepper, lmtpKey, serverKey } = placesOf(config);
  return [
    { what: "server.data", path: data },
    { what: "storage.path", path: store },
    { what: "login.users_dir", path: users },
    { what: "login.pepper_file", path: dirname(pepper) },
    { what: "lmtp.key_file", path: dirname(lmtpKey) },
    { what: "server.key_file", path: dirname(serverKey) },
  ];
}

/** It is there and may be written to, or can be made. */
async function checkFolder({ what, path }: { readonly what: string; readonly path: string }): Promise<Finding> {
  try {
    const folder = await nearest(path);
    if (!(await stat(folder)).isDirectory()) return { what, state: "wrong", text: `${folder} is no folder` };
    await access(folder, constants.W_OK | constants.X_OK);
    return well(what, folder === path ? path : `${path} will be made`);
  } catch (error) {
    return { what, state: "wrong", text: (error as Error).message };
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

async function checkCertificate({ tls, server }: Config): Promise<Finding[]> {
  if (tls.cert === "") return [well("tls.cert", "a certificate of its own, which names localhost alone")];
  try {
    const { facts } = await readCertificate(tls.cert, tls.key);
    const names = serverNames({ server });
    const problems = certificateProblems(facts, { nowMs: Date.now(), names });
    const isOver = problems.some((text) => !text.startsWith("it ends"));
    if (problems.length === 0) return [well("tls.cert", `until ${facts.validTo}, for ${facts.subjectAltName ?? ""}`)];
    return problems.map((text) => ({ what: "tls.cert", state: isOver ? "wrong" : "warning", text }));
  } catch (error) {
    return [found("tls.cert", error)];
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
    const findings = [well("storage", config.storage.kind)];
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
