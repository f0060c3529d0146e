import { Agent, type IncomingHttpHeaders, request as requestHttp } from "node:http";

/** The versions of the protocol that phones in use speak. */
export type Version = "12.1" | "14.0" | "14.1" | "16.0" | "16.1";

export interface WireOptions {
  readonly port: number;
  /** The loopback address that it comes from, where many phones come from many. */
  readonly localAddress?: string;
  readonly user: string;
  readonly password: string;
  readonly deviceId: string;
  readonly deviceType: string;
  readonly version: Version;
  /** How commands and device are told: as parameters, or as one text of base64. */
  readonly query?: "plain" | "base64";
  readonly userAgent?: string;
  /** That of requests, where no proxy gives it the usual one. */
  readonly path?: string;
  /** False where another's server is not held to how answers look. */
  readonly isStrict?: boolean;
  /** Asked before each request: whether its answer is lost on the way, so that it is sent again. */
  readonly loses?: () => boolean;
  /** Where a connection breaks: resolves with the port of the server that is there again. The request is sent once more. */
  readonly revive?: () => Promise<number>;
}

export interface Sent {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | undefined;
}

export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** Parts of a request beside its command. */
export interface Extras {
  readonly params?: Readonly<Record<string, string>>;
  readonly contentType?: string;
  readonly multipart?: boolean;
  readonly signal?: AbortSignal | undefined;
}

const COMMANDS = [
  "Sync",
  "SendMail",
  "SmartForward",
  "SmartReply",
  "GetAttachment",
  "GetHierarchy",
  "CreateCollection",
  "DeleteCollection",
  "MoveCollection",
  "FolderSync",
  "FolderCreate",
  "FolderDelete",
  "FolderUpdate",
  "MoveItems",
  "GetItemEstimate",
  "MeetingResponse",
  "Search",
  "Settings",
  "Ping",
  "ItemOperations",
  "Provision",
  "ResolveRecipients",
  "ValidateCert",
  "Find",
] as const;
const PARAMETERS: Readonly<Record<string, number>> = {
  AttachmentName: 0,
  CollectionId: 1,
  ItemId: 3,
  LongId: 4,
  Occurrence: 6,
};

export interface QueryFields {
  readonly command: string;
  readonly version: Version;
  readonly deviceId: string;
  readonly deviceType: string;
  /** 0: none. */
  readonly policyKey?: number;
  readonly params?: Readonly<Record<string, string>>;
  readonly multipart?: boolean;
}

/** The query as base64: one octet a number, texts with their length before them. */
export function base64Query(fields: QueryFields): string {
  const { command, version, deviceId, deviceType, policyKey = 0, params = {}, multipart = false } = fields;
  const code = COMMANDS.indexOf(command as (typeof COMMANDS)[number]);
  if (code < 0) throw new Error(`no command ${command}`);
  const sized = (bytes: Uint8Array): readonly number[] => [bytes.length, ...bytes];
  const key = Buffer.alloc(4);
  key.writeUInt32LE(policyKey);
  const flags = (params.SaveInSent === "T" ? 1 : 0) + (multipart ? 2 : 0);
  const more = Object.entries(params).flatMap(([name, value]) =>
    PARAMETERS[name] === undefined ? [] : [PARAMETERS[name], ...sized(Buffer.from(value))],
  );
  return Buffer.from([
    Number(version.replace(".", "")),
    code,
    // 0x0409: English, United States.
    0x09,
    0x04,
    ...sized(Buffer.from(deviceId)),
    ...sized(policyKey === 0 ? Buffer.alloc(0) : key),
    ...sized(Buffer.from(deviceType)),
    ...more,
    ...(flags === 0 ? [] : [7, 1, flags]),
  ]).toString("base64");
}

/** A phone's connection: requests and what HTTP owes them. */
export class Wire {
  readonly options: WireOptions;
  /** Decimal; 0 before the first. */
  policyKey = "0";
  /** The last request, to be sent again. */
  last: Sent | undefined;
  /** Requests, and those whose answer was lost. */
  readonly counts = { sent: 0, lost: 0 };
  /** True if the answer to the last request is that to its repeat. */
  isRepeat = false;
  #port: number;
  readonly #agent = new Agent({ keepAlive: true });

  constructor(options: WireOptions) {
    this.options = options;
    this.#port = options.port;
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }

  /** A command. Throws for an answer that a phone could not read as HTTP. */
  async command(command: string, body?: Uint8Array, extras: Extras = {}): Promise<Reply> {
    return this.exchange(this.#requestOf(command, body, extras), extras.signal);
  }

  async exchange(sent: Sent, signal?: AbortSignal): Promise<Reply> {
    this.last = sent;
    this.isRepeat = this.options.loses?.() ?? false;
    if (this.isRepeat) {
      this.counts.lost += 1;
      await this.#tried(sent, signal);
    }
    const reply = await this.#tried(sent, signal);
    return this.options.isStrict === false ? reply : checked(reply);
  }

  /** Sends a request until it is answered. */
  async #tried(sent: Sent, signal?: AbortSignal): Promise<Reply> {
    const { revive } = this.options;
    for (;;) {
      try {
        return await this.#send(sent, signal);
      } catch (error) {
        if (!revive || signal?.aborted) throw error;
        this.isRepeat = true;
        this.counts.lost += 1;
        this.#port = await revive();
      }
    }
  }

  /** The last request once more, octet for octet. */
  async repeat(): Promise<Reply> {
    return checked(await this.#send(this.last!));
  }

  /** The Authorization field of every request. */
  get credentials(): string {
    return `Basic ${Buffer.from(`${this.options.user}:${this.options.password}`).toString("base64")}`;
  }

  #requestOf(command: string, body: Uint8Array | undefined, { params = {}, contentType, multipart }: Extras): Sent {
    const { user, deviceId, deviceType, version, query = "plain", userAgent } = this.options;
    const { path = "/Microsoft-Server-ActiveSync" } = this.options;
    const plain = query === "plain";
    const fields = { command, version, deviceId, deviceType, policyKey: Number(this.policyKey), params };
    const text = plain
      ? new URLSearchParams({
          Cmd: command,
          User: user,
          DeviceId: deviceId,
          DeviceType: deviceType,
          ...params,
        }).toString()
      : base64Query({ ...fields, multipart: multipart ?? false });
    return {
      method: "POST",
      path: `${path}?${text}`,
      headers: {
        authorization: this.credentials,
        ...(body && { "content-type": contentType ?? "application/vnd.ms-sync.wbxml" }),
        "content-length": String(body?.length ?? 0),
        ...(plain && { "ms-asprotocolversion": version, "x-ms-policykey": this.policyKey }),
        ...(plain && multipart && { "ms-asacceptmultipart": "T" }),
        ...(userAgent !== undefined && { "user-agent": userAgent }),
      },
      body,
    };
  }

  #send({ method, path, headers, body }: Sent, signal?: AbortSignal): Promise<Reply> {
    this.counts.sent += 1;
    return new Promise((resolve, reject) => {
      const { localAddress } = this.options;
      const from = localAddress === undefined ? {} : { localAddress };
      const options = { host: "127.0.0.1", port: this.#port, method, path, headers, agent: this.#agent, ...from };
      const request = requestHttp({ ...options, ...(signal && { signal }) }, (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.once("error", reject);
        response.once("end", () =>
          resolve({ status: response.statusCode!, headers: response.headers, body: Buffer.concat(chunks) }),
        );
      });
      request.once("error", reject);
      request.end(body);
    });
  }
}

/** Old phones read no chunks, and stumble over a type where there is no body. */
function checked(reply: Reply): Reply {
  const { status, headers, body } = reply;
  if (status !== 200) return reply;
  if (headers["content-length"] !== String(body.length))
    throw new Error(`Content-Length: ${headers["content-length"]}`);
  if ((headers["content-type"] === undefined) !== (body.length === 0))
    throw new Error(`${body.length} octets of ${headers["content-type"]}`);
  return reply;
}

/** The parts of a multipart answer: a count, then where each lies, then all of them. */
export function partsOf(body: Buffer): readonly Buffer[] {
  return Array.from({ length: body.readUInt32LE(0) }, (_, index) => {
    const [offset, length] = [body.readUInt32LE(4 + index * 8), body.readUInt32LE(8 + index * 8)];
    if (offset + length > body.length) throw new Error("a part lies beyond the end");
    return body.subarray(offset, offset + length);
  });
}
