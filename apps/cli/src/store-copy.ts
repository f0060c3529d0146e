import { readFile } from "node:fs/promises";
import { accountPrefix, measureAccount, moveAccount, type OutboundMove, type User } from "@restante/engine";
import { readConfig } from "@restante/host";
import { type Context, getUser, openContext, placesOf } from "./context.ts";
import { EXIT, Exit } from "./exit.ts";
import type { Flags } from "./flags.ts";
import { openOutboundPlace } from "./outbound.ts";
import { print } from "./print.ts";
import { Progress } from "./progress.ts";

/**
 * `restante store copy FROM TO [ADDRESS]`: accounts move from the store of one configuration file to that of another.
 * The environment is not asked: it could not tell which of the two is meant. Servers may run on both.
 */
export async function copyStore(
  [fromFile, toFile, address]: readonly [string, string, string | undefined],
  flags: Pick<Flags, "json">,
): Promise<number> {
  await using from = await openContext(readConfig(fromFile, {}), "check");
  await using to = await openContext(readConfig(toFile, {}), "check");
  await checkOwnersComeIn(from, to);
  await to.checkStore();
  const users = address === undefined ? await from.users.list() : [await getUser(from, address)];
  const outbound = { from: await openOutboundPlace(from), to: await openOutboundPlace(to) };
  const moved: (MoveReport & { readonly address: string })[] = [];
  for (const user of users) {
    await checkUser(to, user);
    moved.push({ address: user.address, ...(await move({ from, to, outbound }, user)) });
    if (!(await to.users.find(user.address))) await to.users.add(user);
  }
  const next = `Let the servers use ${toFile} now, then run this again: it brings what was delivered meanwhile.`;
  const busy = moved.reduce((sum, one) => sum + one.busy, 0);
  const unreadable = Math.max(0, ...moved.map((one) => one.unreadable));
  if (flags.json) print(flags, moved);
  else
    print(flags, [
      ...moved.map(lineOf),
      ...(unreadable > 0
        ? [
            `${unreadable} messages that wait to be sent can't be read with the server key of ${fromFile}: they stay there`,
          ]
        : []),
      next,
    ]);
  if (busy === 0) return EXIT.well;
  throw new Exit(EXIT.failed, `${busy} messages are just being sent: run this again in 15 minutes`);
}

type MoveReport = Awaited<ReturnType<typeof moveAccount>>;

function lineOf({ address, copied, found, mails }: MoveReport & { readonly address: string }): string {
  const waiting = mails === 0 ? "" : `, ${mails} messages that wait to be sent`;
  return `${address}: ${copied} objects copied, ${found} were there${waiting}`;
}

async function move(
  { from, to, outbound }: { readonly from: Context; readonly to: Context; readonly outbound: OutboundMove },
  user: User,
): Promise<MoveReport> {
  const prefix = accountPrefix(user.record);
  using progress = new Progress({ total: await measureAccount(from.store, prefix), unit: "bytes", done: "copied" });
  return moveAccount({
    from: from.store,
    to: to.store,
    prefix,
    signer: from.signer,
    outbound,
    onDone: (size) => progress.add(size),
  });
}

/** Throws Exit unless the target has the pepper and the trusted hosts, which no store holds. Without them passwords would not
 * open slots there, and waiting notes would not be believed. */
async function checkOwnersComeIn(from: Context, to: Context): Promise<void> {
  const [here, there] = [placesOf(from.config).pepper, placesOf(to.config).pepper];
  const [pepper, other] = await Promise.all([readIfThere(here), readIfThere(there)]);
  if (pepper && !other?.equals(pepper))
    throw new Exit(EXIT.failed, `no password would open there: the pepper of ${here} must be in ${there}`);
  const trusted = to.platform.trustedHosts.map(asText);
  const missing = from.platform.trustedHosts.map(asText);
  const untrusted = missing.filter((key) => !trusted.includes(key));
  if (untrusted.length > 0)
    throw new Exit(
      EXIT.failed,
      `mail that waits would not be believed there: ${to.config.file} needs, in [login], trusted_hosts = ${JSON.stringify(untrusted)}`,
    );
}

async function checkUser(to: Context, user: User): Promise<void> {
  const known = await to.users.find(user.address);
  if (known && accountPrefix(known.record) !== accountPrefix(user.record))
    throw new Exit(EXIT.failed, `${user.address} is another account there`);
  if (!known && to.passwords)
    throw new Exit(EXIT.failed, `the directory of ${to.config.file} does not know ${user.address}`);
}

function asText(key: Uint8Array): string {
  return Buffer.from(key).toString("base64");
}

async function readIfThere(file: string): Promise<Buffer | undefined> {
  return readFile(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
}
