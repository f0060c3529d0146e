import { userInfo } from "node:os";
import { EXIT } from "./exit.ts";

/** What the system refuses for a while; all else stays so until somebody changes something. */
const PASSING: ReadonlySet<string> = new Set([
  "EAGAIN",
  "EBUSY",
  "ECONNREFUSED",
  "ECONNRESET",
  "EDQUOT",
  "EIO",
  "EMFILE",
  "ENFILE",
  "ENOMEM",
  "ENOSPC",
  "ETIMEDOUT",
]);

/** Whether the system refused something: a file, a folder, a connection. */
export function isSystemError(error: unknown): error is NodeJS.ErrnoException & { readonly code: string } {
  return error instanceof Error && "syscall" in error && typeof (error as NodeJS.ErrnoException).code === "string";
}

/** The exit code for it: whether a later try may do better. */
export function exitOf({ code }: { readonly code: string }): number {
  return PASSING.has(code) ? EXIT.unavailable : EXIT.usage;
}

/** What it says to a person: who has no right is told whom the system took them for. */
export function textOf({ code, message }: { readonly code: string; readonly message: string }): string {
  return code === "EACCES" || code === "EPERM" ? `${message} (as user ${userName()})` : message;
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    // A user that has no entry.
    return String(process.getuid?.());
  }
}
