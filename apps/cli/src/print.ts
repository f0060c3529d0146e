import type { Flags } from "./flags.ts";

/** Writes an answer: JSON, or lines for a person. */
export function print(flags: Pick<Flags, "json">, result: unknown): void {
  if (flags.json) process.stdout.write(`${JSON.stringify(result)}\n`);
  else if (Array.isArray(result)) process.stdout.write(result.map((line) => `${line}\n`).join(""));
  else
    process.stdout.write(
      Object.entries(result as object)
        .map(([key, value]) => `${key}: ${value}\n`)
        .join(""),
    );
}

/** `2026-11-30` */
export function dateOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}

/** Tells a person something on standard error. Names of files and of other servers' mailboxes are strangers' words: what a
 * terminal would obey is not shown. */
export function tell(text: string): void {
  process.stderr.write(`restante: ${printable(text)}\n`);
}

/** One line without control characters. */
export function printable(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, "\ufffd");
}
