// biome-ignore-all lint/suspicious/noTemplateCurlyInString: what shells put in
import { EXIT, Exit } from "../exit.ts";
import { type Command, type CommandTable, flagName } from "./command.ts";

/** `restante completion SHELL` */
export async function printCompletion(shell: string, table: CommandTable): Promise<number> {
  const make = Object.hasOwn(SHELLS, shell) ? SHELLS[shell] : undefined;
  if (!make) throw new Exit(EXIT.usage, `there is completion for ${Object.keys(SHELLS).join(", ")}, not for ${shell}`);
  process.stdout.write(make(table));
  return EXIT.well;
}

const SHELLS: Readonly<Record<string, (table: CommandTable) => string>> = { bash, zsh, fish };

/** Words that may follow `restante`, or `restante` and a first word. */
interface Place {
  readonly words: string;
  readonly next: readonly { readonly word: string; readonly about: string; readonly takesValue?: boolean }[];
}

function placesOf({ groups, commands }: CommandTable): Place[] {
  const alone = commands.filter(({ name }) => !name.includes(" "));
  const first = [
    ...alone.map(({ name, about }) => ({ word: name, about })),
    ...Object.entries(groups).map(([word, about]) => ({ word, about })),
  ];
  const ofGroup = (group: string): Place => ({
    words: group,
    next: commands
      .filter(({ name }) => name.startsWith(`${group} `))
      .map(({ name, about }) => ({ word: name.slice(group.length + 1), about })),
  });
  return [
    { words: "", next: first },
    ...Object.keys(groups).map(ofGroup),
    ...commands.map((command) => ({ words: command.name, next: flagsOf(command) })),
  ];
}

function flagsOf({ flags, configless }: Command): Place["next"] {
  const own = Object.entries(flags).map(([key, { about, value }]) => ({
    word: flagName(key),
    about,
    takesValue: value !== undefined,
  }));
  return [...own, ...(configless ? [] : [{ word: "--config", about: "the configuration file", takesValue: true }])];
}

/** Shell code that finds the place from `words`: the command's words, without flags. */
function search(table: CommandTable, words: string): string {
  const arms = placesOf(table)
    .filter(({ words: name }) => name !== "")
    .map(({ words: name }) => `      ${quoted(name)}) place=${quoted(name)} ;;`);
  return `  for word in ${words}; do
    case "$word" in -*) continue ;; esac
    case "\${place:+$place }$word" in
${arms.join("\n")}
    esac
  done`;
}

/** `next` by the place. */
function choice(table: CommandTable, listOf: (next: Place["next"]) => string): string {
  const arms = placesOf(table).map(({ words, next }) => `    ${quoted(words)}) next=${listOf(next)} ;;`);
  return `  case "$place" in\n${arms.join("\n")}\n  esac`;
}

/** Where nothing fits, paths do. */
function bash(table: CommandTable): string {
  return `# bash completion for restante
_restante() {
  local word place="" next=""
${search(table, '"${COMP_WORDS[@]:1:COMP_CWORD-1}"')}
${choice(table, (next) => `"${next.map(({ word }) => word).join(" ")}"`)}
  COMPREPLY=( $(compgen -W "$next" -- "\${COMP_WORDS[COMP_CWORD]}") )
}
complete -o default -F _restante restante
`;
}

function zsh(table: CommandTable): string {
  const described = (next: Place["next"]): string =>
    `(${next.map(({ word, about }) => quoted(`${word}:${about.replaceAll(":", "\\:")}`)).join(" ")})`;
  return `#compdef restante
# zsh completion for restante
_restante() {
  local word place=""
  local -a next
${search(table, '"${(@)words[2,CURRENT-1]}"')}
${choice(table, described)}
  _describe restante next || _files
}
compdef _restante restante
`;
}

function fish(table: CommandTable): string {
  const lines = placesOf(table).flatMap(({ words, next }) => {
    const [group, word] = words.split(" ");
    const seen =
      words === ""
        ? "__fish_use_subcommand"
        : word === undefined
          ? `__fish_seen_subcommand_from ${group}`
          : `__fish_seen_subcommand_from ${group}; and __fish_seen_subcommand_from ${word}`;
    return next.map(({ word: name, about, takesValue }) => {
      const what = name.startsWith("--") ? `-l ${name.slice(2)}${takesValue ? " -r" : ""}` : `-f -a ${name}`;
      return `complete -c restante -n ${quoted(seen)} ${what} -d ${quoted(about)}`;
    });
  });
  return `# fish completion for restante\n${lines.join("\n")}\n`;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
