/** Answers of two servers to one command, compared. */
export interface Difference {
  readonly command: string;
  readonly ours: string;
  readonly theirs: string;
  /** Why it is right; undefined for one that nobody knows. */
  readonly reason: string | undefined;
}

export interface KnownDifference {
  readonly reason: string;
  is(command: string, ours: string, theirs: string): boolean;
}

const isNil = (ours: string, theirs: string): boolean =>
  ours.replaceAll(" NIL", ' ""') === theirs.replaceAll(" NIL", ' ""');

const withoutLastEnd = (text: string): string => text.replaceAll(/(\\r\\n)+" /g, '" ');

export const KNOWN_DIFFERENCES: readonly KnownDifference[] = [
  {
    reason: "structures of mails: packages/mime compares them, and says why",
    is: (command, ours) => /^FETCH .*\b(ENVELOPE|BODY|BODYSTRUCTURE)\b(?![.[])/.test(command) && !/ BODY\[/.test(ours),
  },
  {
    reason: "a section that is not there is NIL, and not an empty string: RFC 9051 §7.5.2",
    is: (command, ours, theirs) => /FETCH .*\[/.test(command) && isNil(ours, theirs),
  },
  {
    reason: "a part that is no multipart has no parts of its own: RFC 9051 §6.4.5.1",
    is: (command, ours) => /FETCH .*\[1\.[12T]/.test(command) && / BODY\[1\.(1|2|TEXT)\] NIL /.test(ours),
  },
  {
    reason: "octets are told as they came, NUL too, which Dovecot makes another character of",
    is: (_command, ours) => ours.includes("\\u0000"),
  },
  {
    reason: "a From without an address is a name, and equal names keep the mailbox's order: RFC 5957 §3.1",
    is: (command, ours, theirs) => /\bDISPLAYFROM\b/.test(command) && ours.replace(" 12 24 ", " 24 12 ") === theirs,
  },
  {
    reason: "the line end before a delimiter is the delimiter's: RFC 2046 §5.1.1",
    is: (_command, ours, theirs) => withoutLastEnd(ours) === withoutLastEnd(theirs),
  },
  {
    reason: "a message without a Date was sent at no time: RFC 9051 §6.4.4",
    is: (command) => command.includes("SENTBEFORE"),
  },
  {
    reason: "Dovecot looks for addresses in a form that has MISSING_DOMAIN where there is none",
    is: (command) => /(FROM|TO) a$/.test(command),
  },
  {
    reason: "text in an encoding that nobody knows is looked through as it is",
    is: (command) => /NOT .*BODY/.test(command),
  },
  {
    reason: "a message in base64 is no message: RFC 2046 §5.2.1",
    is: (command) => command.startsWith("SEARCH 16 "),
  },
  {
    reason: "STORE answers for each message that is named: RFC 9051 §6.4.6",
    is: (command, ours) => /^STORE .* \+FLAGS /.test(command) && (/ FETCH /.test(ours) || ours === "OK"),
  },
  { reason: "levels above a mailbox are made with it", is: (command) => command === 'LIST "" Oth%r' },
  { reason: "REFS, which no RFC tells, sorts threads by when mail came", is: (command) => /THREAD REFS/.test(command) },
  {
    reason: "Dovecot takes a date, flags and arguments that the grammar does not have: RFC 9051 §9",
    is: (command) => ["SEARCH ON 32-Jan-2026", "STORE 1 FLAGS", "NOOP x", "FETCH 1 BODY[0]"].includes(command),
  },
];

/**
 * Line by line. What is not compared: tags; modseqs; the words behind a status and its response code; what a server may tell unasked
 * (RECENT, OK); the zone that a date is written in; the order of flags, and \Recent; strings are one whether they are quoted or literals, and atoms in any case.
 */
export function compareAnswers(
  command: string,
  ours: readonly string[],
  theirs: readonly string[],
  known: readonly KnownDifference[] = KNOWN_DIFFERENCES,
): Difference[] {
  const [one, other] = [ours, theirs].map((answer) => answer.map(normalised).filter((line) => line !== ""));
  const differences: Difference[] = [];
  for (let at = 0; at < Math.max(one!.length, other!.length); at++) {
    const [our, their] = [one![at] ?? "nothing", other![at] ?? "nothing"];
    if (our === their) continue;
    const reason = known.find(({ is }) => is(command, our, their))?.reason;
    differences.push({ command, ours: our, theirs: their, reason });
  }
  return differences;
}

function normalised(response: string): string {
  const tagged = /^t\d+ (OK|NO|BAD)/.exec(response)?.[1];
  // A mistake of the client is BAD; whether what can't be is one, servers see otherwise.
  if (tagged !== undefined) return tagged;
  if (/^\* (OK|\d+ RECENT|\d+ EXISTS|FLAGS)/.test(response)) return "";
  // One server's modseqs are not another's.
  const dated = response
    .replace(/MODSEQ \(?\d+\)?/g, "MODSEQ")
    .replace(/INTERNALDATE "([^"]+)"/, (_, date: string) => `INTERNALDATE ${Date.parse(date.trim())}`);
  return tokens(dated)
    .join(" ")
    .replace(/FLAGS \( (.*?) ?\)/, (_, flags: string) => {
      const kept = flags.split(" ").filter((flag) => flag !== "\\RECENT");
      return `FLAGS ( ${kept.sort().join(" ")} )`;
    });
}

/** Words, parentheses and strings, each string as JSON. */
export function tokens(text: string): string[] {
  const found: string[] = [];
  for (let at = 0; at < text.length; ) {
    const char = text[at]!;
    const literal = /^~?\{(\d+)\}\r\n/.exec(text.slice(at, at + 20));
    if (char === " ") at++;
    else if (char === "(" || char === ")") {
      found.push(char);
      at++;
    } else if (char === '"') {
      const quoted = /^"((?:[^"\\]|\\.)*)"/s.exec(text.slice(at))!;
      found.push(JSON.stringify(quoted[1]!.replace(/\\(.)/g, "$1")));
      at += quoted[0].length;
    } else if (literal) {
      const start = at + literal[0].length;
      found.push(JSON.stringify(text.slice(start, start + Number(literal[1]))));
      at = start + Number(literal[1]);
    } else {
      const word = /^[^ ()"]+/.exec(text.slice(at))![0];
      found.push(word.toUpperCase());
      at += word.length;
    }
  }
  return found;
}
