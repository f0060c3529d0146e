import { MethodError } from "../core/errors.ts";

/** Arguments that a method can't take: `invalidArguments` of RFC 8620 §3.6.2. */
export class InvalidArguments extends MethodError {
  /** The argument, or where in it the mistake is. */
  readonly argument: string;

  constructor(argument: string, description: string) {
    super("invalidArguments", description);
    this.argument = argument;
  }
}

/** More is asked for than one call gives: `requestTooLarge` of RFC 8620 §5.1. */
export class RequestTooLarge extends MethodError {
  constructor(description: string) {
    super("requestTooLarge", description);
  }
}

/** Why one object was not made: RFC 8620 §5.3, RFC 8621 §4.6 and §4.8. */
export interface SetError {
  readonly type:
    | "invalidProperties"
    | "blobNotFound"
    | "tooManyKeywords"
    | "tooManyMailboxes"
    | "invalidEmail"
    | "tooLarge";
  /** Of `invalidProperties`: which, each once. */
  readonly properties?: readonly string[];
  /** Of `blobNotFound`: blob ids. */
  readonly notFound?: readonly string[];
  readonly description?: string;
}

/** Whether a value is an object of JSON: no list, no null. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
