import type { CryptoPlatform } from "../crypto/index.ts";

/** What the engine needs of the world around it: handed in, so that it runs anywhere and tests need no time. */
export interface Platform {
  readonly crypto: CryptoPlatform;
  /** Milliseconds since 1970: shown, never compared. */
  readonly now: () => number;
  /** Milliseconds that only go forward: throttles and time-outs. */
  readonly monotonic: () => number;
  readonly delay: (ms: number) => Promise<void>;
  /** What an operator should know: ids, counts and codes, never content. */
  readonly log: (event: LogEvent) => void;
}

export interface LogEvent {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly event: string;
  readonly error?: unknown;
  readonly [field: string]: unknown;
}
