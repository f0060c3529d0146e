/** Logs: one JSON object a line, on stderr. Ids, counts and codes; never secrets or content. */
export type LogLevel = "debug" | "info" | "warn" | "error";
export interface LogLine {
  readonly level: LogLevel;
  readonly event: string;
  readonly error?: unknown;
  readonly [field: string]: unknown;
}
export type Log = (line: LogLine) => void;

const ORDER: readonly LogLevel[] = ["debug", "info", "warn", "error"];

export function createLog(least: LogLevel, write: (line: string) => void): Log {
  return ({ level, event, error, ...fields }) => {
    if (ORDER.indexOf(level) < ORDER.indexOf(least)) return;
    const described = error === undefined ? {} : { error: describeError(error) };
    write(`${JSON.stringify({ time: new Date().toISOString(), level, event, ...fields, ...described })}\n`);
  };
}

/** An error with its causes; a stack only for what is a bug or damage. */
function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return String(error);
  const code = (error as { code?: unknown }).code;
  return {
    name: error.name,
    message: error.message,
    ...(code === undefined ? { stack: error.stack } : { code }),
    ...(error.cause === undefined ? {} : { cause: describeError(error.cause) }),
  };
}
