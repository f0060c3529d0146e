import { readFileSync } from "node:fs";
import { readConfig } from "@restante/host";
import { CommanderError, Command as Node, Option } from "commander";
import { EXIT, Exit } from "../exit.ts";
import { type Command, type CommandTable, flagName, usageOf } from "./command.ts";

export const CONFIG_FLAG = ["--config <FILE>", "else RESTANTE_CONFIG, else ./restante.toml, else defaults"] as const;

/** The text below a list of commands. */
export const NOTES = `Passwords are asked for, read from standard input (--password-stdin), or taken from RESTANTE_PASSWORD;
never from the command line. Exit codes: 0 well, 1 failed or damage found, 2 usage or configuration, 3 try again later.`;

export function version(): string {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { readonly version: string }).version;
}

/** Runs the command that `args` name; resolves with its exit code. Throws Exit for a line that names none. */
export async function runCommandLine(args: readonly string[], table: CommandTable): Promise<number> {
  let code: number = EXIT.usage;
  const program = makeProgram(table, (result) => {
    code = result;
  });
  try {
    await program.parseAsync(args, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // Help that was asked for, or the version; help of a group that lacks a command was shown too, and is a mistake.
    if (error.code === "commander.helpDisplayed" || error.code === "commander.version") return EXIT.well;
    if (error.code === "commander.help") return args.includes("help") ? EXIT.well : EXIT.usage;
    throw new Exit(EXIT.usage, `${error.message.replace(/^error: /, "").replaceAll("\n", " ")}; try restante --help`);
  }
  return code;
}

function makeProgram({ commands, groups }: CommandTable, onEnd: (code: number) => void): Node {
  const program = quiet(new Node("restante"))
    .description("A mail server whose stored bytes only the mailbox's owner can open.")
    .option(...CONFIG_FLAG)
    .version(version())
    .addHelpText("after", `\n${NOTES}`);
  const parents = new Map<string, Node>([["", program]]);
  for (const [name, about] of Object.entries(groups))
    parents.set(name, quiet(program.command(name)).description(about));
  const nodes = commands.map((row) => addCommand(program, parents, row, onEnd));
  // `--help` of the program lists all commands, and not only the groups.
  program.configureHelp({
    visibleCommands: (node) => [...(node === program ? nodes : node.commands)],
    subcommandTerm: (node) => (nodes.includes(node) ? usageOf(commands[nodes.indexOf(node)]!).slice(9) : node.name()),
  });
  return program;
}

function addCommand(
  program: Node,
  parents: ReadonlyMap<string, Node>,
  row: Command,
  onEnd: (code: number) => void,
): Node {
  const [word, group = ""] = row.name.split(" ").reverse();
  const node = quiet(parents.get(group)!.command(word!))
    .summary(row.about)
    .description(row.details ? `${row.about}\n\n${row.details}` : row.about);
  for (const name of row.args) node.argument(name.startsWith("[") ? name : `<${name}>`);
  for (const [key, { value, about, conflicts = [] }] of Object.entries(row.flags))
    node.addOption(new Option(`${flagName(key)}${value ? ` <${value}>` : ""}`, about).conflicts([...conflicts]));
  node.action(async () => {
    const { config: configFile } = program.opts<{ readonly config?: string }>();
    if (row.configless && configFile !== undefined) throw new Exit(EXIT.usage, `${row.name} reads no --config`);
    const given = node.opts<Record<string, string | true>>();
    const flags = Object.fromEntries(
      Object.entries(row.flags).map(([key, { value }]) => [key, value ? given[key] : given[key] === true]),
    );
    const { args } = node;
    const invocation = {
      args: row.args.map((_, index) => args[index]!),
      flags,
      configFile,
      get config() {
        return readConfig(configFile, process.env);
      },
    };
    onEnd(await row.run(invocation as Parameters<Command["run"]>[0]));
  });
  return node;
}

/** Makes a command silent: its errors are told by the exception. Help is printed. */
function quiet(node: Node): Node {
  return node
    .exitOverride()
    .allowExcessArguments(false)
    .configureHelp({ showGlobalOptions: true, sortSubcommands: false })
    .configureOutput({ writeErr: (text) => process.stderr.write(text), outputError: () => undefined });
}
