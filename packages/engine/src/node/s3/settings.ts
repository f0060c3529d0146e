import { checkName } from "../../storage/names.ts";
import { StoreError } from "../../storage/object-store.ts";

/** Where a bucket is and who we are there. */
export interface S3Settings {
  /** `http://…`, `https://…`, `http+unix:///path/of/socket`; empty for AWS. */
  readonly endpoint: string;
  readonly region: string;
  readonly bucket: string;
  /** The beginning of every name in the bucket; empty or ending in `/`. */
  readonly prefix: string;
  /** `endpoint/bucket/name`, not `bucket.endpoint/name`. */
  readonly pathStyle: boolean;
  readonly accessKey: string;
  readonly secretKey: string;
}

/** Every number that bounds what a store can make us wait for or hold. */
export interface S3Limits {
  /** From asking for a connection until it stands, TLS included. */
  readonly connectMs: number;
  /** From sending a request until its answer begins; what is sent adds {@link bytesPerSecondMin}'s share. */
  readonly answerMs: number;
  /** Between two pieces of an answer's body. */
  readonly bodyIdleMs: number;
  /** At least so fast it must go, both ways. */
  readonly bytesPerSecondMin: number;
  /** How often a request is made at most; each but the first after a wait, of random length up to this, doubling. */
  readonly attempts: number;
  readonly retryMs: number;
  readonly retryMsMax: number;
  /** Requests on their way at once, of each kind: what is read waits for no write, and polls never stand before anybody's
   * mail. An account is opened by a hundred small reads in one round trip. */
  readonly readsMax: number;
  readonly writesMax: number;
  readonly pollsMax: number;
  /** How long interactive work waits for its turn among them. */
  readonly turnMs: number;
  /** Between two looks for what others wrote: while somebody waits for it, and else. */
  readonly pollUrgentMs: number;
  readonly pollMs: number;
}

export const S3_LIMITS: S3Limits = {
  connectMs: 5_000,
  answerMs: 10_000,
  bodyIdleMs: 10_000,
  bytesPerSecondMin: 64 * 1024,
  attempts: 3,
  retryMs: 100,
  retryMsMax: 2_000,
  readsMax: 128,
  writesMax: 32,
  pollsMax: 8,
  turnMs: 15_000,
  pollUrgentMs: 2_500,
  pollMs: 30_000,
};

/** A stream is sent in parts of this size, the smallest that S3 takes: each is kept until it is acknowledged. */
export const PART_BYTES: number = 5 * 1024 * 1024;
/** Parts of one stream on their way at once. */
export const PARTS_AT_ONCE = 2;
/** Names in one DeleteObjects, and in one page of a list: what S3 allows. */
export const NAMES_AT_ONCE = 1000;

const UNIX_SCHEME = "http+unix://";

export interface Endpoint {
  readonly url: string | undefined;
  readonly socketPath: string | undefined;
}

/** Throws StoreError `invalid` with what the operator should mend. */
export function parseEndpoint(endpoint: string): Endpoint {
  if (endpoint === "") return { url: undefined, socketPath: undefined };
  if (endpoint.startsWith(UNIX_SCHEME)) {
    const socketPath = decodeURIComponent(endpoint.slice(UNIX_SCHEME.length));
    if (!socketPath.startsWith("/")) throw new StoreError("invalid", "the S3 endpoint's socket is no absolute path");
    return { url: "http://localhost", socketPath };
  }
  if (!/^https?:\/\/[^/]+\/?$/.test(endpoint))
    throw new StoreError("invalid", "the S3 endpoint is not http://HOST, https://HOST or http+unix:///PATH");
  return { url: endpoint, socketPath: undefined };
}

/** Throws StoreError `invalid` with what the operator should mend. */
export function checkSettings(settings: S3Settings): void {
  parseEndpoint(settings.endpoint);
  if (settings.bucket === "") throw new StoreError("invalid", "the S3 bucket is not named");
  if (settings.prefix === "") return;
  if (!settings.prefix.endsWith("/")) throw new StoreError("invalid", "the S3 prefix does not end in /");
  checkName(settings.prefix.slice(0, -1));
}
