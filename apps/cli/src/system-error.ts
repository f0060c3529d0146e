import { userInfo } from "node:os";
import { StoreError } from "@restante/engine";
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

const RIGHTS: ReadonlySet<string> = new Set(["EACCES", "EPERM"]);

interface SystemError extends Error {
  readonly code: string;
}

/** Whether the system refused something: a file, a folder, a connection. */
export function isSystemError(error: unknown): error is SystemError {
  return error instanceof Error && "syscall" in error && typeof (error as NodeJS.ErrnoException).code === "string";
}

/** What the system refused, also to the store where that is for want of rights: a disk that is not there may come back. */
export function systemErrorOf(error: unknown): SystemError | undefined {
  if (isSystemError(error)) return error;
  const cause = error instanceof StoreError ? error.cause : undefined;
  return isSystemError(cause) && RIGHTS.has(cause.code) ? cause : undefined;
}

/** The exit code for it: whether a later try may do better. */
export function exitOf({ code }: SystemError): number {
  return PASSING.has(code) ? EXIT.unavailable : EXIT.usage;
}

/** What it says to a person: who has no right is told whom the system took them for. */
export function textOf({ code, message }: SystemError): string {
  return RIGHTS.has(code) ? `${message} (as user ${userName()})` : message;
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    // A user that has no entry.
    return String(process.getuid?.());
  }
}
