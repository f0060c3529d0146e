import type { AccountSession, Pace } from "@restante/engine";
import { MethodError } from "./errors.ts";
import { OBJECTS_MAX } from "./limits.ts";
import { type Arguments, type ArgumentTable, readArguments } from "./types.ts";

/** The account and tools of one method call. */
export interface Context {
  readonly session: AccountSession;
  /** The one account that the signed-in user has. */
  readonly accountId: string;
  /** Ids by the creation ids that this request has used so far: RFC 8620 §3.3. */
  readonly createdIds: Map<string, string>;
  readonly pace: Pace;
  /** Aborted when the client is gone. */
  readonly signal: AbortSignal;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** So many octets that nobody can guess. */
  readonly random: (octets: number) => Uint8Array;
}

/** A method's result, and the calls that it implied, in order: RFC 8620 §3.4. */
export interface MethodAnswer {
  readonly result: Readonly<Record<string, unknown>>;
  readonly implied?: readonly (readonly [name: string, result: Readonly<Record<string, unknown>>])[];
}

export interface Method {
  readonly name: string;
  /** The capability that `using` must name. */
  readonly capability: string;
  readonly table: ArgumentTable;
  /** Throws MethodError, and the engine's errors. */
  readonly call: (given: Readonly<Record<string, unknown>>, context: Context) => Promise<MethodAnswer>;
}

/** A method of an account. `run` gets its arguments read by `table`. */
export function method<Table extends ArgumentTable>(
  name: string,
  capability: string,
  table: Table,
  run: (args: Arguments<Table>, context: Context) => Promise<Readonly<Record<string, unknown>> | MethodAnswer>,
): Method {
  return {
    name,
    capability,
    table,
    async call(given, context) {
      const args = readArguments(table, given);
      if ("accountId" in args && args.accountId !== context.accountId) throw new MethodError("accountNotFound");
      const answer = await run(args, context);
      return isAnswer(answer) ? answer : { result: answer };
    },
  };
}

function isAnswer(answer: object): answer is MethodAnswer {
  return "result" in answer;
}

/** An id, or `#` and the creation id of what an earlier call made: RFC 8620 §5.3. An id that was not made stays as it is, and
 * names nothing. */
export function resolveId(id: string, { createdIds }: Pick<Context, "createdIds">): string {
  return id.startsWith("#") ? (createdIds.get(id.slice(1)) ?? id) : id;
}

/** Throws MethodError `requestTooLarge`. */
export function checkObjects(count: number): void {
  if (count > OBJECTS_MAX) throw new MethodError("requestTooLarge");
}
