import type { EngineErrorCode } from "@restante/engine";

/** RFC 9051 §7.1. Total on purpose: a new engine code doesn't compile until it has its answer here. An unknown outcome
 * is never answered NO (that says "not done"): the connection ends with BYE. */
export const responseCodes: Record<Exclude<EngineErrorCode, "unknown-outcome">, string> = {
  "not-found": "NONEXISTENT",
  "already-exists": "ALREADYEXISTS",
  "not-permitted": "NOPERM",
  invalid: "CANNOT",
  conflict: "INUSE",
  expunged: "EXPUNGEISSUED",
  "over-quota": "OVERQUOTA",
  "too-large": "TOOBIG",
  // The password was right: RFC 5530 §3 has no nearer word.
  locked: "CONTACTADMIN",
  unavailable: "UNAVAILABLE",
  corrupt: "CORRUPTION",
};
