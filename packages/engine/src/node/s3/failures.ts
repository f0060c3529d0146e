import { CONNECT_TIMED_OUT } from "./agent.ts";
import { NoTurn } from "./queue.ts";

/** Errors of a connection that never stood: the request was not sent. */
const NEVER_SENT: ReadonlySet<string> = new Set([
  CONNECT_TIMED_OUT,
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOENT",
  "EACCES",
  "EMFILE",
]);

/** There is no code of its own for a full store: Garage says it in its words, with 503 (or under a 200, by name). */
const FULL = /no space left|disk is full|disk full|insufficient storage|storagefull|quota ?exceeded/i;

/** A failure, told apart by what may have been done. */
export interface Failure {
  /** True for a request that may have been done, or may be done later. */
  readonly doubtful: boolean;
  readonly full: boolean;
  /** Asking again may help. */
  readonly again: boolean;
  /** The store's own word, for the operator. */
  readonly reason: string;
}

/** A failure that an answer of 200 carries inside, as DeleteObjects does. */
export class PartlyFailed extends Error {
  constructor(code: string, message: string) {
    super(message);
    this.name = code;
  }
}

export class TimedOut extends Error {
  constructor(message: string) {
    super(message);
    this.name = "TimedOut";
  }
}

/** Judges the failure of a request; `status` is that of its answer, undefined where none came. A store that has refused with
 * 4xx has done nothing. With 5xx it may have: Garage's 503 says that too few nodes took it in time. */
export function judgeFailure(error: unknown, status: number | undefined): Failure {
  const { name, message, code } = error as { name: string; message: string; code?: unknown };
  const reason = code === undefined || status !== undefined ? plain(name) : plain(String(code));
  if (error instanceof NoTurn) return { doubtful: false, full: false, again: false, reason };
  if (error instanceof PartlyFailed) {
    const full = FULL.test(`${name} ${message}`);
    return { doubtful: !full, full, again: !full, reason };
  }
  if (status === undefined) {
    const sent = typeof code !== "string" || !NEVER_SENT.has(code);
    return { doubtful: sent, full: false, again: true, reason };
  }
  // An answer of which the end is missing, or that makes no sense.
  if (status < 300) return { doubtful: true, full: false, again: true, reason };
  if (status === 507 || (status !== 404 && FULL.test(`${name} ${message}`)))
    return { doubtful: false, full: true, again: false, reason };
  const isThrottled = status === 429 || name === "SlowDown" || name === "ServiceUnavailable.SlowDown";
  // Our clock is off: the SDK takes the store's from the answer.
  const isSkewed = name === "RequestTimeTooSkewed";
  if (isThrottled || isSkewed || status === 408 || status === 409)
    return { doubtful: false, full: false, again: true, reason };
  return { doubtful: status >= 500, full: false, again: status >= 500 && status !== 501, reason };
}

/** A store's word without anything that could forge a log line. */
function plain(word: string): string {
  return /^[\w.]{1,60}$/.test(word) ? word : "an error";
}
