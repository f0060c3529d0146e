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
