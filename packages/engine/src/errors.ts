/**
 * A foreseen refusal, in words that every front end translates into its protocol's own. Anything else that is thrown is
 * a bug or a damaged store.
 *
 * `locked` means that the mail can't be opened or taken until its owner acts: no key yet, or a password that changed elsewhere.
 * `unavailable` means surely not done: try again. `unknown-outcome` means it may have been done: never answered "no".
 */
export type EngineErrorCode =
  | "not-found"
  | "already-exists"
  | "not-permitted"
  | "invalid"
  | "conflict"
  | "expunged"
  | "over-quota"
  | "too-large"
  | "unavailable"
  | "locked"
  | "unknown-outcome"
  | "corrupt";

export class EngineError extends Error {
  readonly code: EngineErrorCode;
  constructor(code: EngineErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "EngineError";
    this.code = code;
  }
}
