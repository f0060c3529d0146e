import {
  acceptHistory,
  accountPrefix,
  changePassword,
  deleteAccount,
  fingerprintOf,
  isRecoveryCode,
  recoverAccount,
  rotateAccount,
  signUp,
  trustRecord,
} from "@restante/engine";
import type { Config } from "@restante/host";
import { askLine, askNewSecret, askSecret } from "./ask.ts";
import { type Context, getUser, openContext, readPepper } from "./context.ts";
import { EXIT, Exit } from "./exit.ts";
import type { Flags } from "./flags.ts";
import { mailProgramLines } from "./mail-program.ts";
import { findQueue } from "./outbound.ts";
import { print } from "./print.ts";

/** An action of `restante account`. Gives the answer to print, or undefined if it printed its answer itself. */
type Action<F extends Json> = (context: Context, address: string, flags: F) => Promise<unknown>;
type Json = Pick<Flags, "json">;
/** `yes`: what would be asked for is meant. */
type RemoveFlags = Json & { readonly yes: boolean };
type Run<F extends Json> = (config: Config, args: readonly [string], flags: F) => Promise<number>;

function withAddress<F extends Json>(action: Action<F>): Run<F> {
  return async (config, [address], flags) => {
    await using context = await openContext(config);
    print(flags, await action(context, address, flags));
    return EXIT.well;
  };
}

export async function listAccounts(config: Config, flags: Json): Promise<number> {
  await using context = await openContext(config);
  const users = await context.users.list();
  print(
    flags,
    users.map((user) => user.address),
  );
  return EXIT.well;
}

export const addAccount: Run<Flags> = withAddress(add);
export const showAccount: Run<Json> = withAddress(show);
export const changeAccountPassword: Run<Flags> = withAddress(passwd);
export const recoverAccess: Run<Flags> = withAddress(recover);
export const rotateKeys: Run<Flags> = withAddress(rotate);
export const acceptOlderHistory: Run<Flags> = withAddress(accept);
export const removeAccount: Run<RemoveFlags> = withAddress(remove);

async function add(context: Context, address: string, flags: Flags): Promise<unknown> {
  const password = await askNewSecret(`Password for ${address}: `, flags);
  await checkDirectoryPassword(context, address, password);
  const { recoveryCode } = await signUp({ ...context, pepper: await readPepper(context.config) }, address, password);
  // The maker of an account knows its key.
  const wasAnother = await trustRecord(context.seenRecords, await getUser(context, address));
  if (flags.json) return { address, recoveryCode };
  return [
    `Made ${address}.`,
    ...(wasAnother
      ? [`Other hosts that delivered to it before refuse its mail until: restante lmtp trust ${address}`]
      : []),
    `Recovery code: ${recoveryCode}`,
    "Keep it where you will find it without this machine: with the password and the code both lost, the mail is lost.",
    "",
    ...mailProgramLines(context.config, address),
  ];
}

async function show(context: Context, address: string): Promise<unknown> {
  const user = await getUser(context, address);
  return {
    address: user.address,
    account: accountPrefix(user.record).slice(0, -1),
    keyVersion: user.record.keyVersion,
    key: fingerprintOf(user.record),
  };
}

async function passwd(context: Context, address: string, flags: Flags): Promise<unknown> {
  const user = await getUser(context, address);
  const old = await askSecret("Present password: ", flags);
  const fresh = await askNewSecret("New password: ", flags);
  await checkDirectoryPassword(context, user.address, fresh);
  await changePassword({ ...context, pepper: await readPepper(context.config) }, user, old, fresh);
  return [`The password of ${user.address} is changed.`];
}

async function recover(context: Context, address: string, flags: Flags): Promise<unknown> {
  const user = await getUser(context, address);
  const isDirectory = context.passwords !== undefined;
  const secret = await askSecret(isDirectory ? "Recovery code or former password: " : "Recovery code: ", flags);
  const fresh = await askNewSecret(isDirectory ? "The directory's password: " : "New password: ", flags);
  await checkDirectoryPassword(context, user.address, fresh);
  const replace = isDirectory && !isRecoveryCode(secret) ? changePassword : recoverAccount;
  await replace({ ...context, pepper: await readPepper(context.config) }, user, secret, fresh);
  return [`${user.address} has a new password.`];
}

/** A slot for any other password than the directory's would shut the mail to its owner. */
async function checkDirectoryPassword({ passwords }: Context, name: string, password: string): Promise<void> {
  if (!passwords) return;
  const person = await passwords.findPerson(name);
  if (!person || !(await passwords.isPassword(person, password)))
    throw new Exit(EXIT.failed, "that is not the password that the directory has");
}

async function rotate(context: Context, address: string, flags: Flags): Promise<unknown> {
  const user = await getUser(context, address);
  const password = await askSecret("Password: ", flags);
  const tools = { ...context, pepper: await readPepper(context.config) };
  const { recoveryCode } = await rotateAccount(tools, user, password);
  if (flags.json) return { address: user.address, recoveryCode };
  return [
    `${user.address} has new keys; its password is the same.`,
    `Recovery code: ${recoveryCode}`,
    "The old code and all app passwords are void: make new ones (restante app-password add).",
  ];
}

async function accept(context: Context, address: string, flags: Flags): Promise<unknown> {
  const user = await getUser(context, address);
  const secret = await askSecret("Password or recovery code: ", flags);
  await acceptHistory({ ...context, pepper: await readPepper(context.config) }, user, secret);
  return [`${user.address} goes on from what the store shows; mail programs will fetch everything anew.`];
}

async function remove(context: Context, address: string, flags: RemoveFlags): Promise<unknown> {
  const user = await getUser(context, address);
  if (!flags.yes && (await askLine(`Type ${user.address} to delete it with all its mail: `, "--yes")) !== user.address)
    throw new Exit(EXIT.failed, "nothing was deleted");
  await deleteAccount({ ...context, queue: await findQueue(context) }, user);
  await context.seenRecords.remove(user.address);
  return [
    `${user.address} is gone.`,
    `If the address is given away again, other hosts that delivered to it want: restante lmtp trust ${user.address}`,
  ];
}
