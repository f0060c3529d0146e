import { Agent, request } from "node:https";
import type { LookupFunction } from "node:net";
import { isIP } from "node:net";
import { rootCertificates } from "node:tls";
import type { PushMessage, PushReply, PushTransport } from "@restante/engine";
import { encryptPush } from "./encrypt.ts";
import { Reach, type ReachOptions, Unreachable } from "./reach.ts";
import type { Vapid } from "./vapid.ts";

export interface WebPushOptions extends ReachOptions {
  readonly vapid: Vapid;
  /** Certificates to believe besides the system's: PEM. */
  readonly ca: string | undefined;
}

/** Milliseconds for all of a request, octets of an answer's body and of its header. */
export const PUSH_MS = 10_000;
const ANSWER_BYTES_MAX = 4_096;
const HEADER_BYTES_MAX = 8_192;
/** Milliseconds that a connection waits for the next message, and connections to one service. */
const IDLE_MS = 30_000;
const SOCKETS_MAX = 32;
/** Seconds that a service asks to be left alone for, at most. */
const RETRY_AFTER_SECONDS_MAX: number = 24 * 60 * 60;

/** Push messages by HTTPS: RFC 8030 §5, RFC 8620 §7.2. */
export class WebPush implements PushTransport {
  readonly #options: WebPushOptions;
  readonly #reach: Reach;
  readonly #agent: Agent;

  /** Throws RangeError for what `allow` can't hold. */
  constructor(options: WebPushOptions) {
    this.#options = options;
    this.#reach = new Reach(options);
    this.#agent = new Agent({
      keepAlive: true,
      timeout: IDLE_MS,
      maxSockets: SOCKETS_MAX,
      maxTotalSockets: Number.POSITIVE_INFINITY,
      ...(options.ca !== undefined && { ca: [...rootCertificates, options.ca] }),
    });
  }

  dispose(): void {
    this.#agent.destroy();
  }

  async push(message: PushMessage, signal: AbortSignal): Promise<PushReply> {
    const url = new URL(message.url);
    if (url.protocol !== "https:") return { outcome: "gone", reason: "no HTTPS" };
    let body: Uint8Array = Buffer.from(JSON.stringify(message.content));
    const headers: Record<string, string | number> = {
      "content-type": "application/json",
      ttl: message.ttlSeconds,
      urgency: message.urgency,
      authorization: this.#options.vapid.authorization(url.origin),
    };
    if (message.keys) {
      try {
        body = encryptPush(body, message.keys);
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
        return { outcome: "gone", reason: error.message };
      }
      headers["content-encoding"] = "aes128gcm";
    }
    headers["content-length"] = body.length;
    try {
      // A host that is an address is never looked up.
      if (isIP(url.hostname.replace(/^\[|\]$/g, "")) !== 0) await this.#reach.addressesOf(url.hostname);
      return await this.#send(url, headers, body, AbortSignal.any([signal, AbortSignal.timeout(PUSH_MS)]));
    } catch (error) {
      return { outcome: "later", reason: reasonOf(error) };
    }
  }

  #send(
    url: URL,
    headers: Readonly<Record<string, string | number>>,
    body: Uint8Array,
    signal: AbortSignal,
  ): Promise<PushReply> {
    return new Promise((resolve, reject) => {
      const asked = request(
        url,
        { method: "POST", headers, agent: this.#agent, lookup: this.#lookup, signal, maxHeaderSize: HEADER_BYTES_MAX },
        (answer) => {
          let octets = 0;
          answer.on("data", (piece: Buffer) => {
            octets += piece.length;
            // The body's content is not used. Only its size is bounded.
            if (octets > ANSWER_BYTES_MAX) answer.destroy();
          });
          answer.on("error", () => undefined);
          answer.on("close", () => resolve(replyOf(answer.statusCode ?? 0, answer.headers["retry-after"])));
        },
      );
      asked.on("error", reject);
      asked.end(body);
    });
  }

  /** The connection is to what was looked at, and to nothing else. */
  readonly #lookup: LookupFunction = (host, options, callback) => {
    this.#reach.addressesOf(host).then(
      (addresses) => {
        const all = addresses.map((address) => ({ address, family: isIP(address) }));
        if (options.all) callback(null, all);
        else callback(null, all[0]!.address, all[0]!.family);
      },
      (error: NodeJS.ErrnoException) => callback(error, []),
    );
  };
}

function replyOf(status: number, retryAfter: string | undefined): PushReply {
  if (status >= 200 && status < 300) return { outcome: "sent" };
  const reason = `HTTP ${status}`;
  if (status === 404 || status === 410) return { outcome: "gone", reason };
  const seconds = /^\d{1,9}$/.test(retryAfter ?? "")
    ? Math.min(Number(retryAfter), RETRY_AFTER_SECONDS_MAX)
    : undefined;
  return { outcome: "later", reason, ...(seconds !== undefined && { afterMs: seconds * 1000 }) };
}

/** A failure in words for the operator: without addresses, and without text of the other side. */
function reasonOf(error: unknown): string {
  if (error instanceof Unreachable) return error.message;
  const { code, name } = error as NodeJS.ErrnoException;
  return code === "ABORT_ERR" ? "no answer in time" : (code ?? name);
}
