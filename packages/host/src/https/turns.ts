import { ACCOUNT_REQUESTS_MAX, ACCOUNT_STREAMS_MAX, ACCOUNT_UPLOADS_MAX, RETRY_AFTER_SECONDS } from "./limits.ts";
import { Problem } from "./problem.ts";

export type TurnKind = "request" | "upload" | "stream";

/** Limits on what an account does at once, with JMAP's names for them: RFC 8620 §2. */
const KINDS: Readonly<Record<TurnKind, { readonly max: number; readonly limit: string }>> = {
  request: { max: ACCOUNT_REQUESTS_MAX, limit: "maxConcurrentRequests" },
  upload: { max: ACCOUNT_UPLOADS_MAX, limit: "maxConcurrentUpload" },
  stream: { max: ACCOUNT_STREAMS_MAX, limit: "maxConcurrentStreams" },
};

/** Counts what each account does at once, through whatever connections. */
export class Turns {
  readonly #taken = new Map<string, number>();

  /** Takes one, until it is disposed of. Throws Problem 429. */
  take(account: string, kind: TurnKind): Disposable {
    const key = `${kind} ${account}`;
    const taken = this.#taken.get(key) ?? 0;
    const { max, limit } = KINDS[kind];
    if (taken >= max)
      throw new Problem(429, `At most ${max} at once`, {
        jmap: "limit",
        limit,
        headers: { "retry-after": String(RETRY_AFTER_SECONDS) },
      });
    this.#taken.set(key, taken + 1);
    let isHeld = true;
    return {
      [Symbol.dispose]: () => {
        if (!isHeld) return;
        isHeld = false;
        const left = this.#taken.get(key)! - 1;
        if (left > 0) this.#taken.set(key, left);
        else this.#taken.delete(key);
      },
    };
  }
}
