import type { ReadMailbox } from "@restante/engine";
import { takeTurn } from "@restante/host";
import { parseEntries, readEntries } from "../metadata.ts";
import type { Session } from "../session.ts";
import { formatStatus, type StatusItem } from "../status-answer.ts";
import { pathOfName } from "../wire/mailbox-name.ts";
import { ImapSyntaxError, type Parser } from "../wire/parser.ts";
import { type Command, defineCommand, type Form, ok, SIGNED_IN } from "./command.ts";
import { formatRights } from "./my-rights.ts";
import { parseStatusItems } from "./status.ts";

/** Arguments of LIST. */
interface Listing {
  readonly patterns: readonly string[];
  /** Properties that a mailbox must have to be told of: RFC 5258 §3.1, RFC 6154 §3. */
  readonly selection: ReadonlySet<SelectionOption>;
  readonly returns: ReadonlySet<ReturnOption>;
  /** STATUS items that are told of each mailbox: RFC 5819. */
  readonly statusItems: readonly StatusItem[];
  /** Annotations that are told of each: RFC 9590. */
  readonly metadata: readonly string[];
  /** As RFC 3501 had it, where the empty pattern asks for the delimiter. */
  readonly isBasic: boolean;
}

const SELECTION_OPTIONS = ["SUBSCRIBED", "SPECIAL-USE", "REMOTE", "RECURSIVEMATCH"] as const;
const RETURN_OPTIONS = ["SUBSCRIBED", "SPECIAL-USE", "CHILDREN", "STATUS", "MYRIGHTS", "METADATA"] as const;
type SelectionOption = (typeof SELECTION_OPTIONS)[number];
type ReturnOption = (typeof RETURN_OPTIONS)[number];

/** LIST: RFC 9051 §6.3.9, with selection and return options: RFC 5258 §3, RFC 6154 §3, RFC 5819 §2, RFC 8440 §3, RFC 9590 §3.
 * No mailbox is remote. \HasChildren, \HasNoChildren and special uses are told unasked. */
export const list: Command<unknown> = defineCommand({
  name: "LIST",
  in: SIGNED_IN,
  capabilities: ["LIST-EXTENDED", "LIST-STATUS", "LIST-MYRIGHTS", "LIST-METADATA"],
  parse: parseList,
  async run(listing, session) {
    const { isBasic, patterns, statusItems, metadata } = listing;
    if (statusItems.length > 0) await session.refresh();
    if (statusItems.includes("HIGHESTMODSEQ")) session.enableCondstore();
    if (isBasic && patterns[0] === "") session.untagged('LIST (\\Noselect) "/" ""');
    else await session.answerSome(entries(session, listing, matcher(patterns)));
    if (metadata.length > 0) await tellMetadata(session, listing);
    return ok("LIST completed");
  },
});

/** After all names, so that none waits for another's annotations. */
async function tellMetadata(session: Session, { patterns, selection, metadata }: Listing): Promise<void> {
  const matches = matcher(patterns);
  const { subscriptions } = session.mail.state;
  const wanted = { entries: metadata, depth: 0, maxSize: Number.POSITIVE_INFINITY } as const;
  for (const mailbox of session.mail.state.liveMailboxes()) {
    if (!matches(mailbox.path) || (selection.has("SUBSCRIBED") && !subscriptions.has(mailbox.path))) continue;
    if (selection.has("SPECIAL-USE") && mailbox.specialUse === undefined) continue;
    const { answer } = await readEntries(session, mailbox, wanted);
    if (answer !== undefined) session.untagged(answer);
    if (session.output.isFull) await session.output.flush();
    await takeTurn();
  }
}

/** LSUB: RFC 3501 §6.3.9. A level above a subscribed name that `%` stops at is told as \Noselect. */
export const lsub: Command<unknown> = defineCommand({
  name: "LSUB",
  in: SIGNED_IN,
  parse: (parser, form) => {
    parser.space();
    return parsePattern(parser, parseReference(parser, form), form);
  },
  async run(pattern, session) {
    await session.answerSome(subscribed(session, pattern));
    return ok("LSUB completed");
  },
});

function* subscribed(session: Session, pattern: string): Generator<string | undefined> {
  const { mail } = session;
  const matches = matcher([pattern]);
  const { subscriptions } = mail.state;
  const paths = [...subscriptions].sort(byPath);
  for (const path of paths) yield matches(path) ? `LSUB () "/" ${session.formatName(path)}` : undefined;
  if (!pattern.endsWith("%")) return;
  for (const parent of [...levelsAbove(paths)].sort(byPath))
    yield matches(parent) && !subscriptions.has(parent)
      ? `LSUB (\\Noselect) "/" ${session.formatName(parent)}`
      : undefined;
}

function parseList(parser: Parser, form: Form): Listing {
  parser.space();
  const isSelective = parser.atOpen;
  const selection = new Set(isSelective ? parser.list(() => option(parser, SELECTION_OPTIONS), { empty: true }) : []);
  if (isSelective) parser.space();
  if (selection.has("RECURSIVEMATCH") && !selection.has("SUBSCRIBED") && !selection.has("SPECIAL-USE"))
    throw new ImapSyntaxError("RECURSIVEMATCH needs another selection option");
  const reference = parseReference(parser, form);
  const hasSeveral = parser.atOpen;
  const patterns = hasSeveral
    ? parser.list(() => parsePattern(parser, reference, form), { max: PATTERNS_MAX })
    : [parsePattern(parser, reference, form)];
  const returns = new Set<ReturnOption>();
  let statusItems: readonly StatusItem[] = [];
  let metadata: readonly string[] = [];
  const hasReturn = parser.trySpace();
  if (hasReturn) {
    if (parser.keyword() !== "RETURN") throw new ImapSyntaxError("RETURN expected");
    parser.space();
    const read = (): void => {
      const name = option(parser, RETURN_OPTIONS);
      returns.add(name);
      if (name === "STATUS") statusItems = parseStatusItems(parser);
      if (name === "METADATA") {
        parser.space();
        metadata = parseEntries(parser);
      }
    };
    parser.list(read, { empty: true });
  }
  return { patterns, selection, returns, statusItems, metadata, isBasic: !isSelective && !hasSeveral && !hasReturn };
}

function option<T extends string>(parser: Parser, known: readonly T[]): T {
  const name = parser.keyword();
  const found = known.find((item) => item === name);
  if (found === undefined) throw new ImapSyntaxError("Unknown LIST option");
  return found;
}

function parseReference(parser: Parser, { utf8 }: Form): string {
  const reference = pathOfName(parser.astring(), utf8);
  parser.space();
  return reference;
}

/** The pattern with its reference before it: RFC 9051 §6.3.9 leaves joining them to the server. */
function parsePattern(parser: Parser, reference: string, { utf8 }: Form): string {
  const pattern = pathOfName(parser.listMailbox(), utf8);
  if (pattern === "") return "";
  return pattern.startsWith("/") ? pattern.slice(1) : reference + pattern;
}

/** A name of the hierarchy: a mailbox, a level above one, or what somebody subscribed to. */
interface Name {
  readonly path: string;
  readonly mailbox: ReadMailbox | undefined;
  /** True for a name that the selection options take: RFC 5258 §3.1. */
  readonly isChosen: boolean;
}

function* entries(
  session: Session,
  { selection, returns, statusItems }: Listing,
  matches: (path: string) => boolean,
): Generator<string | undefined> {
  const { state } = session.mail;
  const { subscriptions } = state;
  const mailboxes = new Map(state.liveMailboxes().map((mailbox) => [mailbox.path, mailbox]));
  const withChildren = levelsAbove([...mailboxes.keys()]);
  const tellsSubscribed = selection.has("SUBSCRIBED") || returns.has("SUBSCRIBED");
  const wanted = selection.has("SUBSCRIBED") ? [...subscriptions] : [];
  const aboveWanted = selection.has("RECURSIVEMATCH") ? levelsAbove(wanted) : [];
  const names = [...new Set([...mailboxes.keys(), ...withChildren, ...wanted, ...aboveWanted])]
    .sort(byPath)
    .map((path): Name => {
      const mailbox = mailboxes.get(path);
      const isChosen =
        (!selection.has("SUBSCRIBED") || subscriptions.has(path)) &&
        (!selection.has("SPECIAL-USE") || mailbox?.specialUse !== undefined);
      return { path, mailbox, isChosen };
    });
  const below = selection.has("RECURSIVEMATCH") ? chosenBelow(names, matches) : undefined;
  const children = [...selection].filter((name) => name === "SUBSCRIBED" || name === "SPECIAL-USE");
  const childInfo = ` ("CHILDINFO" (${children.map((name) => `"${name}"`).join(" ")}))`;
  for (const { path, mailbox, isChosen } of names) {
    const isTold = (isChosen || below?.unseen.has(path)) && matches(path);
    if (!isTold) {
      yield undefined;
      continue;
    }
    const attributes = [
      ...(mailbox ? [] : ["\\NonExistent", "\\Noselect"]),
      ...(tellsSubscribed && subscriptions.has(path) ? ["\\Subscribed"] : []),
      withChildren.has(path) ? "\\HasChildren" : "\\HasNoChildren",
      ...(mailbox?.specialUse ? [mailbox.specialUse] : []),
    ];
    yield `LIST (${attributes.join(" ")}) "/" ${session.formatName(path)}${below?.all.has(path) ? childInfo : ""}`;
    if (mailbox && returns.has("MYRIGHTS")) yield formatRights(path, session);
    if (mailbox && statusItems.length > 0) yield formatStatus(mailbox, statusItems, session);
  }
}

/** RECURSIVEMATCH: the levels above chosen names, and those of them that stand for one that no pattern matches:
 * RFC 5258 §3.5. */
function chosenBelow(
  names: readonly Name[],
  matches: (path: string) => boolean,
): { readonly all: ReadonlySet<string>; readonly unseen: ReadonlySet<string> } {
  const chosen = names.filter(({ isChosen }) => isChosen).map(({ path }) => path);
  return { all: levelsAbove(chosen), unseen: levelsAbove(chosen.filter((path) => !matches(path))) };
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

/** Patterns of one command; wildcards of all of them, and their other characters: no name is longer. */
const PATTERNS_MAX = 100;
const WILDCARDS_MAX = 20;
const PATTERN_CHARS_MAX = 1_000;

/** A function that is true for a path that one of the patterns matches. Throws ImapSyntaxError for too many wildcards and for
 * long patterns. */
export function matcher(patterns: readonly string[]): (path: string) => boolean {
  const whole = patterns.join("");
  const wildcards = whole.match(/[*%]/g)?.length ?? 0;
  if (wildcards > WILDCARDS_MAX) throw new ImapSyntaxError("Too many wildcards");
  // No mailbox has so long a name; several patterns may well be longer together than one.
  if (patterns.length > 1 && whole.length > PATTERN_CHARS_MAX) throw new ImapSyntaxError("Patterns are too long");
  const matchers = patterns.map(matcherOf);
  return (path) => matchers.some((matches) => matches(path));
}

/** `*` matches anything, `%` anything within a level: RFC 9051 §6.3.9. Walks the name once for each character of the
 * pattern, whatever repeats in them. */
function matcherOf(pattern: string): (path: string) => boolean {
  if (pattern.replace(/[*%]/g, "").length > PATTERN_CHARS_MAX) return () => false;
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
