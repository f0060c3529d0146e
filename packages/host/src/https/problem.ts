import { STATUS_CODES } from "node:http";
import type { Answer } from "./site.ts";

/** JMAP's own problems: RFC 8620 §3.6.1. */
const JMAP_ERROR = "urn:ietf:params:jmap:error:";

export interface ProblemOptions extends ErrorOptions {
  /** One of RFC 8620 §3.6.1, without the URN's beginning; others have no type of their own. */
  readonly jmap?: "unknownCapability" | "notJSON" | "notRequest" | "limit";
  /** With `limit`: the limit's name. */
  readonly limit?: string;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
}

/** A request that gets an error for an answer, as a problem document: RFC 9457. Its text is fixed. */
export class Problem extends Error {
  readonly status: number;
  readonly options: ProblemOptions;

  constructor(status: number, detail: string, options: ProblemOptions = {}) {
    super(detail, options);
    this.name = "Problem";
    this.status = status;
    this.options = options;
  }

  get document(): Readonly<Record<string, unknown>> {
    const { jmap, limit } = this.options;
    return {
      type: jmap === undefined ? "about:blank" : JMAP_ERROR + jmap,
      title: STATUS_CODES[this.status] ?? "Error",
      status: this.status,
      detail: this.message,
      ...(limit === undefined ? {} : { limit }),
    };
  }

  get answer(): Answer {
    return {
      status: this.status,
      headers: { ...this.options.headers, "content-type": "application/problem+json" },
      body: Buffer.from(JSON.stringify(this.document)),
    };
  }
}

/** 503 with a time to try again. */
export function unavailable(detail: string, seconds: number, options: ErrorOptions = {}): Problem {
  return new Problem(503, detail, { ...options, headers: { "retry-after": String(seconds) } });
}
