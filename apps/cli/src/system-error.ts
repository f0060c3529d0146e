import { userInfo } from "node:os";
import { StoreError } from "@restante/engine";
import { EXIT } from "./exit.ts";

/** Codes of refusals that pass. All others stay until somebody changes something. */
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

/** True for an error of a system call: on a file, a folder, a connection. */
export function isSystemError(error: unknown): error is SystemError {
  return error instanceof Error && "syscall" in error && typeof (error as NodeJS.ErrnoException).code === "string";
}

/** The system's error, be it thrown by itself or as the cause of a StoreError for want of rights. Other causes of a
 * StoreError don't count: a disk that is away may come back. */
export function systemErrorOf(error: unknown): SystemError | undefined {
  if (isSystemError(error)) return error;
  const cause = error instanceof StoreError ? error.cause : undefined;
  return isSystemError(cause) && RIGHTS.has(cause.code) ? cause : undefined;
}

/** The exit code for it: whether a later try may do better. */
export function exitOf({ code }: SystemError): number {
  return PASSING.has(code) ? EXIT.unavailable : EXIT.usage;
}

/** The error's text for a person. For want of rights it names the user that the process runs as. */
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
