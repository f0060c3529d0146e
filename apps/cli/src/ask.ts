import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { EXIT, Exit } from "./exit.ts";
import type { Flags } from "./flags.ts";

let lines: string[] | undefined;

/** A secret: from the environment, by default RESTANTE_PASSWORD, standard input, or asked for without echo. */
export async function askSecret(prompt: string, flags: Flags, variable = "RESTANTE_PASSWORD"): Promise<string> {
  const fromEnv = process.env[variable];
  if (fromEnv !== undefined && !flags.passwordStdin) return fromEnv;
  if (flags.passwordStdin) {
    lines ??= (await text(process.stdin)).split(/\r?\n/);
    const line = lines.shift();
    if (line === undefined || line === "")
      throw new Exit(EXIT.usage, `standard input holds no password; it was asked for: ${prompt.trim()}`);
    return line;
  }
  if (!process.stdin.isTTY) throw new Exit(EXIT.usage, `no terminal to ask on; use --password-stdin or ${variable}`);
  process.stdout.write(prompt);
  const terminal = createInterface({ input: process.stdin, terminal: true });
  try {
    return await new Promise((resolve, reject) => {
      terminal.once("line", (line) => {
        process.stdout.write("\n");
        resolve(line);
      });
      terminal.once("close", () => reject(nothingSaid()));
    });
  } finally {
    terminal.close();
  }
}

/** A password for another server: the first line of a file, or as any secret, from RESTANTE_SOURCE_PASSWORD. */
export async function readSourcePassword(
  prompt: string,
  flags: Flags & { readonly sourcePasswordFile: string | undefined },
): Promise<string> {
  const file = flags.sourcePasswordFile;
  if (file === undefined) return askSecret(prompt, flags, "RESTANTE_SOURCE_PASSWORD");
  const content = await readFile(file, "utf8").catch((error: Error) => {
    throw new Exit(EXIT.usage, `--source-password-file can't be read: ${error.message}`);
  });
  const [line = ""] = content.split(/\r?\n/);
  if (line === "") throw new Exit(EXIT.usage, `${file} holds no password in its first line`);
  return line;
}

/** A line that a person types; `flag` is what says it without a terminal. */
export async function askLine(prompt: string, flag: string): Promise<string> {
  if (!process.stdin.isTTY) throw new Exit(EXIT.usage, `no terminal to ask on; use ${flag}`);
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  try {
    return await new Promise((resolve, reject) => {
      terminal.question(prompt, resolve);
      terminal.once("close", () => reject(nothingSaid()));
    });
  } finally {
    terminal.close();
  }
}

/** Ctrl-C, or the terminal's end. */
function nothingSaid(): Exit {
  return new Exit(EXIT.failed, "nothing was said, and nothing more is done");
}

/** A new secret, asked for twice where a person types it. */
export async function askNewSecret(prompt: string, flags: Flags): Promise<string> {
  const first = await askSecret(prompt, flags);
  if (flags.passwordStdin || process.env.RESTANTE_PASSWORD !== undefined) return first;
  if ((await askSecret("Once more: ", flags)) !== first) throw new Exit(EXIT.usage, "the two are not the same");
  return first;
}
