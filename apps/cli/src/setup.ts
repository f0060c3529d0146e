import { realpathSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { type Config, makeFolder, readConfig, writeNew } from "@restante/host";
import { addAccount } from "./account.ts";
import { askLine } from "./ask.ts";
import { openContext, readPepper, readServerKey } from "./context.ts";
import { EXIT, Exit } from "./exit.ts";
import type { Flags } from "./flags.ts";
import { configFile } from "./setup/config-file.ts";
import { addressIn, hostName, type Plan, type StorePlan } from "./setup/plan.ts";
import { dnsRecords, postfixLines } from "./setup/records.ts";
import { serveUnit } from "./setup/units.ts";

interface SetupFlags extends Flags {
  readonly domain: string | undefined;
  readonly address: string | undefined;
  readonly host: string | undefined;
  readonly sender: string | undefined;
  readonly data: string | undefined;
  readonly store: string | undefined;
}

/**
 * `restante setup`: from nothing to a configuration, keys and the first account, and what else has to be done elsewhere. What is
 * there stays: run again, it changes nothing and tells the rest once more.
 */
export async function setup(configPath: string | undefined, flags: SetupFlags): Promise<number> {
  const file = resolve(configPath ?? process.env.RESTANTE_CONFIG ?? "restante.toml");
  const known = readIfThere(file);
  const plan = await planOf(known, flags);
  if (!known) {
    await makeFolder(dirname(file));
    await writeNew(file, configFile(plan));
  }
  say(known ? `${file} is there and stays.` : `Wrote ${file}.`);
  const config = readConfig(file, process.env);
  if (config.storage.kind === "s3" && config.s3.secret_key === "") {
    say(`Put the bucket's key into [s3], then run restante setup --config ${file} again: it makes the account.`);
  } else await makeFirstAccount(config, plan.address, flags);
  tell("DNS records", dnsRecords(plan));
  tell("Postfix", postfixLines(plan));
  const places = { restante: `${process.execPath} ${realpathSync(process.argv[1]!)}`, config: file };
  tell("systemd: /etc/systemd/system/restante.service (the Debian package brings one)", [serveUnit(places)]);
  say(`Next: a certificate (tls.cert, or tls.acme) in ${file}; then restante config check --config ${file}`);
  return EXIT.well;
}

function readIfThere(file: string): Config | undefined {
  try {
    realpathSync(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    return undefined;
  }
  return readConfig(file, process.env);
}

async function planOf(known: Config | undefined, flags: SetupFlags): Promise<Plan> {
  const ask = async (flag: keyof SetupFlags, question: string, usual: string | undefined): Promise<string> => {
    const given = flags[flag];
    if (typeof given === "string") return given;
    if (known && usual !== undefined) return usual;
    return answerTo(`--${flag}`, question, usual);
  };
  const domain = hostName("domain", await ask("domain", "Domain, after the @", known?.server.domains[0]));
  const origin = known?.server.origin ? new URL(known.server.origin).hostname : `mail.${domain}`;
  const host = hostName("host", await ask("host", "This machine's name in the DNS", origin));
  const sender = hostName("sender", await ask("sender", "Host that sends the domain's mail", host));
  const address = addressIn(domain, await ask("address", "First address", `postmaster@${domain}`));
  const data = resolve(known?.server.data ?? flags.data ?? "data");
  return {
    domain,
    host,
    sender,
    address,
    data,
    store: storeOf(await ask("store", STORE, known?.storage.kind ?? "embedded")),
  };
}

const STORE = "Store: embedded, or s3:ENDPOINT/BUCKET";

function storeOf(text: string): StorePlan {
  if (text === "embedded" || text === "memory" || text === "s3") return { kind: "embedded" };
  const [, endpoint, bucket] = /^s3:(https?:\/\/[^/\s]+)\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])$/.exec(text) ?? [];
  if (endpoint === undefined || bucket === undefined)
    throw new Exit(EXIT.usage, `store: ${text} is neither embedded nor s3:https://HOST/BUCKET`);
  return { kind: "s3", endpoint, bucket };
}

async function answerTo(flag: string, question: string, usual: string | undefined): Promise<string> {
  const hint = usual === undefined ? "" : ` [${usual}]`;
  const answer = (await askLine(`${question}${hint}: `, flag)).trim();
  if (answer !== "") return answer;
  if (usual === undefined) throw new Exit(EXIT.usage, `${flag} is missing`);
  return usual;
}

/** The keys too, which a server would make at its first start. */
async function makeFirstAccount(config: Config, address: string, flags: Flags): Promise<void> {
  const isThere = await hasAccount(config, address);
  say(`The keys are in ${config.server.data}/keys.`);
  if (isThere) say(`${address} is there and stays.`);
  else await addAccount(config, [address], { ...flags, json: false });
}

async function hasAccount(config: Config, address: string): Promise<boolean> {
  await using context = await openContext(config);
  await readPepper(config);
  await readServerKey(config);
  return (await context.users.find(address)) !== undefined;
}

function tell(title: string, lines: readonly string[]): void {
  say(`\n--- ${title}\n${lines.join("\n")}`);
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
