import type { S3 } from "@aws-sdk/client-s3";
import type { NodeHttpHandler as Handler } from "@smithy/node-http-handler";
import { StoreError, type StoreOptions } from "../../storage/object-store.ts";
import { makeAgents } from "./agent.ts";
import { judgeFailure } from "./failures.ts";
import { Queue } from "./queue.ts";
import { parseEndpoint, type S3Limits, type S3Settings } from "./settings.ts";
import { TimeLimit } from "./time-limit.ts";

/** Options of each request to the SDK. */
export interface Http {
  readonly abortSignal: AbortSignal;
}

export interface RequestOptions extends Pick<StoreOptions, "signal" | "priority"> {
  readonly kind: "read" | "write" | "poll";
  /** How much is sent. */
  readonly bytes?: number;
  /** Statuses that are answers to the caller: they come as {@link Refused}. */
  readonly answers?: readonly number[];
}

/** The store has refused with a status that the asker knows what to do with. */
export class Refused extends Error {
  readonly status: number;
  readonly now: number;
  /** An earlier attempt may have been done. */
  readonly doubtful: boolean;
  constructor(status: number, now: number, doubtful: boolean) {
    super(`refused with ${status}`);
    this.name = "Refused";
    this.status = status;
    this.now = now;
    this.doubtful = doubtful;
  }
}

export interface Answer<T> {
  readonly value: T;
  readonly now: number;
}

/** `came` is told of what comes of an answer's body: 0 when it begins. */
export type Run<T> = (s3: S3, http: Http, came: (bytes: number) => void) => Promise<T>;

/** Status and date in the head of an attempt's answer. */
interface Seen {
  status?: number;
  now?: number;
}

/**
 * Requests to one bucket: in a queue, each attempt under its own time limits, repeated where that is right, with the
 * store's date of every answer. The SDK signs and parses; its retries are off, since only we know what an outcome
 * means (object-store.ts).
 */
export class Connection {
  readonly #limits: S3Limits;
  readonly #s3: S3;
  /** By the signal that an attempt is given: the SDK hands it through to where the answer's head is seen. */
  readonly #seen: WeakMap<AbortSignal, Seen>;
  readonly #queues: Readonly<Record<RequestOptions["kind"], Queue>>;
  readonly #running = new Set<Promise<unknown>>();
  readonly #ended = new AbortController();
  #latest = 0;

  private constructor(limits: S3Limits, s3: S3, seen: WeakMap<AbortSignal, Seen>) {
    this.#limits = limits;
    this.#s3 = s3;
    this.#seen = seen;
    this.#queues = {
      read: new Queue(limits.readsMax, limits.turnMs),
      write: new Queue(limits.writesMax, limits.turnMs),
      poll: new Queue(limits.pollsMax, limits.pollMs),
    };
  }

  /** Loads the SDK. */
  static async open(settings: S3Settings, limits: S3Limits): Promise<Connection> {
    const [{ S3 }, { NodeHttpHandler }] = await Promise.all([
      import("@aws-sdk/client-s3"),
      import("@smithy/node-http-handler"),
    ]);
    const { url, socketPath } = parseEndpoint(settings.endpoint);
    const [httpAgent, httpsAgent] = makeAgents(limits, socketPath);
    const seen = new WeakMap<AbortSignal, Seen>();
    // An answer's head is seen here, whatever the SDK makes of the rest.
    class SeeingHandler extends NodeHttpHandler {
      override async handle(...[request, options]: Parameters<Handler["handle"]>): ReturnType<Handler["handle"]> {
        const answer = await super.handle(request, options);
        const attempt = seen.get(options?.abortSignal as AbortSignal);
        const now = Date.parse(answer.response.headers.date ?? "");
        if (attempt) {
          attempt.status = answer.response.statusCode;
          if (!Number.isNaN(now)) attempt.now = now;
        }
        return answer;
      }
    }
    const s3 = new S3({
      region: settings.region,
      ...(url === undefined ? {} : { endpoint: url }),
      forcePathStyle: settings.pathStyle,
      credentials: { accessKeyId: settings.accessKey, secretAccessKey: settings.secretKey },
      maxAttempts: 1,
      requestChecksumCalculation: "WHEN_REQUIRED",
      responseChecksumValidation: "WHEN_REQUIRED",
      requestHandler: new SeeingHandler({ httpAgent, httpsAgent }),
    });
    return new Connection(limits, s3, seen);
  }

  get limits(): S3Limits {
    return this.#limits;
  }

  /**
   * Throws StoreError `unavailable` or `full` where the request was surely not done (or only reads), `unknown` where it
   * may have been, {@link Refused} for what `options.answers` names.
   */
  request<T>(options: RequestOptions, run: Run<T>): Promise<Answer<T>> {
    if (this.#ended.signal.aborted) return Promise.reject(new StoreError("closed", "store is closed"));
    const running = this.#request(options, run);
    this.#running.add(running);
    const end = (): void => void this.#running.delete(running);
    running.then(end, end);
    return running;
  }

  /** Waits for what is on its way; nothing is tried again. */
  async dispose(): Promise<void> {
    this.#ended.abort();
    await Promise.allSettled(this.#running);
    this.#s3.destroy();
  }

  async #request<T>(options: RequestOptions, run: Run<T>): Promise<Answer<T>> {
    const queue = this.#queues[options.kind];
    let doubtful = false;
    for (let attempt = 1; ; attempt++) {
      const seen: Seen = {};
      try {
        return await queue.run(options.priority ?? "interactive", () => this.#attempt(options, run, seen));
      } catch (error) {
        const { status } = seen;
        if (status !== undefined && options.answers?.includes(status) && !isOfBucket(error))
          throw new Refused(status, this.#dateOf(seen), doubtful);
        const failure = judgeFailure(error, status);
        doubtful ||= failure.doubtful;
        const over = attempt >= this.#limits.attempts || options.signal?.aborted || this.#ended.signal.aborted;
        if (over || !failure.again) throw asStoreError(options, failure.full, doubtful, failure.reason, error);
        await this.#wait(attempt, options.signal);
      }
    }
  }

  async #attempt<T>({ bytes = 0, signal }: RequestOptions, run: Run<T>, seen: Seen): Promise<Answer<T>> {
    using limit = new TimeLimit(this.#limits, bytes);
    const abortSignal = signal ? AbortSignal.any([signal, limit.signal]) : limit.signal;
    this.#seen.set(abortSignal, seen);
    const value = await run(this.#s3, { abortSignal }, (came) => limit.came(came));
    return { value, now: this.#dateOf(seen) };
  }

  /** The date of an attempt's answer. A store that gives none gives its last one again: ages come out too small, never
   * too large. */
  #dateOf({ now = this.#latest }: Seen): number {
    this.#latest = now;
    return now;
  }

  /** Full jitter: who failed together does not come back together. */
  async #wait(attempt: number, signal: AbortSignal | undefined): Promise<void> {
    const { retryMs, retryMsMax } = this.#limits;
    const waitMs = Math.random() * Math.min(retryMsMax, retryMs * 2 ** (attempt - 1));
    const ended = signal ? AbortSignal.any([signal, this.#ended.signal]) : this.#ended.signal;
    await new Promise<void>((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        ended.removeEventListener("abort", end);
        resolve();
      };
      const timer = setTimeout(end, waitMs);
      ended.addEventListener("abort", end);
    });
  }
}

/** Of a bucket that is not there nothing is known: that an object is absent is another answer, under the same status. */
function isOfBucket(error: unknown): boolean {
  return (error as Error).name === "NoSuchBucket";
}

function asStoreError(
  { kind }: RequestOptions,
  full: boolean,
  doubtful: boolean,
  reason: string,
  cause: unknown,
): StoreError {
  if (kind === "write" && doubtful)
    return new StoreError("unknown", `no sure answer from the store: ${reason}`, { cause });
  if (full) return new StoreError("full", "the store is full", { cause });
  return new StoreError("unavailable", `the store can't be used: ${reason}`, { cause });
}
