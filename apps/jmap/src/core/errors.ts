import { EngineError, type EngineErrorCode } from "@restante/engine";

/** A method that gets an error for an answer: RFC 8620 §3.6.2. Its text is fixed. */
export class MethodError extends Error {
  readonly type: string;
  readonly more: Readonly<Record<string, unknown>>;

  constructor(type: string, description?: string, more: Readonly<Record<string, unknown>> = {}) {
    super(description ?? type);
    this.name = "MethodError";
    this.type = type;
    this.more = description === undefined ? more : { description, ...more };
  }

  get answer(): Readonly<Record<string, unknown>> {
    return { type: this.type, ...this.more };
  }
}

export function invalidArguments(description: string): MethodError {
  return new MethodError("invalidArguments", description);
}

/** A whole request that gets an error for an answer: RFC 8620 §3.6.1. */
export class RequestError extends Error {
  readonly type: "unknownCapability" | "notJSON" | "notRequest" | "limit";
  readonly limit: string | undefined;

  constructor(type: RequestError["type"], detail: string, limit?: string) {
    super(detail);
    this.name = "RequestError";
    this.type = type;
    this.limit = limit;
  }
}

/** Why one object of a /set was not done: RFC 8620 §5.3, RFC 8621 §4.6. */
export interface SetError {
  readonly type: string;
  readonly description?: string;
  readonly properties?: readonly string[];
  readonly existingId?: string;
  readonly notFound?: readonly string[];
  readonly invalidRecipients?: readonly string[];
  readonly maxRecipients?: number;
  readonly maxSize?: number;
}

/** One object of a /set can't be done as it is asked for. */
export class SetRefusal extends Error {
  readonly error: SetError;

  constructor(error: SetError) {
    super(error.type);
    this.name = "SetRefusal";
    this.error = error;
  }
}

export function invalidProperties(...properties: readonly string[]): SetRefusal {
  return new SetRefusal({ type: "invalidProperties", properties });
}

/** The engine's errors as errors of a method. Total on purpose: a new code doesn't compile until it has its answer. */
const METHOD: Readonly<Record<EngineErrorCode, { readonly type: string; readonly text?: string }>> = {
  "not-found": { type: "notFound" },
  "already-exists": { type: "invalidArguments" },
  "not-permitted": { type: "forbidden" },
  invalid: { type: "invalidArguments" },
  conflict: { type: "serverUnavailable", text: "Changed meanwhile: try again" },
  expunged: { type: "serverUnavailable", text: "An email went meanwhile: try again" },
  "over-quota": { type: "overQuota" },
  "too-large": { type: "requestTooLarge" },
  unavailable: { type: "serverUnavailable", text: "Try again later" },
  locked: { type: "forbidden" },
  "unknown-outcome": { type: "serverFail", text: "It is not known whether this was done" },
  corrupt: { type: "serverFail", text: "The account is damaged" },
};

/** The answer to an error that a method threw; undefined for a bug of ours. */
export function methodErrorOf(error: unknown): MethodError | undefined {
  if (error instanceof MethodError) return error;
  if (!(error instanceof EngineError)) return undefined;
  const { type, text } = METHOD[error.code];
  return new MethodError(type, text ?? error.message);
}

/** The engine's errors as errors of one object of a /set. An error that ends the whole method is thrown on. */
export function setErrorOf(error: unknown): SetError {
  if (error instanceof SetRefusal) return error.error;
  if (!(error instanceof EngineError)) throw error;
  switch (error.code) {
    case "not-found":
    case "expunged":
      return { type: "notFound" };
    case "over-quota":
      return { type: "overQuota" };
    case "too-large":
      return { type: "tooLarge" };
    case "not-permitted":
      return { type: "forbidden", description: error.message };
    default:
      throw error;
  }
}
