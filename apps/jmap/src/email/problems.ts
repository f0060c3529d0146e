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
