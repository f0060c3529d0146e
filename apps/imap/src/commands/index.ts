import type { CommandText } from "../wire/command-reader.ts";
import { append } from "./append.ts";
import { authenticate, login } from "./authenticate.ts";
import { cancelUpdate } from "./cancel-update.ts";
import { capability } from "./capability.ts";
import type { Command } from "./command.ts";
import { compress } from "./compress.ts";
import { copy, move } from "./copy.ts";
import { createMailbox, deleteMailbox, renameMailbox } from "./create.ts";
import { enable } from "./enable.ts";
import { close, expunge, unselect } from "./expunge.ts";
import { fetch } from "./fetch.ts";
import { id } from "./id.ts";
import { idle } from "./idle.ts";
import { getJmapAccess } from "./jmap-access.ts";
import { list, lsub } from "./list.ts";
import { logout } from "./logout.ts";
import { getMetadata, setMetadata } from "./metadata.ts";
import { multiSearch } from "./multi-search.ts";
import { myRights } from "./my-rights.ts";
import { namespace } from "./namespace.ts";
import { check, noop } from "./noop.ts";
import { notify } from "./notify.ts";
import { getQuota, getQuotaRoot } from "./quota.ts";
import { replace } from "./replace.ts";
import { search } from "./search.ts";
import { examine, select } from "./select.ts";
import { sort } from "./sort.ts";
import { startTls } from "./starttls.ts";
import { status } from "./status.ts";
import { store } from "./store.ts";
import { subscribe, unsubscribe } from "./subscribe.ts";
import { thread } from "./thread.ts";
import { unauthenticate } from "./unauthenticate.ts";

/** The command table. */
export const commands: readonly Command<unknown>[] = [
  capability,
  noop,
  logout,
  startTls,
  authenticate,
  login,
  unauthenticate,
  enable,
  compress,
  id,
  namespace,
  getJmapAccess,
  myRights,
  select,
  examine,
  createMailbox,
  deleteMailbox,
  renameMailbox,
  subscribe,
  unsubscribe,
  list,
  lsub,
  getMetadata,
  setMetadata,
  getQuota,
  getQuotaRoot,
  status,
  append,
  replace,
  check,
  close,
  unselect,
  expunge,
  search,
  multiSearch,
  cancelUpdate,
  sort,
  thread,
  fetch,
  store,
  copy,
  move,
  idle,
  notify,
];

const byName = new Map(commands.map((command) => [command.name, command]));

/** The command of this name, in its `UID` form if `uid`: RFC 9051 §6.4.9. */
export function findCommand(name: string, uid: boolean): Command<unknown> | undefined {
  const command = byName.get(name);
  return uid && !command?.uid ? undefined : command;
}

export function isCommand(name: string): boolean {
  return byName.has(name);
}

/** The command that the literal which this text ends with is a message of, to be streamed: APPEND and REPLACE have such. */
export function streamingCommand(text: CommandText): Command<unknown> | undefined {
  const first = String.fromCharCode(...text.lines[0]!.subarray(0, 80));
  const name = /^\S+ (?:UID )?([A-Za-z]+) /i.exec(first)?.[1]?.toUpperCase();
  const command = name === undefined ? undefined : byName.get(name);
  return command?.streams?.(text, false) ? command : undefined;
}
