import type { EngineError, EngineErrorCode } from "@restante/engine";
import type { Completion } from "./commands/command.ts";
import { asSentence } from "./wire/format.ts";

/** RFC 9051 §7.1. Total on purpose: a new engine code doesn't compile until it has its answer here. An unknown outcome
 * is never answered NO (that says "not done"): the connection ends with BYE. */
const responseCodes: Record<Exclude<EngineErrorCode, "unknown-outcome">, string> = {
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

/** Where what failed lies below the engine nothing of its words is told. */
const TEXTS: Partial<Record<EngineErrorCode, string>> = {
  unavailable: "Not available now, try again",
  corrupt: "What is stored is damaged",
};

/** A refusal whose response code no engine error stands for: answered NO. */
export class Refusal extends Error {
  readonly code: string;

  constructor(message: string, code: string) {
    super(message);
    this.name = "Refusal";
    this.code = code;
  }
}

/** The answer to a foreseen refusal. */
export function refusalOf({ code, message }: EngineError): Completion {
  return {
    status: "NO",
    text: TEXTS[code] ?? asSentence(message),
    code: responseCodes[code as keyof typeof responseCodes],
  };
}
