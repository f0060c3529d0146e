import { acceptHistory, accountPrefix, changePassword, deleteAccount, recoverAccount, signUp } from "@restante/engine";
import type { Config } from "@restante/host";
import { askNewSecret, askSecret } from "./ask.ts";
import { type Context, getUser, openContext, readPepper } from "./context.ts";
import { EXIT, Exit } from "./exit.ts";
import type { Flags } from "./flags.ts";

type Action = (context: Context, address: string, flags: Flags) => Promise<unknown>;

const ACTIONS: Readonly<Record<string, Action>> = {
  add,
  show,
  passwd,
  recover,
  "accept-history": accept,
  delete: remove,
};

/** `restante account …` */
export async function account(config: Config, args: readonly string[], flags: Flags): Promise<number> {
  const [name, address] = args;
  await using context = await openContext(config);
  if (name === "list") {
    print(
      flags,
      (await context.users.list()).map((user) => user.address),
    );
    return EXIT.well;
  }
  const action = name === undefined ? undefined : ACTIONS[name];
  if (!action || address === undefined) throw new Exit(EXIT.usage, "unknown account command; try restante --help");
  const result = await action(context, address, flags);
  if (result !== undefined) print(flags, result);
  return EXIT.well;
}

async function add(context: Context, address: string, flags: Flags): Promise<unknown> {
  const password = await askNewSecret(`Password for ${address}: `, flags);
  const { recoveryCode } = await signUp({ ...context, pepper: await readPepper(context.config) }, address, password);
  if (flags.json) return { address, recoveryCode };
  return [
    `Made ${address}.`,
    `Recovery code: ${recoveryCode}`,
    "Keep it where you will find it without this machine: with the password and the code both lost, the mail is lost.",
  ];
}

async function show(context: Context, address: string): Promise<unknown> {
  const user = await getUser(context, address);
  return {
    address: user.address,
    account: accountPrefix(user.record).slice(0, -1),
    keyVersion: user.record.keyVersion,
  };
}

async function passwd(context: Context, address: string, flags: Flags): Promise<unknown> {
  const user = await getUser(context, address);
  const old = await askSecret("Present password: ", flags);
  const fresh = await askNewSecret("New password: ", flags);
  await changePassword({ ...context, pepper: await readPepper(context.config) }, user, old, fresh);
  return [`The password of ${user.address} is changed.`];
}

async function recover(context: Context, address: string, flags: Flags): Promise<unknown> {
  const user = await getUser(context, address);
  const code = await askSecret("Recovery code: ", flags);
  const fresh = await askNewSecret("New password: ", flags);
  await recoverAccount({ ...context, pepper: await readPepper(context.config) }, user, code, fresh);
  return [`${user.address} has a new password.`];
}

async function accept(context: Context, address: string, flags: Flags): Promise<unknown> {
  const user = await getUser(context, address);
  const password = await askSecret("Password: ", flags);
  await acceptHistory({ ...context, pepper: await readPepper(context.config) }, user, password);
  return [`${user.address} goes on from what the store shows; mail programs will fetch everything anew.`];
}

async function remove(context: Context, address: string): Promise<unknown> {
  const user = await getUser(context, address);
  await deleteAccount(context, user);
  return [`${user.address} is gone.`];
}

function print(flags: Flags, result: unknown): void {
  if (flags.json) process.stdout.write(`${JSON.stringify(result)}\n`);
  else if (Array.isArray(result)) process.stdout.write(result.map((line) => `${line}\n`).join(""));
  else
    process.stdout.write(
      `${Object.entries(result as object)
        .map(([key, value]) => `${key}: ${value}\n`)
        .join("")}`,
    );
}
