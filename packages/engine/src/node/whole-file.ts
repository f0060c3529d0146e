import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";

/** Writes a file beside `file`, under a name that nobody else uses, whole and synced, for its user alone. Resolves with its
 * path: who renames or links it to `file` lets others see it whole or not at all. */
export async function writeBeside(file: string, text: string): Promise<string> {
  const beside = `${file}.${randomBytes(8).toString("hex")}.new`;
  await writeFile(beside, text, { mode: 0o600, flag: "wx", flush: true });
  return beside;
}
