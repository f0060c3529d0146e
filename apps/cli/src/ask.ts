import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { EXIT, Exit } from "./exit.ts";
import type { Flags } from "./flags.ts";

let lines: string[] | undefined;

/** A secret: from RESTANTE_PASSWORD, standard input, or asked for without echo. */
export async function askSecret(prompt: string, flags: Flags): Promise<string> {
  const fromEnv = process.env.RESTANTE_PASSWORD;
  if (fromEnv !== undefined && !flags.passwordStdin) return fromEnv;
  if (flags.passwordStdin) {
    lines ??= (await text(process.stdin)).split(/\r?\n/);
    const line = lines.shift();
    if (line === undefined || line === "") throw new Exit(EXIT.usage, "standard input holds no password");
    return line;
  }
  if (!process.stdin.isTTY)
    throw new Exit(EXIT.usage, "no terminal to ask on; use --password-stdin or RESTANTE_PASSWORD");
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
