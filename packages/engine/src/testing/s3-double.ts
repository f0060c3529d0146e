import { randomBytes } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { S3Settings } from "../node/s3/settings.ts";

/** A fault that a request meets instead of its usual course. */
export type S3Fault =
  /** Answered with this status and code, and not done. */
  | { readonly kind: "refused"; readonly status: number; readonly code: string; readonly message?: string }
  /** Done, and the connection is cut instead of an answer. */
  | { readonly kind: "lost-answer" }
  /** Cut before it is done. */
  | { readonly kind: "cut" }
  /** Never answered. */
  | { readonly kind: "hang" }
  /** The answer's head and half of its body come, the rest never. */
  | { readonly kind: "half" }
  /** The answer's body comes a byte at a time. */
  | { readonly kind: "trickle" };

export interface S3Request {
  readonly method: string;
  readonly key: string;
  readonly query: URLSearchParams;
  readonly host: string;
  /** True for a request that creates and must not replace. */
  readonly creates: boolean;
}

interface Stored {
  readonly bytes: Buffer;
  readonly created: number;
}

/**
 * An S3 of our own for tests, with the faults that real ones show. It checks no signatures.
 * - `creates`: `atomic` as AWS; `ignored` as Garage; `lying` as s3s-fs, right one after another and wrong in a race;
 *   `unknown` as Swift, which answers 501.
 * - `listDelayMs`: lists show an object only so long after it was put.
 */
export class S3Double {
  readonly bucket = "mail";
  readonly objects: Map<string, Stored> = new Map();
  readonly uploads: Map<string, { readonly key: string; readonly begun: number; readonly parts: Map<number, Buffer> }> =
    new Map();
  readonly requests: S3Request[] = [];
  creates: "atomic" | "ignored" | "lying" | "unknown" = "atomic";
  listDelayMs = 0;
  reverseLists = false;
  now: () => number = Date.now;
  /** Asked for each request; undefined lets it go its way. */
  fault: (request: S3Request) => S3Fault | undefined = () => undefined;
  /** Waited for before a request goes its way. */
  hold: (request: S3Request) => Promise<void> = async () => undefined;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor() {
    this.#server = createServer((request, response) => {
      this.#answer(request, response).catch((error: unknown) => response.destroy(error as Error));
    });
    this.#server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
    });
  }

  static async start(where: { readonly port: number } | { readonly path: string } = { port: 0 }): Promise<S3Double> {
    const double = new S3Double();
    await double.listen(where);
    return double;
  }

  /** Begins, or goes on after {@link stop} with the same objects. */
  async listen(where: { readonly port: number } | { readonly path: string }): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen({ host: "127.0.0.1", ...where }, resolve));
  }

  get settings(): S3Settings {
    const address = this.#server.address() as AddressInfo | string;
    return this.settingsFor(
      typeof address === "string" ? `http+unix://${encodeURI(address)}` : `http://127.0.0.1:${address.port}`,
    );
  }

  settingsFor(endpoint: string): S3Settings {
    return {
      endpoint,
      region: "us-east-1",
      bucket: this.bucket,
      prefix: "",
      pathStyle: true,
      accessKey: "double",
      secretKey: "double-secret",
    };
  }

  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<unknown> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const url = new URL(request.url!, "http://double");
    const host = request.headers.host ?? "";
    // The bucket is the path's first part, or the host's name begins with it.
    const path = host.startsWith(`${this.bucket}.`) ? `/${this.bucket}${url.pathname}` : url.pathname;
    const [, bucket, ...rest] = path.split("/");
    const key = decodeURIComponent(rest.join("/"));
    const creates = request.headers["if-none-match"] === "*";
    const asked = { method: request.method!, key, query: url.searchParams, host, creates };
    this.requests.push(asked);
    await this.hold(asked);
    const answer = new Answering(response, this.now());
    const fault = this.fault(asked);
    if (!request.headers.authorization) return answer.error(403, "AccessDenied");
    if (bucket !== this.bucket) return answer.error(404, "NoSuchBucket");
    switch (fault?.kind) {
      case "refused":
        return answer.error(fault.status, fault.code, fault.message);
      case "cut":
        return response.destroy();
      case "hang":
        return;
      case "lost-answer":
        answer.lost = true;
        break;
      case "half":
      case "trickle":
        answer.slow = fault.kind;
        break;
      case undefined:
    }
    return this.#perform(asked, request.headers.range, Buffer.concat(chunks), answer);
  }

  async #perform(
    { method, key, query, creates }: S3Request,
    range: string | undefined,
    body: Buffer,
    answer: Answering,
  ): Promise<unknown> {
    if (method === "PUT" && query.has("partNumber")) return this.#putPart(query, body, answer);
    if (method === "PUT") return this.#put(key, body, creates, answer);
    if (method === "GET" && key === "" && query.has("uploads")) return this.#listUploads(answer);
    if (method === "GET" && key === "") return this.#list(query, answer);
    if (method === "GET" || method === "HEAD") return this.#get(key, method, range, answer);
    if (method === "POST" && query.has("delete")) return this.#delete(body.toString(), answer);
    if (method === "POST" && query.has("uploads")) return this.#begin(key, answer);
    if (method === "POST") return this.#complete(key, query.get("uploadId") ?? "", answer);
    if (method === "DELETE" && query.has("uploadId"))
      return this.uploads.delete(query.get("uploadId")!) ? answer.empty(204) : answer.error(404, "NoSuchUpload");
    return answer.error(405, "MethodNotAllowed");
  }

  async #put(key: string, bytes: Buffer, creates: boolean, answer: Answering): Promise<unknown> {
    if (creates && this.creates !== "ignored") {
      if (this.creates === "unknown") return answer.error(501, "NotImplemented");
      if (this.objects.has(key)) return answer.error(412, "PreconditionFailed");
      // It has looked; others look too before anybody writes.
      if (this.creates === "lying") await new Promise((resolve) => setTimeout(resolve, 20));
    }
    this.objects.set(key, { bytes, created: this.now() });
    return answer.empty(200);
  }

  #putPart(query: URLSearchParams, bytes: Buffer, answer: Answering): unknown {
    const upload = this.uploads.get(query.get("uploadId") ?? "");
    if (!upload) return answer.error(404, "NoSuchUpload");
    upload.parts.set(Number(query.get("partNumber")), bytes);
    return answer.empty(200);
  }

  #get(key: string, method: string, range: string | undefined, answer: Answering): unknown {
    const stored = this.objects.get(key);
    if (!stored) return answer.error(404, "NoSuchKey");
    const { bytes, created } = stored;
    const headers = { "Last-Modified": new Date(created).toUTCString(), ETag: '"x"' };
    const match = /^bytes=(\d+)-(\d*)$/.exec(range ?? "");
    if (!match) return answer.bytes(200, method === "HEAD" ? Buffer.alloc(0) : bytes, bytes.length, headers);
    const start = Number(match[1]);
    const end = Math.min(bytes.length, match[2] === "" ? bytes.length : Number(match[2]) + 1);
    if (start >= bytes.length) return answer.error(416, "InvalidRange");
    const place = { "Content-Range": `bytes ${start}-${end - 1}/${bytes.length}` };
    return answer.bytes(206, bytes.subarray(start, end), end - start, { ...headers, ...place });
  }

  #list(query: URLSearchParams, answer: Answering): unknown {
    const [prefix, after] = [query.get("prefix") ?? "", query.get("start-after") ?? ""];
    const max = Math.min(1000, Number(query.get("max-keys") ?? 1000));
    const shown = [...this.objects].filter(([, { created }]) => created + this.listDelayMs <= this.now());
    const keys = shown.filter(([key]) => key.startsWith(prefix) && key > after).sort(([a], [b]) => (a < b ? -1 : 1));
    const contents = keys.slice(0, max).map(([key, { bytes, created }]) => {
      const modified = new Date(created).toISOString();
      return `<Contents><Key>${xml(key)}</Key><Size>${bytes.length}</Size><LastModified>${modified}</LastModified></Contents>`;
    });
    if (this.reverseLists) contents.reverse();
    return answer.xml(
      `<ListBucketResult><IsTruncated>${keys.length > max}</IsTruncated>${contents.join("")}</ListBucketResult>`,
    );
  }

  #listUploads(answer: Answering): unknown {
    const uploads = [...this.uploads].map(
      ([id, { key, begun }]) =>
        `<Upload><Key>${xml(key)}</Key><UploadId>${id}</UploadId><Initiated>${new Date(begun).toISOString()}</Initiated></Upload>`,
    );
    return answer.xml(`<ListMultipartUploadsResult>${uploads.join("")}</ListMultipartUploadsResult>`);
  }

  #delete(body: string, answer: Answering): unknown {
    for (const [, key] of body.matchAll(/<Key>(.*?)<\/Key>/g)) this.objects.delete(unxml(key!));
    return answer.xml("<DeleteResult></DeleteResult>");
  }

  #begin(key: string, answer: Answering): unknown {
    const id = randomBytes(8).toString("hex");
    this.uploads.set(id, { key, begun: this.now(), parts: new Map() });
    return answer.xml(`<InitiateMultipartUploadResult><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`);
  }

  #complete(key: string, id: string, answer: Answering): unknown {
    const upload = this.uploads.get(id);
    if (!upload) return answer.error(404, "NoSuchUpload");
    this.uploads.delete(id);
    const parts = [...upload.parts].sort(([a], [b]) => a - b).map(([, bytes]) => bytes);
    this.objects.set(key, { bytes: Buffer.concat(parts), created: this.now() });
    return answer.xml(`<CompleteMultipartUploadResult><ETag>"x"</ETag></CompleteMultipartUploadResult>`);
  }
}

class Answering {
  lost = false;
  slow: "half" | "trickle" | undefined;
  readonly #response: ServerResponse;

  constructor(response: ServerResponse, now: number) {
    this.#response = response;
    response.sendDate = false;
    response.setHeader("Date", new Date(now).toUTCString());
  }

  bytes(status: number, bytes: Buffer, length: number, headers: Readonly<Record<string, string>>): unknown {
    if (this.lost) return this.#response.destroy();
    this.#response.writeHead(status, { ...headers, "Content-Length": String(length) });
    if (this.slow === "half") return this.#response.write(bytes.subarray(0, bytes.length / 2));
    if (this.slow === "trickle") return this.#trickle(bytes);
    return this.#response.end(bytes);
  }

  async #trickle(bytes: Buffer): Promise<void> {
    for (let at = 0; at < bytes.length && !this.#response.destroyed; at++) {
      this.#response.write(bytes.subarray(at, at + 1));
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  xml(text: string): unknown {
    const bytes = Buffer.from(`<?xml version="1.0" encoding="UTF-8"?>${text}`);
    return this.bytes(200, bytes, bytes.length, { "Content-Type": "application/xml" });
  }

  empty(status: number): unknown {
    return this.bytes(status, Buffer.alloc(0), 0, { ETag: '"x"' });
  }

  error(status: number, code: string, message = ""): unknown {
    const bytes = Buffer.from(`<Error><Code>${code}</Code><Message>${xml(message)}</Message></Error>`);
    return this.bytes(status, bytes, bytes.length, { "Content-Type": "application/xml" });
  }
}

function xml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

function unxml(text: string): string {
  return text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");
}
