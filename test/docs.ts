import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { argv } from "node:process";
import { HOLD_MS_MAX } from "@restante/engine";
import { capabilitiesOf, GRAMMAR_CAPABILITIES } from "@restante/imap";
import { METHODS, PROPERTIES, sessionObject } from "@restante/jmap/api";

/** docs/protocols, made of the tables of commands and methods: each row's name, states or arguments, capabilities, and the section
 * its doc comment names. `node docs.ts --write` writes them; a test holds that they are as made. */
const ROOT = join(import.meta.dirname, "..");

interface Row {
  readonly name: string;
  readonly states: string;
  readonly uid: string;
  readonly capabilities: string;
  readonly comment: string;
}

/** The rows that a file of commands defines: a doc comment, then `defineCommand({ … })`. */
function rowsOf(source: string): Row[] {
  const rows: Row[] = [];
  const pattern =
    /\/\*\* ((?:(?!\*\/)[\s\S])*?)\s*\*\/\nexport const \w+: Command<unknown> = defineCommand\(\{([\s\S]*?)\n\}\);/g;
  for (const [, comment, body] of source.matchAll(pattern)) {
    const field = (name: string): string => new RegExp(`^ {2}${name}: (.*),$`, "m").exec(body!)?.[1] ?? "";
    const states = field("in");
    rows.push({
      name: field("name").replaceAll('"', ""),
      states:
        states === "ANY" ? "any" : states === "SIGNED_IN" ? "authenticated, selected" : states.replace(/[["\]]/g, ""),
      uid: field("uid") === "" ? "" : "yes",
      capabilities: field("capabilities").replace(/[["\]]/g, ""),
      comment: comment!.replace(/\s*\n \* ?/g, " "),
    });
  }
  return rows;
}

/** A section that no table tells. */
const DOUBLED_CR = [
  "## CR CR LF",
  "",
  "Programs that turn LF into CRLF twice write lines that end in CR CR LF. It is one line end: of a header field, of an empty line behind a",
  "header, of a line that is counted, and before a delimiter, which owns all three octets (RFC 2046 §5.1.1). What FETCH gives are the octets",
  "that are stored, so that signatures hold and sizes are true. Dovecot 2.3 has the same structure with other octets: it stores CRLF, and so",
  "its RFC822.SIZE and sections are shorter by one octet a line.",
  "",
  "Within quoted-printable RFC 2045 §6.7 knows CRLF alone. BINARY and JMAP's blobs decode by the letter (`a=` CR CR LF `b` stays as it is):",
  "how many octets a part comes to is kept with each mail since it came, and an answer that announced so many must have them. What has no such",
  "promise (SEARCH, PREVIEW, JMAP's bodyValues and search) takes CR CR LF as a line end there too. Dovecot decodes what it has changed.",
];

export function imapPage(): string {
  const folder = join(ROOT, "apps/imap/src/commands");
  const files = readdirSync(folder).filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts"));
  const rows = files.flatMap((file) => rowsOf(readFileSync(join(folder, file), "utf8")));
  const table = readFileSync(join(folder, "index.ts"), "utf8");
  const listed = /commands: readonly Command<unknown>\[\] = \[([\s\S]*?)\];/.exec(table)![1]!.match(/\w+/g)!.length;
  if (listed !== rows.length) throw new Error(`the table has ${listed} commands, ${rows.length} were found`);
  const grammar = Object.entries(GRAMMAR_CAPABILITIES);
  const announced = capabilitiesOf({
    loginAllowed: true,
    startTlsOffered: false,
    hasJmap: true,
    hidden: new Set(),
    literalMinus: false,
  });
  const sorted = rows.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  return [
    "# IMAP: what is supported",
    "",
    "Made by `npm run docs` out of the command table. Announced besides STARTTLS, or LOGINDISABLED in place of AUTH:",
    `${announced.join(" ")}.`,
    "",
    "What no command of its own stands for:",
    "",
    "| capability | where |",
    "|---|---|",
    ...grammar.map(([name, rfc]) => `| ${name} | ${rfc} |`),
    "| MESSAGELIMIT | RFC 9738, where `imap.message_limit` sets one |",
    "",
    "| command | states | UID form | capability | what |",
    "|---|---|---|---|---|",
    ...sorted.map((row) => `| ${row.name} | ${row.states} | ${row.uid} | ${row.capabilities} | ${row.comment} |`),
    "",
    ...DOUBLED_CR,
    "",
  ].join("\n");
}

type Table = (typeof METHODS)[number]["table"];

/** Texts of doc comments, by the method's name. */
function methodComments(): ReadonlyMap<string, string> {
  const folder = join(ROOT, "apps/jmap/src");
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" });
  const pattern =
    /\/\*\*\s+(?:\* )?((?:(?!\*\/)[\s\S])*?)\s*\*\/\n(?:export )?const \w+: Method = (?:method\(\s*|\{ name: )"([^"]+)"/g;
  const comments = files
    .filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts"))
    .flatMap((file) => [...readFileSync(join(folder, file), "utf8").matchAll(pattern)])
    .map(([, comment, name]) => [name!, comment!.replace(/\s*\n \* ?/g, " ")] as const);
  return new Map(comments);
}

function argumentText([name, { type, isRequired, byDefault }]: [string, Table[string]]): string {
  const value = byDefault === undefined ? "" : ` = ${JSON.stringify(byDefault)}`;
  return `${name}: ${type.name}${isRequired ? " (must be given)" : value}`;
}

export function jmapPage(): string {
  const comments = methodComments();
  const rows = METHODS.map(({ name, capability, table }) => {
    const comment = comments.get(name);
    if (comment === undefined) throw new Error(`${name} has no doc comment`);
    const own = Object.entries(table).filter(([argument]) => argument !== "accountId");
    return `| ${name} | ${capability.split(":").at(-1)} | ${own.map(argumentText).join("; ")} | ${comment} |`;
  });
  const without = METHODS.filter(({ table }) => !("accountId" in table)).map(({ name }) => name);
  const quota = { bytesMax: 1, messagesMax: 1 };
  const sending = { sends: true, holdMsMax: HOLD_MS_MAX, hasMandates: true };
  const account = { account: "", address: "", ...sending, barred: undefined, pushKey: "", quota };
  const { capabilities, accounts } = sessionObject(account as never, "", { requests: 0, uploads: 0 });
  // Limits on requests at once are the door's to say, and URLs and keys are the server's.
  const told = (value: object): string =>
    Object.entries(value)
      .filter(
        ([name]) => !["maxConcurrentUpload", "maxConcurrentRequests", "url", "applicationServerKey"].includes(name),
      )
      .map(([name, one]) => `${name} ${JSON.stringify(one)}`)
      .join("; ");
  const ofAccount = Object.values(accounts as Record<string, { readonly accountCapabilities: Record<string, object> }>)
    .map(({ accountCapabilities }) => accountCapabilities)
    .at(0)!;
  return [
    "# JMAP: what is supported",
    "",
    "Made by `npm run docs` out of the tables of arguments and properties. What is written null counts as not given; an argument that",
    "a method does not have is passed over.",
    "",
    "| capability | the server's | an account's |",
    "|---|---|---|",
    ...Object.entries(capabilities as Record<string, object>).map(
      ([name, value]) => `| ${name} | ${told(value)} | ${told(ofAccount[name] ?? {})} |`,
    ),
    "",
    `Each method but ${without.join(", ")} has the argument accountId, which must be given.`,
    "",
    "| method | capability | arguments | what |",
    "|---|---|---|---|",
    ...rows,
    "",
    "| type | properties |",
    "|---|---|",
    ...Object.entries(PROPERTIES).map(([type, names]) => `| ${type} | ${names.join(", ")} |`),
    "",
    "Of emails and their parts header fields may be asked for in any form that RFC 8621 §4.1.2 allows: `header:List-Id:asText:all`.",
    "",
  ].join("\n");
}

export const PAGES: Readonly<Record<string, () => string>> = {
  "docs/protocols/imap.md": imapPage,
  "docs/protocols/jmap.md": jmapPage,
};

if (argv[2] === "--write") for (const [file, make] of Object.entries(PAGES)) writeFileSync(join(ROOT, file), make());
