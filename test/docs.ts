import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { argv } from "node:process";
import { capabilitiesOf, GRAMMAR_CAPABILITIES } from "@restante/imap";

/** docs/protocols, made of the command tables: each row's name, states and capabilities, and the section its doc comment
 * names. `node docs.ts --write` writes them; a test holds that they are as made. */
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
    "",
    "| command | states | UID form | capability | what |",
    "|---|---|---|---|---|",
    ...sorted.map((row) => `| ${row.name} | ${row.states} | ${row.uid} | ${row.capabilities} | ${row.comment} |`),
    "",
  ].join("\n");
}

export const PAGES: Readonly<Record<string, () => string>> = { "docs/protocols/imap.md": imapPage };

if (argv[2] === "--write") for (const [file, make] of Object.entries(PAGES)) writeFileSync(join(ROOT, file), make());
