import { parseAppPassword } from "../../crypto/index.ts";
import { EngineError } from "../../errors.ts";
import { isCommonPassword } from "./common-passwords.ts";

export const PASSWORD_CHARS_MIN = 12;
const DISTINCT_CHARS_MIN = 4;

/** Checks a new password. Throws EngineError `invalid`, with a message for the person who chose it. */
export function checkPassword(password: string): void {
  if ([...password].length < PASSWORD_CHARS_MIN)
    throw new EngineError("invalid", `a password has at least ${PASSWORD_CHARS_MIN} characters`);
  // The sign-in would take it for an app password, and open nothing.
  if (parseAppPassword(password)) throw new EngineError("invalid", "an app password can't be the account's password");
  if (new Set(password).size < DISTINCT_CHARS_MIN || isCommonPassword(password))
    throw new EngineError("invalid", "that password is too easily guessed: use four words that have nothing in common");
}
