import type { Mailbox } from "@restante/engine";
import { formatMailbox, type Session } from "../session.ts";
import { decodeMailboxName } from "../wire/mailbox-name.ts";
import { ImapSyntaxError, type Parser } from "../wire/parser.ts";
import { type Command, defineCommand, ok, SIGNED_IN } from "./command.ts";

/** LIST: RFC 9051 §6.3.9, with RETURN (SPECIAL-USE CHILDREN SUBSCRIBED) and the selection (SPECIAL-USE SUBSCRIBED …) of
 * RFC 6154 §3 and RFC 3348. */
export const list: Command<unknown> = defineCommand({
  name: "LIST",
  in: SIGNED_IN,
  parse: parseList,
  async run(pattern, session) {
    if (pattern === "") session.untagged('LIST (\\Noselect) "/" ""');
    else await session.answerSome(entries(session, matcher(pattern)));
    return ok("LIST completed");
  },
});

/** LSUB: RFC 3501 §6.3.9. A level above a subscribed name that `%` stops at is told as \Noselect. */
export const lsub: Command<unknown> = defineCommand({
  name: "LSUB",
  in: SIGNED_IN,
  parse: parseList,
  async run(pattern, session) {
    await session.answerSome(subscribed(session, pattern));
    return ok("LSUB completed");
  },
});

function* subscribed({ mail }: Session, pattern: string): Generator<string | undefined> {
  const matches = matcher(pattern);
  const { subscriptions } = mail.state;
  const paths = [...subscriptions].sort(byPath);
  for (const path of paths) yield matches(path) ? `LSUB () "/" ${formatMailbox(path)}` : undefined;
  if (!pattern.endsWith("%")) return;
  for (const parent of [...levelsAbove(paths)].sort(byPath))
    yield matches(parent) && !subscriptions.has(parent) ? `LSUB (\\Noselect) "/" ${formatMailbox(parent)}` : undefined;
}

/** The pattern with its reference before it: RFC 9051 §6.3.9 leaves joining them to the server. */
function parseList(parser: Parser): string {
  parser.space();
  const reference = decodeMailboxName(parser.astring());
  parser.space();
  const pattern = decodePattern(parser.listMailbox());
  if (pattern === "") return "";
  return pattern.startsWith("/") ? pattern.slice(1) : reference + pattern;
}

function decodePattern(pattern: string): string {
  return decodeMailboxName(pattern);
}

function* entries({ mail }: Session, matches: (path: string) => boolean): Generator<string | undefined> {
  const mailboxes = mail.state.liveMailboxes().sort((a, b) => byPath(a.path, b.path));
  const parents = levelsAbove(mailboxes.map(({ path }) => path));
  const shown = new Set(mailboxes.map((mailbox) => mailbox.path));
  for (const mailbox of mailboxes)
    yield matches(mailbox.path) ? entry(mailbox.path, attributes(mailbox, parents.has(mailbox.path))) : undefined;
  // A level that exists only in the names below it: RFC 9051 §6.3.9.
  for (const parent of [...parents].sort(byPath))
    yield !shown.has(parent) && matches(parent)
      ? entry(parent, ["\\NonExistent", "\\Noselect", "\\HasChildren"])
      : undefined;
}

function attributes(mailbox: Mailbox, hasChildren: boolean): string[] {
  return [hasChildren ? "\\HasChildren" : "\\HasNoChildren", ...(mailbox.specialUse ? [mailbox.specialUse] : [])];
}

function entry(path: string, names: readonly string[]): string {
  return `LIST (${names.join(" ")}) "/" ${formatMailbox(path)}`;
}

/** All levels above these paths. Each is looked at once, however many lie below it. */
function levelsAbove(paths: readonly string[]): Set<string> {
  const levels = new Set<string>();
  for (const path of paths)
    for (let end = path.lastIndexOf("/"); end > 0; end = path.lastIndexOf("/", end - 1)) {
      const level = path.slice(0, end);
      if (levels.has(level)) break;
      levels.add(level);
    }
  return levels;
}

/** INBOX first, then by name. */
function byPath(a: string, b: string): number {
  if (a === b) return 0;
  if (a === "INBOX") return -1;
  if (b === "INBOX") return 1;
  return a < b ? -1 : 1;
}

/** Wildcards of a pattern, and its other characters: no name is longer. */
const WILDCARDS_MAX = 20;
const PATTERN_CHARS_MAX = 1_000;

/** `*` matches anything, `%` anything within a level: RFC 9051 §6.3.9. Walks the name once for each character of the
 * pattern, whatever repeats in them. */
export function matcher(pattern: string): (path: string) => boolean {
  const wildcards = pattern.match(/[*%]/g)?.length ?? 0;
  if (wildcards > WILDCARDS_MAX) throw new ImapSyntaxError("Too many wildcards");
  if (pattern.length - wildcards > PATTERN_CHARS_MAX) return () => false;
  // INBOX is one name in any case.
  const wanted = /^inbox(?![^/*%])/i.test(pattern) ? `INBOX${pattern.slice(5)}` : pattern;
  return (path) => {
    // Where in the name what was walked of the pattern may end.
    let ends = new Uint8Array(path.length + 1);
    let next = new Uint8Array(path.length + 1);
    ends[0] = 1;
    for (let at = 0; at < wanted.length; at++) {
      const char = wanted[at]!;
      let isOpen = false;
      let canEnd = 0;
      for (let end = 0; end <= path.length; end++) {
        if (char === "*" || char === "%") {
          if (char === "%" && path[end - 1] === "/") isOpen = false;
          isOpen ||= ends[end] === 1;
        } else isOpen = end > 0 && ends[end - 1] === 1 && path[end - 1] === char;
        next[end] = isOpen ? 1 : 0;
        canEnd |= next[end]!;
      }
      if (canEnd === 0) return false;
      [ends, next] = [next, ends];
    }
    return ends[path.length] === 1;
  };
}
