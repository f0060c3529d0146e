import { type Difference, type KnownDifference, tokens } from "./answers.ts";

/** Values of its own that a server told, by their kind: EMAILID, THREADID, MAILBOXID, and STATUS's UIDVALIDITY and HIGHESTMODSEQ. */
const KINDS = { EMAILID: "e", THREADID: "t", MAILBOXID: "b", UIDVALIDITY: "v", HIGHESTMODSEQ: "m" } as const;
type Kind = (typeof KINDS)[keyof typeof KINDS];

/** RFC 8474 §7. */
const OBJECT_ID = /^[\w-]{1,255}$/;

/** Such values in the order in which they were first told. */
export class Ids {
  readonly #known: Readonly<Record<Kind, Map<string, string>>> = {
    ...{ e: new Map(), t: new Map(), b: new Map() },
    ...{ v: new Map(), m: new Map() },
  };

  /** The command with this server's own values. Throws where it has told none such. */
  fill(command: string): string {
    return command.replace(/<([etbvm])(\d+)>/g, (_, kind: Kind, at: string) => {
      const id = [...this.#known[kind].keys()][Number(at) - 1];
      if (id === undefined) throw new Error(`no ${kind}${at} for ${command}`);
      return id;
    });
  }

  /** An answer with names instead of ids. */
  named(response: string): string {
    // How far a server has counted is its own.
    const counted = response.replace(/^(\* E?SEARCH .*\bMODSEQ) \d+/, "$1 …");
    const named = counted.replace(
      /\b(EMAILID|THREADID|MAILBOXID) \(([^()]*)\)/g,
      (_, word: keyof typeof KINDS, id: string) =>
        `${word} (${OBJECT_ID.test(id) ? this.#name(KINDS[word], id) : "no id"})`,
    );
    if (!named.startsWith("* STATUS ")) return named;
    return named.replace(/\b(UIDVALIDITY|HIGHESTMODSEQ) (\d+)/g, (_, word: keyof typeof KINDS, value: string) => {
      this.#name(KINDS[word], value);
      return `${word} …`;
    });
  }

  #name(kind: Kind, id: string): string {
    const known = this.#known[kind];
    if (!known.has(id)) known.set(id, `${kind}${known.size + 1}`);
    return known.get(id)!;
  }
}

type Item = string | readonly Item[];

function listsOf(text: string): readonly Item[] {
  const stack: Item[][] = [[]];
  for (const token of tokens(text)) {
    if (token === "(") stack.push([]);
    else if (token === ")" && stack.length > 1) {
      const list = stack.pop()!;
      stack.at(-1)!.push(list);
    } else stack.at(-1)!.push(token);
  }
  return stack[0]!;
}

const told = (item: Item): string => (typeof item === "string" ? item : `(${item.map(told).join(" ")})`);

/** Pairs of a name and its value, in the order of names: a server tells them as it likes. */
function pairs(items: readonly Item[]): Item[] {
  const found: string[] = [];
  for (let at = 0; at < items.length; at += 2) found.push(`${told(items[at]!)} ${told(items[at + 1] ?? "")}`);
  return found.sort();
}

const sorted = (items: readonly Item[]): Item[] => items.map(told).sort();

/** Responses as they are compared: in no order where the protocol has none, and of shapes where a server's own words stand. */
export function comparable(responses: readonly string[], ids: Ids): string[] {
  const lines = responses.map((response) => line(ids.named(response))).filter((text) => text !== "");
  const tagged = lines.at(-1)!;
  return [...lines.slice(0, -1).sort(), tagged];
}

/** Of a response code the uids and numbers that it tells; a UIDVALIDITY is the server's own. */
function codesIn(code: string): readonly string[] {
  const [name = "", ...words] = code.toUpperCase().split(" ");
  if (name === "MODIFIED") return [name, ...words];
  return name === "APPENDUID" || name === "COPYUID" ? [name, ...words.slice(1)] : [];
}

function line(response: string): string {
  const [, tagged = "", code = ""] = /^(?:t\d+|\*) (OK|NO|BAD)(?: \[(.*?)\])?/.exec(response) ?? [];
  const codes = codesIn(code);
  if (response.startsWith("t")) return [tagged, ...codes].join(" ");
  if (codes.length > 0) return codes.join(" ");
  // Told unasked, or at a SELECT, where Dovecot's dialogues compare it.
  if (/^\* (OK|FLAGS|\d+ (RECENT|EXISTS))\b/.test(response)) return "";
  const [, first = "", second = "", ...rest] = listsOf(response);
  const [one, two] = [told(first), told(second)];
  if (two === "FETCH" || two === "UIDFETCH")
    return [two === "FETCH" ? `FETCH ${one}` : `UIDFETCH ${one}`, ...fetched(rest[0] ?? [])].join(" ");
  if (one === "UIDFETCH") return [`UIDFETCH ${two}`, ...fetched(rest[0] ?? [])].join(" ");
  if (one === "STATUS") return ["STATUS", two, ...pairs(list(rest[0])).map(told)].join(" ");
  if (one === "LIST" || one === "LSUB") return [one, ...sorted(list(second)), ...rest.map(namesIn)].join(" ");
  if (one === "METADATA")
    return [
      "METADATA",
      nameOf(second),
      ...pairs(list(rest[0]).map((item, at) => (at % 2 === 0 ? nameOf(item) : item))).map(told),
    ].join(" ");
  if (one === "MYRIGHTS") return ["MYRIGHTS", nameOf(second), lettersOf(told(rest[0] ?? ""))].join(" ");
  if (one === "ESEARCH") return ["ESEARCH", ...searched([second, ...rest])].join(" ");
  if (one === "SEARCH") return ["SEARCH", ...sorted([second, ...rest].filter((item) => item !== ""))].join(" ");
  return [one, two, ...rest.map(told)].join(" ");
}

const list = (item: Item | undefined): readonly Item[] => (Array.isArray(item) ? item : []);

/** A name is the same as an atom and as a string. */
function nameOf(item: Item): string {
  return told(item).replace(/^"([^"\\()\s]+)"$/, (_, name: string) => name.toUpperCase());
}

function namesIn(item: Item): string {
  return typeof item === "string" ? nameOf(item) : `(${item.map(namesIn).join(" ")})`;
}

function lettersOf(rights: string): string {
  return [...rights.toLowerCase().replaceAll('"', "")].sort().join("");
}

function fetched(item: Item): string[] {
  const items = list(item);
  const found: string[] = [];
  for (let at = 0; at < items.length; at += 2) {
    const [name, value] = [told(items[at]!), items[at + 1] ?? ""];
    if (name === "PREVIEW" || name === "SAVEDATE" || name === "MODSEQ")
      found.push(`${name} ${told(value) === "NIL" ? "NIL" : "…"}`);
    else if (name === "FLAGS")
      found.push(
        `FLAGS ${sorted(list(value))
          .filter((flag) => flag !== "\\RECENT")
          .join(" ")}`,
      );
    else found.push(`${name} ${told(value)}`);
  }
  return found.sort();
}

/** Tags are the connection's own. */
function searched(items: readonly Item[]): string[] {
  const isUid = items.includes("UID");
  const rest = items.filter((item) => item !== "UID" && item !== "");
  const [first, ...more] = rest;
  const where = list(first)
    .map(nameOf)
    .filter((word) => !/^(TAG|T\d+|UIDVALIDITY|\d+)$/.test(word));
  return [isUid ? "UID" : "", ...where, ...pairs(Array.isArray(first) ? more : rest).map(told)].filter(
    (word) => word !== "",
  );
}

const without = (pattern: RegExp, text: string): string => text.replaceAll(pattern, "");
const withoutEnd = (text: string): string => text.replace(/(\\r\\n)+"$/, '"');
const NOTHING = "nothing";
const HAVE_NO_TAG = /^BAD (INVALID TAG|UNRECOGNIZED COMMAND)$/;

/** Answers of Cyrus that differ, and why ours are right. */
export const KNOWN_OF_CYRUS: readonly KnownDifference[] = [
  {
    reason:
      "an id is of letters, digits, _ and -; Cyrus tells other octets where it is not asked for alone: RFC 8474 §7",
    is: (_command, ours, theirs) => ours.replace(/MAILBOXID \(B\d+\)/, "MAILBOXID (NO ID)") === theirs,
  },
  {
    reason: "a message number that is too high is the client's mistake: RFC 9051 §9, seq-number",
    is: (command, ours, theirs) => /^(FETCH|REPLACE) 9/.test(command) && ours === "BAD" && theirs === "NO",
  },
  {
    reason: "PREVIEW is a text, which Cyrus has where it is told how to make one: RFC 8970 §3.1",
    is: (_command, ours, theirs) => ours.replace("PREVIEW …", "PREVIEW NIL") === theirs,
  },
  {
    reason: "the line end before a delimiter is the delimiter's: RFC 2046 §5.1.1",
    is: (command, ours, theirs) =>
      /^FETCH 3 \(BINARY/.test(command) && (withoutEnd(theirs) === ours || theirs.endsWith(" 145")),
  },
  {
    reason: "a message in base64 is no message: RFC 2046 §5.2.1",
    is: (command, ours) => /^FETCH 16 \(BINARY/.test(command) && ours.endsWith(JSON.stringify('o: "email@')),
  },
  {
    reason: "the grammar of USE has parentheses: RFC 6154 §6. Cyrus makes the mailbox, and then has it",
    is: (command, ours) => command.startsWith("CREATE Wrong ") && ours === "BAD",
  },
  {
    reason: "levels above a mailbox are made with it: RFC 9051 §6.3.4",
    is: (_command, ours, theirs) => without(/\\NONEXISTENT /g, theirs) === ours,
  },
  {
    reason: "Cyrus takes what is left of a wrong command for commands",
    is: (_command, ours, theirs) => ours === NOTHING && HAVE_NO_TAG.test(theirs),
  },
  {
    reason: "LSUB tells of \\Noselect; other attributes are LIST's: RFC 3501 §6.3.9",
    is: (command, ours, theirs) => command.startsWith("LSUB") && without(/\\(?!NOSELECT)\w+ /g, theirs) === ours,
  },
  {
    reason: "no one may administer rights, nor annotate messages, since no command does: RFC 4314 §2.1",
    is: (_command, ours, theirs) =>
      /^MYRIGHTS /.test(ours) && theirs.replace(/ a(\w+)n/, " $1n").replace(/n(?=\w*$)/, "") === ours,
  },
  {
    reason: "DEPTH brings entries that have a value: RFC 5464 §4.2.2",
    is: (command, ours, theirs) =>
      command.startsWith("GETMETADATA (DEPTH ") &&
      (without(/ [^ ]+ NIL/g, theirs) === ours || (ours === NOTHING && /^METADATA TALK [^ ]+ NIL$/.test(theirs))),
  },
  {
    reason: "an empty value is one, and NIL is none: RFC 5464 §4.3",
    is: (command, ours, theirs) =>
      command === "GETMETADATA Talk /private/comment" && ours.replace('""', "NIL") === theirs,
  },
  {
    reason: "names of entries have no * and no two slashes together: RFC 5464 §3",
    is: (command, ours) => /^SETMETADATA Talk \(\/private\/(a\*b|\/b) /.test(command) && ours === "BAD",
  },
  {
    reason: "what was asked for is told, each once: RFC 5464 §4.2. Cyrus tells what SETMETADATA has named, too",
    is: (command, ours) =>
      /^GETMETADATA Talk \(\/private\/vendor\/x\/color \/shared\/comment\)$/.test(command) &&
      ours === "METADATA TALK /PRIVATE/VENDOR/X/COLOR NIL /SHARED/COMMENT NIL",
  },
  {
    reason: "an account without a limit has no quota root: RFC 9208 §3",
    is: (command, ours) => command === "GETQUOTAROOT INBOX" && [NOTHING, "QUOTAROOT INBOX"].includes(ours),
  },
  {
    reason: ".SILENT leaves FLAGS out of what tells the MODSEQ: RFC 7162 §3.1.3",
    is: (command, ours, theirs) =>
      command.includes("FLAGS.SILENT") && theirs.replace(/FLAGS .*(?=MODSEQ)/, "") === ours,
  },
  {
    reason: "a search that finds nothing has no highest MODSEQ: RFC 7162 §3.1.5",
    is: (command, ours, theirs) =>
      command.startsWith("SEARCH MODSEQ") && ours === "SEARCH" && theirs === "SEARCH (MODSEQ …)",
  },
  {
    reason: "uids above the last message count as 1:*, or nobody would hear that they are gone: RFC 7162 §3.2.6",
    is: (command, ours, theirs) =>
      command.startsWith("UID FETCH 1:* ") && ours.startsWith("VANISHED (EARLIER)") && theirs === NOTHING,
  },
  {
    reason: "a list of sources has one at least: RFC 7377 §2.2",
    is: (command, ours) => command === "ESEARCH IN () ALL" && [NOTHING, "BAD"].includes(ours),
  },
  {
    reason: "SAVE alone is answered by nothing: RFC 5182 §2.1",
    is: (command, ours, theirs) =>
      command.startsWith("SEARCH RETURN (SAVE) ") && ours === NOTHING && theirs.startsWith("ESEARCH"),
  },
  {
    reason: "ENABLED tells what this command has enabled: RFC 5161 §3.2",
    is: (_command, ours, theirs) =>
      ours.startsWith("ENABLED") &&
      theirs.startsWith(ours.split(" ").slice(0, 1).join()) &&
      ours.split(" ").every((word) => theirs.includes(word)),
  },
  {
    reason: "UIDFETCH has its uid once: RFC 9586 §3",
    is: (_command, ours, theirs) => ours.startsWith("UIDFETCH") && theirs.replace(/ UID \d+$/, "") === ours,
  },
  {
    reason: "OLDNAME answers who used the old name, and is not kept: RFC 9051 §6.3.9.7",
    is: (_command, ours, theirs) =>
      theirs.endsWith(" (OLDNAME (TALKED))") &&
      without(/ \(OLDNAME .*$/g, without(/\\HASNOCHILDREN /g, theirs)) === without(/\\HASNOCHILDREN /g, ours),
  },
  {
    reason: "nobody has other users' mail, nor shared: RFC 2342 §5",
    is: (_command, ours) => ours === 'NAMESPACE (("" "/")) NIL NIL',
  },
];

/** Lines of two answers that differ: those that both have are passed over. */
export function differencesOf(command: string, ours: readonly string[], theirs: readonly string[]): Difference[] {
  const [ourTag, theirTag] = [ours.at(-1)!, theirs.at(-1)!];
  const [one, other] = [ours.slice(0, -1), theirs.slice(0, -1)];
  const left = one.filter((text) => !other.includes(text));
  const right = other.filter((text) => !one.includes(text));
  const found = Array.from({ length: Math.max(left.length, right.length) }, (_, at) => [
    left[at] ?? NOTHING,
    right[at] ?? NOTHING,
  ]);
  if (one.length !== other.length && found.length === 0) found.push([`${one.length} lines`, `${other.length} lines`]);
  if (ourTag !== theirTag) found.push([ourTag, theirTag]);
  return found.map(([our, their]) => ({
    command,
    ours: our!,
    theirs: their!,
    reason: KNOWN_OF_CYRUS.find(({ is }) => is(command, our!, their!))?.reason,
  }));
}
