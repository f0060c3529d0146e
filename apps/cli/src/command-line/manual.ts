import { EXIT } from "../exit.ts";
import { type CommandTable, flagName, usageOf } from "./command.ts";
import { CONFIG_FLAG, NOTES, version } from "./program.ts";

/** `restante manual` */
export async function printManual(table: CommandTable): Promise<number> {
  process.stdout.write(manualPage(table));
  return EXIT.well;
}

/** restante(1), in the man macros of roff. */
export function manualPage({ commands }: CommandTable): string {
  const lines = [
    `.TH RESTANTE 1 "" "restante ${version()}" "Restante"`,
    ".SH NAME",
    "restante \\- a mail server whose stored bytes only the mailbox's owner can open",
    ".SH SYNOPSIS",
    ".B restante",
    "[\\fB\\-\\-config\\fR \\fIFILE\\fR] \\fICOMMAND\\fR [\\fIARGUMENTS\\fR] [\\fIFLAGS\\fR]",
    ".SH COMMANDS",
    ...commands.flatMap((command) => [
      ".TP",
      `\\fB${escaped(usageOf(command))}\\fR`,
      escaped(sentence(command.about)),
      ...(command.details ? [escaped(command.details)] : []),
      ...Object.entries(command.flags).flatMap(([key, { value, about }]) => [
        ".RS",
        ".TP",
        `\\fB${escaped(flagName(key))}\\fR${value ? ` \\fI${value}\\fR` : ""}`,
        escaped(sentence(about)),
        ".RE",
      ]),
    ]),
    ".SH OPTIONS",
    ".TP",
    `\\fB${escaped(CONFIG_FLAG[0])}\\fR`,
    escaped(`The configuration file: ${CONFIG_FLAG[1]}.`),
    ".SH NOTES",
    escaped(NOTES),
    ".SH SEE ALSO",
    "docs/operating.md, which has each setting of restante.toml.",
  ];
  return `${lines.join("\n")}\n`;
}

function sentence(text: string): string {
  return `${text[0]!.toUpperCase()}${text.slice(1)}.`;
}

/** No line of text may look like a request. */
function escaped(text: string): string {
  return text
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replaceAll(/^([.'])/gm, "\\&$1");
}
