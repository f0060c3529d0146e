import { type AccountSession, checkAccount, checkSealed, DAMAGED, RECOVERED } from "@restante/engine";
import { rebuildEmbeddedStore } from "@restante/engine/node";
import type { Config } from "@restante/host";
import { openContext, placesOf, withSession } from "./context.ts";
import { EXIT, Exit } from "./exit.ts";
import type { Flags } from "./flags.ts";
import { print } from "./print.ts";
import { Progress } from "./progress.ts";

interface CheckFlags extends Flags {
  readonly sealed: boolean;
  readonly repair: boolean;
  readonly retry: boolean;
}

/** `restante check ADDRESS`: the owner's check of everything in the account. */
export async function check(
  config: Config,
  [address]: readonly [string | undefined],
  flags: CheckFlags,
): Promise<number> {
  if (flags.sealed) {
    if (address !== undefined) throw new Exit(EXIT.usage, "check --sealed is of all accounts: it takes no address");
    return checkObjects(config, flags);
  }
  if (address === undefined && flags.repair) return rebuild(config, flags);
  if (address === undefined) throw new Exit(EXIT.usage, "check wants an address");
  if (flags.repair) return repair(config, address, flags);
  if (flags.retry) return retryNotes(config, address, flags);
  return withSession(config, address, { ...flags, use: "check" }, async (session) => {
    using progress = messageProgress(session, "checked");
    const report = await checkAccount(session, () => progress.add(1));
    progress[Symbol.dispose]();
    if (flags.json) process.stdout.write(`${JSON.stringify(report)}\n`);
    else {
      for (const { mailbox, uid, problem } of report.findings)
        process.stdout.write(
          `${[mailbox, ...(uid === undefined ? [] : [`uid ${uid}`])].join(" ").trim() || address}: ${problem}\n`,
        );
      process.stdout.write(
        `${report.messages} messages in ${report.mailboxes} mailboxes, ${report.findings.length} damaged\n`,
      );
    }
    return report.findings.length > 0 ? EXIT.failed : EXIT.well;
  });
}

function messageProgress(session: AccountSession, done: string): Progress {
  const total = session.state.liveMailboxes().reduce((sum, { messages }) => sum + messages.length, 0);
  return new Progress({ total, unit: "messages", done });
}

/** `restante check ADDRESS --retry`: delivered mail that could not be opened is tried again. */
async function retryNotes(config: Config, address: string, flags: Flags): Promise<number> {
  return withSession(config, address, { ...flags, changes: true }, async (session) => {
    const unreadable = await session.retryNotes();
    const told = unreadable.map((note) => `${note}: can't be opened`);
    print(flags, flags.json ? { unreadable } : [...told, `${unreadable.length} deliveries can't be opened`]);
    return unreadable.length > 0 ? EXIT.failed : EXIT.well;
  });
}

/** `restante check ADDRESS --repair`: what is lost and can be made anew is; what can't be is told in its place. */
async function repair(config: Config, address: string, flags: Flags): Promise<number> {
  return withSession(config, address, { ...flags, changes: true, mends: true }, async (session) => {
    using progress = messageProgress(session, "looked at");
    const report = await session.repair(() => progress.add(1));
    progress[Symbol.dispose]();
    const told = report.lost.map(({ mailbox, uid }) => `${mailbox} uid ${uid}: lost, moved to ${DAMAGED}`);
    print(
      flags,
      flags.json
        ? report
        : [
            ...told,
            ...(report.recovered > 0
              ? [`${report.recovered} messages found without their place: in ${RECOVERED}`]
              : []),
            `${report.rebuilt} messages made whole, ${report.lost.length} are lost`,
          ],
    );
    return report.lost.length > 0 ? EXIT.failed : EXIT.well;
  });
}

/** `restante check --repair`: the embedded store's database, made anew out of what is left of it. Needs no password. */
async function rebuild(config: Config, flags: Flags): Promise<number> {
  const { kind, log_kind } = config.storage;
  if (kind !== "embedded" && log_kind !== "embedded")
    throw new Exit(EXIT.usage, "check --repair wants an address: only an embedded store is mended as a whole");
  const report = rebuildEmbeddedStore(placesOf(config).store);
  const { damage, objects, problems, kept } = report;
  if (flags.json) print(flags, report);
  else if (kept === undefined) print(flags, ["store.sqlite is sound: nothing was changed"]);
  else
    print(flags, [
      ...[...damage, ...problems].flatMap((text) => text.split("\n")),
      `store.sqlite is made anew: ${objects} objects, ${problems.length} lost or damaged; the old one is ${kept}`,
      ...(problems.length > 0 ? ["Now run restante check ADDRESS --repair for each account"] : []),
    ]);
  return problems.length > 0 ? EXIT.failed : EXIT.well;
}

/** `restante check --sealed`: a line an object, by name: hash, size, name. Damage is told on standard error too. */
async function checkObjects(config: Config, flags: Flags): Promise<number> {
  await using context = await openContext(config, "salvage");
  // Accounts with a bucket of their own are known by who they are.
  await context.users.list();
  let damaged = 0;
  // On a terminal the list itself shows how it fares.
  using progress = process.stdout.isTTY ? undefined : new Progress({ total: 0, unit: "objects", done: "checked" });
  const leftovers: string[] = [];
  for await (const object of checkSealed(context.store, (name) => leftovers.push(name))) {
    const { name, size, hash, problem } = object;
    progress?.add(1);
    process.stdout.write(flags.json ? `${JSON.stringify(object)}\n` : `${hash ?? "-".repeat(64)} ${size} ${name}\n`);
    if (problem === undefined) continue;
    damaged++;
    process.stderr.write(`restante: ${name}: ${problem}\n`);
  }
  for (const name of leftovers)
    process.stderr.write(`restante: ${name}: of a mail that waits no more: it goes within a week\n`);
  return damaged > 0 ? EXIT.failed : EXIT.well;
}
