import { EngineError, StoreError, type StoreErrorCode } from "@restante/engine";
import { ConfigError } from "@restante/host";
import { runCommandLine } from "./command-line/program.ts";
import { table } from "./commands.ts";
import { EXIT, Exit } from "./exit.ts";
import { exitOf, isSystemError, textOf } from "./system-error.ts";

/** Runs a command line; resolves with the exit code. */
export async function run(args: readonly string[]): Promise<number> {
  try {
    return await runCommandLine(args, table);
  } catch (error) {
    const [code, text] = explain(error);
    process.stderr.write(`restante: ${text}\n`);
    return code;
  }
}
const STORE_EXITS: Partial<Record<StoreErrorCode, number>> = { invalid: EXIT.usage, damaged: EXIT.failed };

function explain(error: unknown): readonly [number, string] {
  if (error instanceof Exit) return [error.code, error.message];
  if (error instanceof ConfigError) return [EXIT.usage, error.message];
  if (isSystemError(error)) return [exitOf(error), textOf(error)];
  if (error instanceof StoreError && isSystemError(error.cause)) return [exitOf(error.cause), textOf(error.cause)];
  if (error instanceof StoreError) return [STORE_EXITS[error.code] ?? EXIT.unavailable, error.message];
  // An operator may read the store's own words; what it can't do at all no later try will mend.
  if (error instanceof EngineError && error.cause instanceof StoreError)
    return [
      error.cause.code === "invalid" ? EXIT.usage : error.code === "unavailable" ? EXIT.unavailable : EXIT.failed,
      error.cause.message,
    ];
  if (error instanceof EngineError)
    return [error.code === "unavailable" ? EXIT.unavailable : EXIT.failed, error.message];
  return [EXIT.failed, error instanceof Error ? (error.stack ?? error.message) : String(error)];
}
