import type { IncomingMessage, ServerResponse } from "node:http";
import { constants, Http2ServerRequest, type Http2ServerResponse, type ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import { gzip } from "node:zlib";
import type { Client } from "./client.ts";
import type { Deadline, Deadlines } from "./deadlines.ts";
import { EventStream } from "./event-stream.ts";
import { CHUNK_BYTES, COMPRESS_BYTES_MIN, HEADER_BYTES_MAX, IDLE_MS, LINGER_MS, PREFLIGHT_SECONDS } from "./limits.ts";
import { Problem } from "./problem.ts";
import { RequestBody } from "./request-body.ts";
import { type Answer, type DoorRequest, PROTOCOL_MARK } from "./site.ts";

export type RawRequest = IncomingMessage | Http2ServerRequest;
export type RawResponse = ServerResponse | Http2ServerResponse;

/** Where a request says who it is of: what stays of each. A browser's WebSocket says so beside the protocols that it offers. */
const CREDENTIALS: Readonly<Record<string, (value: string) => string>> = {
  authorization: () => "",
  "sec-websocket-protocol": (value) =>
    protocolsOf(value)
      .filter((item) => !item.startsWith(PROTOCOL_MARK))
      .join(),
};

/** Subprotocols that a WebSocket's client offers, in order. */
export function protocolsOf(header: string): readonly string[] {
  return header.split(",").map((item) => item.trim());
}

/** On every answer, errors too. There are no cookies, so that any origin may be let in: what it may do, it could do
 * without a browser. */
export const COMMON_HEADERS: Readonly<Record<string, string>> = {
  "access-control-allow-origin": "*",
  "access-control-expose-headers": "Content-Disposition, Retry-After",
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
};

/** The answer to a preflight, by which a browser asks before it sends a request from another origin. */
export const PREFLIGHT: Answer = {
  status: 204,
  headers: {
    "access-control-allow-methods": "GET, HEAD, POST, PUT, DELETE, OPTIONS",
    "access-control-allow-headers": "Authorization, Content-Type, Last-Event-ID",
    "access-control-max-age": String(PREFLIGHT_SECONDS),
  },
};

export interface ExchangeOptions {
  /** The path as its route writes it; empty where there is none. */
  readonly route: string;
  readonly params: Readonly<Record<string, string>>;
  readonly bodyBytesMax: number;
  readonly client: Client;
  readonly compresses: boolean;
  readonly origin: () => string;
  /** True if the connection takes no more requests. */
  readonly isLast: () => boolean;
  readonly signedIn: () => void;
  readonly onEnd: () => void;
}

/** A request and its answer, of either version of HTTP. Each wait for the other side has a time. */
export class Exchange implements DoorRequest {
  readonly method: string;
  readonly arrivedAt: number;
  readonly params: Readonly<Record<string, string>>;
  readonly route: string;
  readonly signedIn: () => void;
  readonly #raw: RawRequest;
  readonly #response: RawResponse;
  readonly #options: ExchangeOptions;
  readonly #deadline: Deadline;
  readonly #body: RequestBody;
  #gone: AbortController | undefined;
  #isOver = false;
  #events: EventStream | undefined;
  /** Fails the write that is under way. */
  #failWrite: (error: Error) => void = () => undefined;

  constructor(raw: RawRequest, response: RawResponse, options: ExchangeOptions, deadlines: Deadlines) {
    this.#raw = raw;
    this.#response = response;
    this.#options = options;
    this.method = raw.method ?? "";
    this.params = options.params;
    this.route = options.route;
    this.signedIn = options.signedIn;
    this.arrivedAt = deadlines.now;
    this.#deadline = deadlines.begin(() => this.#late());
    const from = {
      source: raw,
      bytesMax: options.bodyBytesMax,
      announced: lengthOf(raw),
      isWhole: (received: number) => this.#isWhole(received),
    };
    this.#body = new RequestBody(from, deadlines, this.#deadline);
    // The response of HTTP/2 tells of that only when its stream is closed.
    if (isHttp2(raw)) raw.stream.once("finish", () => this.#answered(raw.stream));
    response.once("close", () => this.#closed());
    response.on("error", () => this.destroy());
  }

  get address(): string {
    return this.#options.client.address;
  }
  get isSecure(): boolean {
    return this.#options.client.isSecure;
  }

  get origin(): string {
    return this.#options.origin();
  }

  get query(): URLSearchParams {
    return new URLSearchParams(this.rawQuery);
  }

  get rawQuery(): string {
    const url = this.#raw.url ?? "";
    const at = url.indexOf("?");
    return at < 0 ? "" : url.slice(at + 1);
  }

  get signal(): AbortSignal {
    this.#gone ??= new AbortController();
    if (this.#isOver) this.#gone.abort();
    return this.#gone.signal;
  }

  /** Throws Problem 431 for a header that is too large (HTTP/1.1's parser sees to that itself), and 400 unless HTTP/1.1 says
   * one Host: RFC 9112 §3.2. */
  checkHeader(): void {
    const { rawHeaders, httpVersion } = this.#raw;
    if (rawHeaders.reduce((sum, text) => sum + text.length, 0) > HEADER_BYTES_MAX)
      throw new Problem(431, "The header is too large");
    const hosts = rawHeaders.filter((name, index) => index % 2 === 0 && name.toLowerCase() === "host").length;
    if (httpVersion === "1.1" && hosts !== 1)
      throw new Problem(400, "A request has one Host", { headers: { connection: "close" } });
  }

  /** True while an answer may still be given. */
  get isOpen(): boolean {
    return !this.#isOver && !this.#response.headersSent;
  }

  header(name: string): string | undefined {
    const value = this.#raw.headers[name];
    return Array.isArray(value) ? value.join(", ") : value;
  }

  forgetCredentials(): void {
    const { headers, rawHeaders } = this.#raw;
    for (const [name, left] of Object.entries(CREDENTIALS)) {
      const value = this.header(name);
      if (value === undefined) continue;
      headers[name] = left(value);
      for (let at = 0; at < rawHeaders.length; at += 2)
        if (rawHeaders[at]!.toLowerCase() === name) rawHeaders[at + 1] = left(rawHeaders[at + 1]!);
    }
  }

  body(): AsyncIterable<Uint8Array> {
    return this.#body.chunks();
  }

  async bytes(): Promise<Uint8Array> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of this.body()) chunks.push(chunk);
    return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
  }

  async json(): Promise<unknown> {
    const bytes = await this.bytes();
    try {
      return JSON.parse(UTF8.decode(bytes));
    } catch (error) {
      throw new Problem(400, "The body is no JSON", { jmap: "notJSON", cause: error });
    }
  }

  /** Gives the answer; resolves when it has gone out, or an event stream has begun. An answer that can't be given whole is
   * cut off, and never looks whole. */
  async answer(answer: Answer): Promise<void> {
    const { body } = answer;
    const wantsBody = this.method !== "HEAD";
    if (!this.isOpen || !wantsBody) await dropBody(body);
    if (!this.isOpen) return;
    if (body === undefined || body instanceof Uint8Array) return this.#answerBytes(answer, body, wantsBody);
    this.#writeHead(answer.status, answer.headers);
    if (!wantsBody) this.#response.end();
    else if (typeof body === "function") this.#beginEvents(body);
    else await this.#pump(body, Number(answer.headers?.["content-length"] ?? Number.NaN));
  }

  /** Ends it at once, however far it is. */
  destroy(): void {
    if (isHttp2(this.#raw)) this.#raw.stream?.close(constants.NGHTTP2_CANCEL);
    else this.#raw.socket.destroy();
  }

  /** Its connection is gone, or serves something else. */
  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#deadline.end();
    this.#failWrite(new Error("the connection has ended"));
    this.#gone?.abort();
    this.#events?.closed();
    this.#options.onEnd();
  }

  /** The server stops: what goes on by itself ends. */
  goAway(): void {
    this.#events?.end();
  }

  async #answerBytes({ status, headers }: Answer, body: Uint8Array | undefined, wantsBody: boolean): Promise<void> {
    if (!body) {
      this.#writeHead(status, headers);
      this.#finish();
      return;
    }
    const packed = this.#mayCompress(body) ? await compressed(body) : undefined;
    if (!this.isOpen) return;
    const bytes = packed ?? body;
    const encoding = packed ? { "content-encoding": "gzip" } : {};
    const varies = this.#options.compresses ? { vary: "Accept-Encoding" } : {};
    this.#writeHead(status, { ...headers, ...encoding, ...varies, "content-length": String(bytes.length) });
    if (!wantsBody) this.#finish();
    else if (bytes.length <= CHUNK_BYTES) this.#finish(bytes);
    else await this.#pump(piecesOf(bytes), bytes.length);
  }

  #writeHead(status: number, headers: Answer["headers"]): void {
    const all: Record<string, string | readonly string[]> = { ...COMMON_HEADERS, ...headers };
    if (this.#options.isLast()) all.connection = "close";
    // Headers of one connection are HTTP/1.1's alone: RFC 9113 §8.2.2.
    if (isHttp2(this.#raw)) for (const name of ["connection", "upgrade"]) delete all[name];
    const response = this.#response as ServerResponse;
    response.writeHead(status, all as Record<string, string | string[]>);
    if (isHttp2(this.#raw)) return;
    const { socket } = this.#raw;
    answering.set(socket, this);
    response.once("finish", () => {
      if (answering.get(socket) === this) answering.delete(socket);
    });
  }

  #finish(bytes?: Uint8Array): void {
    this.#deadline.expect(IDLE_MS);
    if (bytes) (this.#response as ServerResponse).end(bytes);
    else this.#response.end();
  }

  /** `size` is what the head has told, in octets; NaN where it has not. More would be taken for the next answer. */
  async #pump(body: AsyncIterable<Uint8Array>, size: number): Promise<void> {
    let left = size;
    try {
      for await (const chunk of body) {
        left -= chunk.length;
        if (left < 0) break;
        await this.#write(chunk);
      }
      if (left !== 0 && !Number.isNaN(left)) throw new RangeError("an answer is not as long as it said");
      this.#finish();
    } catch (error) {
      this.#abandon();
      // An error because the other side has gone is no failure of ours.
      if (!this.#isOver) throw error;
    }
  }

  async #write(chunk: Uint8Array): Promise<void> {
    if (this.#isOver) throw new Error("the connection has ended");
    this.#deadline.expect(IDLE_MS);
    await new Promise<void>((resolve, reject) => {
      this.#failWrite = reject;
      (this.#response as ServerResponse).write(chunk, (error) => (error ? reject(error) : resolve()));
    });
    this.#deadline.expect();
  }

  /** An answer that breaks off must not look whole: RFC 9112 §8, RFC 9113 §8.1. */
  #abandon(): void {
    if (isHttp2(this.#raw)) this.#raw.stream?.close(constants.NGHTTP2_INTERNAL_ERROR);
    else this.#raw.socket.destroy();
  }

  #beginEvents(run: (stream: EventStream) => void): void {
    const response = this.#response as ServerResponse;
    response.flushHeaders();
    this.#deadline.expect();
    const output = isHttp2(this.#raw) ? this.#raw.stream : response;
    const stream = new EventStream({
      write: (text) => void response.write(text),
      end: () => this.#finish(),
      drop: () => this.destroy(),
      get unread() {
        return output.writableLength;
      },
    });
    this.#events = stream;
    run(stream);
  }

  #mayCompress(body: Uint8Array): boolean {
    if (!this.#options.compresses || body.length < COMPRESS_BYTES_MIN) return false;
    return (this.header("accept-encoding") ?? "")
      .split(",")
      .some((item) => /^\s*gzip\s*(?:;\s*q=(?!0(?:\.0*)?\s*$)|$)/.test(item));
  }

  async #isWhole(received: number): Promise<boolean> {
    const raw = this.#raw;
    if (!isHttp2(raw)) return raw.complete;
    const announced = lengthOf(raw);
    if (announced !== undefined) return received === announced;
    // The event for a body that was cut off comes after its end.
    await new Promise((resolve) => setImmediate(resolve));
    return !raw.aborted;
  }

  #late(): void {
    if (!this.#body.isAwaited) this.destroy();
    else this.#body.fail(new Problem(408, "The body comes too slowly", { headers: { connection: "close" } }));
  }

  /** The answer is out. By HTTP/2 nobody needs to send the rest of a body (RFC 9113 §8.1); by HTTP/1.1 the rest is read and
   * dropped, for a moment, or the answer would not be read. */
  #answered(stream: ServerHttp2Stream): void {
    this.#deadline.expect(LINGER_MS);
    if (!stream.endAfterHeaders && !stream.readableEnded) stream.close(constants.NGHTTP2_NO_ERROR);
  }

  #closed(): void {
    const raw = this.#raw;
    if (isHttp2(raw) || raw.complete) {
      this.end();
      return;
    }
    this.#deadline.expect(LINGER_MS);
    const { socket } = raw;
    const end = (): void => {
      socket.off("close", end);
      this.end();
    };
    // Node does not tell a request whose answer is out that its connection has ended.
    socket.once("close", end);
    raw.once("close", end);
    if (socket.destroyed) end();
  }
}

/** By connections of HTTP/1.1, the last answer that has begun and is not out. */
const answering = new WeakMap<Socket, Exchange>();

/** True while an answer is being written to a connection: other octets would be taken for a part of it. */
export function isAnswering(socket: Socket): boolean {
  return answering.has(socket);
}

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export function isHttp2(raw: RawRequest): raw is Http2ServerRequest {
  return raw instanceof Http2ServerRequest;
}

function lengthOf({ headers }: RawRequest): number | undefined {
  const text = headers["content-length"];
  return text === undefined ? undefined : Number(text);
}

/** Ends a body that is not sent: it may hold a file open. */
async function dropBody(body: Answer["body"]): Promise<void> {
  if (body === undefined || body instanceof Uint8Array || typeof body === "function") return;
  await body[Symbol.asyncIterator]().return?.();
}

async function* piecesOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) yield bytes.subarray(at, at + CHUNK_BYTES);
}

function compressed(bytes: Uint8Array): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    gzip(bytes, { level: 1 }, (error, result) => (error ? reject(error) : resolve(result)));
  });
}
