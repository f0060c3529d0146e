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
    else for (const entry of entries(session, matcher(pattern))) session.untagged(`LIST ${entry}`);
    return ok("LIST completed");
  },
});

/** LSUB: RFC 3501 §6.3.9. A level above a subscribed name that `%` stops at is told as \Noselect. */
export const lsub: Command<unknown> = defineCommand({
  name: "LSUB",
  in: SIGNED_IN,
  parse: parseList,
  async run(pattern, { mail, untagged }) {
    const matches = matcher(pattern);
    const { subscriptions } = mail.state;
    const told = new Set<string>();
    for (const path of [...subscriptions].sort(byPath)) {
      if (matches(path)) untagged(`LSUB () "/" ${formatMailbox(path)}`);
      else if (pattern.endsWith("%")) {
        const parent = levelsAbove(path).find(
          (above) => matches(above) && !subscriptions.has(above) && !told.has(above),
        );
        if (parent === undefined) continue;
        told.add(parent);
        untagged(`LSUB (\\Noselect) "/" ${formatMailbox(parent)}`);
      }
    }
    return ok("LSUB completed");
  },
});

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

function* entries({ mail }: Session, matches: (path: string) => boolean): Generator<string> {
  const mailboxes = mail.state.liveMailboxes().sort((a, b) => byPath(a.path, b.path));
  const parents = new Set(mailboxes.flatMap((mailbox) => levelsAbove(mailbox.path)));
  const shown = new Set(mailboxes.map((mailbox) => mailbox.path));
  for (const mailbox of mailboxes)
    if (matches(mailbox.path)) yield entry(mailbox.path, attributes(mailbox, parents.has(mailbox.path)));
  // A level that exists only in the names below it: RFC 9051 §6.3.9.
  for (const parent of [...parents].sort(byPath))
    if (!shown.has(parent) && matches(parent)) yield entry(parent, ["\\NonExistent", "\\Noselect", "\\HasChildren"]);
}

function attributes(mailbox: Mailbox, hasChildren: boolean): string[] {
  return [hasChildren ? "\\HasChildren" : "\\HasNoChildren", ...(mailbox.specialUse ? [mailbox.specialUse] : [])];
}

function entry(path: string, names: readonly string[]): string {
  return `(${names.join(" ")}) "/" ${formatMailbox(path)}`;
}

function levelsAbove(path: string): string[] {
  const levels = path.split("/");
  return levels.slice(1).map((_, depth) => levels.slice(0, depth + 1).join("/"));
}

/** INBOX first, then by name. */
function byPath(a: string, b: string): number {
  if (a === b) return 0;
  if (a === "INBOX") return -1;
  if (b === "INBOX") return 1;
  return a < b ? -1 : 1;
}

const WILDCARDS_MAX = 20;

/** `*` matches anything, `%` anything within a level: RFC 9051 §6.3.9. Walks both texts once per wildcard, so that no
 * pattern takes long. */
export function matcher(pattern: string): (path: string) => boolean {
  if ((pattern.match(/[*%]/g)?.length ?? 0) > WILDCARDS_MAX) throw new ImapSyntaxError("Too many wildcards");
  // INBOX is one name in any case.
  const wanted = /^inbox(?![^/*%])/i.test(pattern) ? `INBOX${pattern.slice(5)}` : pattern;
  return (path) => {
    let reachable = new Set([0]);
    for (const char of wanted) {
      const next = new Set<number>();
      for (const at of reachable) {
        if (char === "*" || char === "%") {
          for (let end = at; end <= path.length; end++) {
            next.add(end);
            if (char === "%" && path[end] === "/") break;
          }
        } else if (path.startsWith(char, at)) next.add(at + char.length);
      }
      reachable = next;
    }
    return reachable.has(path.length);
  };
}
