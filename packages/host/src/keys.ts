import { randomBytes } from "node:crypto";
import { link, readFile, unlink, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { ConfigError } from "./config-error.ts";
import { makeFolder } from "./make-folder.ts";

/** A secret of the server's own in a file that only its user may read: read, or made at the first start. Throws the system's
 * error, and ConfigError for a file that holds something else. */
export async function readOrMakeKey(path: string, bytes: number): Promise<Uint8Array> {
  const known = await findKey(path, bytes);
  if (known) return known;
  const made = new Uint8Array(randomBytes(bytes));
  await makeFolder(dirname(path));
  await writeNew(path, `${Buffer.from(made).toString("base64")}\n`);
  // Another process may have been first: what stands in the file counts.
  return readOrMakeKey(path, bytes);
}

/** The same, if it was made. Errors as readOrMakeKey has them. */
export async function findKey(path: string, bytes: number): Promise<Uint8Array | undefined> {
  const text = await readFile(path, "utf8").catch(absentIsUndefined);
  if (text === undefined) return undefined;
  const key = new Uint8Array(Buffer.from(text.trim(), "base64"));
  if (key.length !== bytes) throw new ConfigError(`${path} does not hold a key of ${bytes} bytes`);
  return key;
}

/** Makes a file whole and synced, unless there is one: two that start at once see one file, never half of it. */
export async function writeNew(path: string, text: string): Promise<void> {
  const temporary = `${path}.${randomBytes(8).toString("hex")}.new`;
  await writeFile(temporary, text, { mode: 0o600, flush: true });
  try {
    await link(temporary, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  } finally {
    await unlink(temporary);
  }
}

function absentIsUndefined(error: NodeJS.ErrnoException): undefined {
  if (error.code === "ENOENT") return undefined;
  throw error;
}
