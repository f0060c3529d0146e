import { NAME_BYTES_MAX, StoreError } from "./object-store.ts";

const NAME = /^[\x21-\x7e]+$/;

/** Throws StoreError `invalid` for a name that not every store takes. */
export function checkName(name: string): void {
  if (!isValidName(name)) throw new StoreError("invalid", "invalid object name");
}

export function isValidName(name: string): boolean {
  const levels = name.split("/");
  const bad = levels.some((level) => level === "" || level === "." || level === "..");
  return !bad && NAME.test(name) && name.length <= NAME_BYTES_MAX;
}

/** The first text behind all names with this prefix; undefined if there is none. */
export function prefixEnd(prefix: string): string | undefined {
  if (prefix === "") return undefined;
  const last = prefix.charCodeAt(prefix.length - 1);
  return prefix.slice(0, -1) + String.fromCharCode(last + 1);
}

/** The number of a log entry's name and the prefix before `log/`; undefined for other names. */
export function logNumber(name: string): { readonly prefix: string; readonly number: number } | undefined {
  const match = /^(.*?)log\/([0-9a-f]{14})$/.exec(name);
  return match ? { prefix: match[1]!, number: Number.parseInt(match[2]!, 16) } : undefined;
}
