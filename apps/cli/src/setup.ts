import { existsSync, realpathSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { type Config, makeFolder, readConfig, writeNew } from "@restante/host";
import { addAccount } from "./account.ts";
import { askLine } from "./ask.ts";
import { becomeDataOwner, openContext, readPepper, readServerKey } from "./context.ts";
import { EXIT, Exit } from "./exit.ts";
import type { Flags } from "./flags.ts";
import { configFile } from "./setup/config-file.ts";
import { addressIn, hostName, type Plan, senderOf, storeOf } from "./setup/plan.ts";
import { dnsRecords, postfixLines } from "./setup/records.ts";
import { serveUnit } from "./setup/units.ts";

interface SetupFlags extends Pick<Flags, "passwordStdin"> {
  readonly domain: string | undefined;
  readonly address: string | undefined;
  readonly host: string | undefined;
  readonly sender: string | undefined;
  readonly data: string | undefined;
  readonly store: string | undefined;
}

/**
 * `restante setup`: from nothing to a configuration, keys and the first account, and what else has to be done elsewhere.
 * Present files stay: run again, it changes nothing and tells the rest once more.
 */
export async function setup(configPath: string | undefined, flags: SetupFlags): Promise<number> {
  const file = resolve(configPath ?? process.env.RESTANTE_CONFIG ?? "restante.toml");
  const known = readIfThere(file);
  const fresh = known ? undefined : await newPlan(flags);
  const plan = fresh ?? (await knownPlan(file, known!, flags));
  const wanted = fresh && (await firstAddress(plan.domain, flags));
  // The file too is the server's, which holds secrets and is read by nobody else.
  await becomeDataOwner({ server: { data: plan.data } });
  if (fresh) {
    await makeFolder(dirname(file));
    await writeNew(file, configFile(fresh));
  }
  say(known ? `${file} is there and stays.` : `Wrote ${file}.`);
  const config = readConfig(file, process.env);
  if (config.storage.kind === "s3" && config.s3.secret_key === "") {
    say(`Put the bucket's key into [s3], then run restante setup --config ${file} again: it makes the account.`);
  } else await makeFirstAccount(config, plan.domain, wanted, flags);
  tell("DNS records", dnsRecords(plan, config));
  tell("Postfix", postfixLines(plan.domain, config));
  const restante = `${process.execPath} ${realpathSync(process.argv[1]!)}`;
  tell("systemd: /etc/systemd/system/restante.service (the Debian package brings one, with its user)", [
    `# Its user, if there is none yet: useradd --system --home-dir ${plan.data} restante`,
    `# To whom all belongs: chown -R restante: ${plan.data} ${file}`,
    serveUnit({ restante, config: file, data: plan.data }),
  ]);
  say(`Next: a certificate (tls.cert, or tls.acme) in ${file}; then restante config check --config ${file}`);
  return EXIT.well;
}

function readIfThere(file: string): Config | undefined {
  if (!existsSync(file)) return undefined;
  return readConfig(file, process.env);
}

const STORE = "Store: embedded, or s3:ENDPOINT/BUCKET";

async function newPlan(flags: SetupFlags): Promise<Plan> {
  const ask = async (flag: "domain" | "host" | "sender" | "store", question: string, usual?: string): Promise<string> =>
    flags[flag] ?? answerTo(`--${flag}`, question, usual);
  const domain = hostName("domain", await ask("domain", "Domain, after the @"));
  const host = hostName("host", await ask("host", "This machine's name in the DNS", `mail.${domain}`));
  const sender = hostName("sender", await ask("sender", "Host that sends the domain's mail", host));
  const store = storeOf(await ask("store", STORE, "embedded"));
  return { domain, host, sender, store, data: resolve(flags.data ?? "data") };
}

/** The plan that the present file stands for, without the store, which the file itself names. Throws Exit for a flag that
 * contradicts the file, since it would change nothing. */
async function knownPlan(file: string, config: Config, flags: SetupFlags): Promise<Omit<Plan, "store">> {
  const [known] = config.server.domains;
  const domain = hostName(
    "domain",
    flags.domain ?? known ?? (await answerTo("--domain", "Domain, after the @", undefined)),
  );
  const host = config.server.origin === "" ? undefined : new URL(config.server.origin).hostname;
  const data = resolve(config.server.data);
  const sender = senderOf(config, host ?? `mail.${domain}`);
  const said = {
    host: flags.host && hostName("host", flags.host),
    sender: flags.sender && hostName("sender", flags.sender),
    data: flags.data && resolve(flags.data),
    store: flags.store && storeOf(flags.store).kind,
  };
  for (const [flag, told, stands] of [
    ["domain", domain, config.server.domains.length === 0 || config.server.domains.includes(domain) ? domain : known],
    ["host", said.host, host],
    ["sender", said.sender, sender],
    ["data", said.data, data],
    ["store", said.store, config.storage.kind],
  ] as const)
    if (told !== undefined && stands !== undefined && told !== stands)
      throw new Exit(EXIT.usage, `--${flag}: ${file} says ${stands}, and stays as it is: change it there`);
  return {
    domain,
    host: said.host ?? host ?? `mail.${domain}`,
    sender: said.sender ?? sender,
    data,
  };
}

async function firstAddress(domain: string, { address }: SetupFlags): Promise<string> {
  return addressIn(domain, address ?? (await answerTo("--address", "First address", `postmaster@${domain}`)));
}

async function answerTo(flag: string, question: string, usual: string | undefined): Promise<string> {
  const hint = usual === undefined ? "" : ` [${usual}]`;
  const answer = (await askLine(`${question}${hint}: `, flag)).trim();
  if (answer !== "") return answer;
  if (usual === undefined) throw new Exit(EXIT.usage, `${flag} is missing`);
  return usual;
}

/** The keys too, which a server would make at its first start. Nobody is asked for an address where there are accounts. */
async function makeFirstAccount(
  config: Config,
  domain: string,
  wanted: string | undefined,
  flags: SetupFlags,
): Promise<void> {
  const addresses = await makeKeys(config);
  say(`The keys are in ${config.server.data}/keys.`);
  if (wanted === undefined && flags.address === undefined && addresses.length > 0) {
    say(`Accounts are there and stay: ${addresses.length}.`);
    return;
  }
  const address = wanted ?? (await firstAddress(domain, flags));
  if (addresses.includes(address)) say(`${address} is there and stays.`);
  else await addAccount(config, [address], { ...flags, json: false });
}

/** Resolves with the addresses that there are. */
async function makeKeys(config: Config): Promise<readonly string[]> {
  await using context = await openContext(config);
  await readPepper(config);
  await readServerKey(config);
  return (await context.users.list()).map(({ address }) => address);
}

function tell(title: string, lines: readonly string[]): void {
  say(`\n--- ${title}\n${lines.join("\n")}`);
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
