import { EngineError, type EngineErrorCode } from "@restante/engine";
import { Problem, unavailable } from "@restante/host";

/** Seconds after which a client may try again what could not be done now. */
const RETRY_SECONDS = 5;

/** RFC 9110 §15. Total on purpose: a new engine code doesn't compile until it has its answer. An unknown outcome is no
 * status that says that nothing was done. */
const STATUS: Readonly<Record<Exclude<EngineErrorCode, "unavailable">, number>> = {
  "not-found": 404,
  "already-exists": 409,
  "not-permitted": 403,
  invalid: 400,
  conflict: 409,
  expunged: 410,
  "over-quota": 507,
  "too-large": 413,
  locked: 403,
  "unknown-outcome": 500,
  corrupt: 500,
};

/** The engine's errors as problems. Undefined for any other error, which is a bug. */
export function explainError(error: unknown): Problem | undefined {
  if (!(error instanceof EngineError)) return undefined;
  if (error.code === "unavailable") return unavailable("Try again later", RETRY_SECONDS, { cause: error });
  return new Problem(STATUS[error.code], TEXTS[error.code] ?? error.message, { cause: error });
}

/** In the place of what would tell of the store. */
const TEXTS: Partial<Readonly<Record<EngineErrorCode, string>>> = {
  "unknown-outcome": "It is not known whether this was done",
  corrupt: "The account is damaged",
};
