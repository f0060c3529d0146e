import type { Link } from "../session.ts";
import type { CommandText } from "../wire/command-reader.ts";
import { append } from "./append.ts";
import { authenticate, login } from "./authenticate.ts";
import { capability } from "./capability.ts";
import type { Command } from "./command.ts";
import { copy, move } from "./copy.ts";
import { createMailbox, deleteMailbox, renameMailbox } from "./create.ts";
import { enable } from "./enable.ts";
import { close, expunge, unselect } from "./expunge.ts";
import { fetch } from "./fetch.ts";
import { id } from "./id.ts";
import { idle } from "./idle.ts";
import { list, lsub } from "./list.ts";
import { logout } from "./logout.ts";
import { namespace } from "./namespace.ts";
import { check, noop } from "./noop.ts";
import { search } from "./search.ts";
import { examine, select } from "./select.ts";
import { startTls } from "./starttls.ts";
import { status } from "./status.ts";
import { store } from "./store.ts";
import { subscribe, unsubscribe } from "./subscribe.ts";

/** The command table. */
export const commands: readonly Command<unknown>[] = [
  capability,
  noop,
  logout,
  startTls,
  authenticate,
  login,
  enable,
  id,
  namespace,
  select,
  examine,
  createMailbox,
  deleteMailbox,
  renameMailbox,
  subscribe,
  unsubscribe,
  list,
  lsub,
  status,
  append,
  check,
  close,
  unselect,
  expunge,
  search,
  fetch,
  store,
  copy,
  move,
  idle,
];

const byName = new Map(commands.map((command) => [command.name, command]));

/** Extensions that live in the grammar rather than in a command of their own. */
const GRAMMAR_CAPABILITIES = ["LITERAL+", "SASL-IR", "UIDPLUS", "CHILDREN", "SPECIAL-USE"];

/** The command of this name, in its `UID` form if `uid`: RFC 9051 §6.4.9. */
export function findCommand(name: string, uid: boolean): Command<unknown> | undefined {
  const command = byName.get(name);
  return uid && !command?.uid ? undefined : command;
}

export function isCommand(name: string): boolean {
  return byName.has(name);
}

/** RFC 9051 §6.1.1. The same list before and after login: some clients never ask again. */
export function capabilityList(link: Pick<Link, "loginAllowed" | "startTlsOffered">): string {
  return [
    "IMAP4rev1",
    ...GRAMMAR_CAPABILITIES,
    ...commands.flatMap((command) => command.capabilities ?? []),
    ...(link.startTlsOffered ? ["STARTTLS"] : []),
    ...(link.loginAllowed ? ["AUTH=PLAIN"] : ["LOGINDISABLED"]),
  ].join(" ");
}

/** Whether the literal that this text ends with is a message, to be streamed: only APPEND has one. */
export function streamsLiteral(text: CommandText): boolean {
  const first = String.fromCharCode(...text.lines[0]!.subarray(0, 80));
  const name = /^\S+ ([A-Za-z]+) /.exec(first)?.[1]?.toUpperCase();
  return name !== undefined && byName.get(name)?.streams?.(text) === true;
}
