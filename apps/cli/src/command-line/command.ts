import type { Config } from "@restante/host";

/** A flag of a command: a switch, or with a value of the kind that `value` names. Its key in the row is its name in camelCase. */
export interface Flag {
  readonly value?: string;
  readonly about: string;
  /** Keys of flags that can't stand beside it. */
  readonly conflicts?: readonly string[];
}

type FlagRow = Readonly<Record<string, Flag>>;
type FlagValues<F extends FlagRow> = {
  readonly [K in keyof F]: F[K] extends { readonly value: string } ? string | undefined : boolean;
};
/** `ADDRESS` must be there, `[ADDRESS]` may. */
type ArgumentValues<A extends readonly string[]> = {
  readonly [K in keyof A]: A[K] extends `[${string}]` ? string | undefined : string;
};

/** Parsed arguments and flags of one run of a command. */
export interface Invocation<Arguments, Flags> {
  /** Read when it is asked for. Throws ConfigError. */
  readonly config: Config;
  /** The path of `--config`. */
  readonly configFile: string | undefined;
  readonly args: Arguments;
  readonly flags: Flags;
}

interface CommandRow<A extends readonly string[], F extends FlagRow> {
  /** One word, or a group and a word. */
  readonly name: string;
  readonly args: A;
  readonly flags: F;
  /** A line, for lists. */
  readonly about: string;
  /** Sentences, for its own help and the manual. */
  readonly details?: string;
  /** The command reads no configuration: `--config` is refused. */
  readonly configless?: boolean;
  /** Resolves with the exit code. */
  readonly run: (invocation: Invocation<ArgumentValues<A>, FlagValues<F>>) => Promise<number>;
}

/** A row of the command table. All that is told of a command (help, manual, completion) is made of it. */
export type Command = CommandRow<readonly string[], FlagRow>;

/** All commands, in the order in which help shows them; groups tell what those of two words with the same first are for. */
export interface CommandTable {
  readonly groups: Readonly<Record<string, string>>;
  readonly commands: readonly Command[];
}

export function defineCommand<const A extends readonly string[], const F extends FlagRow>(
  row: CommandRow<A, F>,
): Command {
  return row as unknown as Command;
}

/** `passwordStdin` is `--password-stdin`. */
export function flagName(key: string): string {
  return `--${key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** `restante check [ADDRESS] [--sealed | …]`, without its flags. */
export function usageOf({ name, args }: Command): string {
  return ["restante", name, ...args].join(" ");
}
