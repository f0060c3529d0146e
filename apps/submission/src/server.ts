import { createServer, type Server, type Socket } from "node:net";
import type { SecureContext } from "node:tls";
import {
  type AccountSession,
  type Body,
  EngineError,
  type EngineErrorCode,
  type Recipient,
  type Submission,
  SubmitRefusal,
  tap,
} from "@restante/engine";
import { type Gate, letGo, shakeHands, type Visitor } from "@restante/host";
import type { SMTPServer, SMTPServerAddress, SMTPServerDataStream } from "smtp-server";
import { CLOSE_MS, HELD_BYTES_MAX, OVERSIZE_FACTOR_MAX, SILENCE_MS, TRIES_MAX } from "./limits.ts";
import { SubmissionListener } from "./listener.ts";
import { holdOf, notifyOf } from "./parameters.ts";

export interface SubmissionServerOptions {
  /** Errors as `Accounts.login` has them. */
  readonly signIn: (user: string, password: string, address: string) => Promise<AccountSession>;
  /** The certificate now in force; asked for each connection, so that it may be renewed. */
  readonly secureContext: () => SecureContext;
  /** Bounds the connections of the process, of whichever service. */
  readonly gate: Gate;
  /** Octets of a message. */
  readonly sizeMax: number;
  /** Recipients of a message. */
  readonly recipientsMax: number;
  readonly serverName: string;
  readonly log: (event: SubmissionEvent) => void;
  /** The trace of this user, if an operator follows it: gets lines of dialogues, without addresses and contents. */
  readonly traceOf?: (user: string) => ((line: string) => void) | undefined;
}

/** `submitted`, with the submission's id; `submission refused`, with the reply's code. */
export interface SubmissionEvent {
  readonly level: "info" | "warn" | "error";
  readonly event: string;
  readonly user?: string;
  readonly id?: string;
  readonly size?: number;
  readonly code?: number;
  readonly error?: unknown;
  readonly [field: string]: unknown;
}

export interface SubmissionServer {
  /** Sockets arrive by these: `submission` offers STARTTLS (RFC 6409), `submissions` begins with TLS (RFC 8314 §3.3). */
  readonly submission: Server;
  readonly submissions: Server;
  stop(): Promise<void>;
}

/** An error that is answered with this code, and with the enhanced one that the text begins with. */
class Reply extends Error {
  readonly responseCode: number;
  constructor(code: number, text: string) {
    super(text);
    this.responseCode = code;
  }
}

/** State of one connection. */
interface Client {
  readonly visitor: Visitor;
  readonly address: string;
  session: AccountSession | undefined;
  tries: number;
  holdUntilMs: number | undefined;
  recipients: Recipient[];
}

/** Total on purpose: a new engine code doesn't compile until it has its answer. */
const REPLIES: Record<EngineErrorCode, readonly [number, string]> = {
  "not-found": [451, "4.3.0 Try again later"],
  "already-exists": [451, "4.3.0 Try again later"],
  "not-permitted": [550, "5.7.1 You can send nothing"],
  invalid: [550, "5.6.0 The message can't be taken"],
  conflict: [451, "4.3.0 Try again later"],
  expunged: [451, "4.3.0 Try again later"],
  "over-quota": [452, "4.3.1 There is no room for it now"],
  "too-large": [552, "5.3.4 The message is too large"],
  locked: [550, "5.7.1 You can send nothing"],
  unavailable: [451, "4.3.0 Try again later"],
  "unknown-outcome": [451, "4.3.0 Try again later"],
  corrupt: [451, "4.3.0 Try again later"],
};

/** RFC 6409 §6, RFC 3463. */
const REFUSALS: Record<SubmitRefusal["reason"], readonly [number, string]> = {
  noRecipients: [554, "5.5.1 It is to nobody"],
  invalidRecipients: [550, "5.1.1 Some recipients can't be reached from here"],
  tooManyRecipients: [452, "4.5.3 It is to too many"],
  forbiddenMailFrom: [550, "5.7.1 The sender's address is not yours"],
  forbiddenFrom: [550, "5.7.1 The address in From is not yours"],
  forbiddenToSend: [450, "4.7.1 You have sent to too many within a day"],
  invalidEmail: [550, "5.6.0 The message has no From that can be read"],
  tooLarge: [552, "5.3.4 The message is too large"],
  holdTooLong: [501, "5.5.4 So long no mail is held"],
};

/** Mail submission (RFC 6409) for the accounts of `signIn`. */
export function createSubmissionServer(options: SubmissionServerOptions): SubmissionServer {
  const clients = new Map<string, Client>();
  const arriving = new Map<string, { readonly visitor: Visitor; readonly address: string }>();
  const make = (isSecure: boolean): SubmissionListener => {
    const server = new SubmissionListener(settingsOf(options, isSecure, clients, arriving));
    server.on("error", (error) => options.log({ level: "info", event: "submission connection failed", error }));
    return server;
  };
  const [plain, secure] = [make(false), make(true)];

  const sockets = new Set<Socket>();

  const accept = async (socket: Socket, isSecure: boolean): Promise<void> => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    const visitor = options.gate.enter(socket, () => socket.destroy());
    if (!visitor) {
      if (!isSecure) socket.write("421 4.3.2 Too many connections\r\n");
      letGo(socket);
      return;
    }
    const context = options.secureContext();
    const used = isSecure ? await shakeHands(socket, context) : socket;
    if (!used) return;
    const server = isSecure ? secure : plain;
    server.secureContext.set("*", context);
    arriving.set(keyOf(used), { visitor, address: socket.remoteAddress ?? "" });
    server.connect(used);
  };
  const listener = (isSecure: boolean): Server =>
    createServer({ noDelay: true }, (socket) => {
      accept(socket, isSecure).catch((error: unknown) => {
        socket.destroy();
        options.log({ level: "error", event: "submission connection failed", error });
      });
    });
  const [submission, submissions] = [listener(false), listener(true)];
  return {
    submission,
    submissions,
    async stop() {
      submission.close();
      submissions.close();
      await Promise.all([plain, secure].map((server) => new Promise<void>((resolve) => server.close(() => resolve()))));
      // Connections that the clients have not closed.
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** The key of a connection before the library gives it an id: the client's address and port. */
function keyOf({ remoteAddress, remotePort }: Pick<Socket, "remoteAddress" | "remotePort">): string {
  return `${remoteAddress} ${remotePort}`;
}

function settingsOf(
  options: SubmissionServerOptions,
  isSecure: boolean,
  clients: Map<string, Client>,
  arriving: Map<string, { readonly visitor: Visitor; readonly address: string }>,
): NonNullable<ConstructorParameters<typeof SMTPServer>[0]> {
  const fail = (error: unknown, user: string | undefined): Error => {
    const reply = replyFor(error);
    const reason = error instanceof SubmitRefusal ? { reason: error.reason } : { error };
    const told = { code: reply.responseCode, ...reason, ...(user !== undefined && { user }) };
    options.log({ level: reply.responseCode < 500 ? "warn" : "info", event: "submission refused", ...told });
    return reply;
  };
  const follow = (client: Client, line: string): void => {
    if (client.session) options.traceOf?.(client.session.address)?.(line);
  };
  return {
    secure: isSecure,
    banner: "Restante",
    name: options.serverName,
    disabledCommands: isSecure ? ["STARTTLS"] : [],
    authMethods: ["PLAIN", "LOGIN"],
    size: options.sizeMax,
    hideENHANCEDSTATUSCODES: false,
    hideSMTPUTF8: false,
    // A server that announces DSN owes notices of success: RFC 3461 §5.2. NOTIFY, RET and ENVID are passed on all the same.
    hideDSN: true,
    disableReverseLookup: true,
    socketTimeout: SILENCE_MS,
    closeTimeout: CLOSE_MS,
    onConnect({ id, remoteAddress, remotePort }, callback) {
      const known = arriving.get(keyOf({ remoteAddress, remotePort }));
      arriving.delete(keyOf({ remoteAddress, remotePort }));
      if (!known) return callback(new Reply(421, "4.3.0 Try again later"));
      clients.set(id, { ...known, session: undefined, tries: 0, holdUntilMs: undefined, recipients: [] });
      callback();
    },
    onClose({ id }) {
      clients.get(id)?.session?.close();
      clients.delete(id);
    },
    onAuth({ username, password }, { id }, callback) {
      const client = clients.get(id);
      if (!client || client.tries >= TRIES_MAX) return callback(new Reply(421, "4.7.0 Too many wrong passwords"));
      options.signIn(username ?? "", password ?? "", client.address).then(
        (session) => {
          // The client may have gone meanwhile.
          if (!clients.has(id)) session.close();
          client.session = session;
          client.visitor.signedIn();
          callback(null, { user: session.address });
        },
        (error: unknown) => {
          client.tries++;
          const isWrong = error instanceof EngineError && error.code === "not-permitted";
          callback(isWrong ? new Reply(535, "5.7.8 Wrong user name or password") : replyFor(error));
        },
      );
    },
    onMailFrom(address, { id }, callback) {
      const client = clients.get(id)!;
      client.recipients = [];
      follow(client, `C: MAIL FROM:<[${address.address.length}]> ${Object.keys(argsOf(address)).join(" ")}`.trimEnd());
      const holdUntilMs = holdOf(argsOf(address), Date.now());
      if (holdUntilMs === "wrong") return callback(new Reply(555, "5.5.4 A parameter is none here"));
      client.holdUntilMs = holdUntilMs;
      callback();
    },
    onRcptTo(address, { id }, callback) {
      const notify = notifyOf(argsOf(address));
      follow(clients.get(id)!, `C: RCPT TO:<[${address.address.length}]>`);
      if (notify === "wrong") return callback(new Reply(555, "5.5.4 A parameter is none here"));
      const { recipients } = clients.get(id)!;
      // RFC 5321 §4.5.3.1.10: those before it are taken.
      if (recipients.length >= options.recipientsMax) return callback(new Reply(452, "4.5.3 Too many recipients"));
      recipients.push({ address: address.address, notify });
      callback();
    },
    onData(stream, session, callback) {
      const client = clients.get(session.id)!;
      const mailFrom = session.envelope.mailFrom ? session.envelope.mailFrom.address : "";
      submit(stream, mailFrom, client, options.sizeMax).then(
        ({ id, sizes }) => {
          follow(client, `C: DATA [${sizes}]`);
          follow(client, `S: 250 ${id}`);
          options.log({ level: "info", event: "submitted", user: client.session!.address, id, size: sizes });
          callback(null, `2.0.0 Queued ${id}`);
        },
        (error: unknown) => {
          const reply = fail(error, client.session?.address);
          follow(client, `S: ${(reply as Reply).responseCode} ${reply.message}`);
          callback(reply);
        },
      );
    },
  };
}

function argsOf({ args }: SMTPServerAddress): Readonly<Record<string, string | true>> {
  return args || {};
}

async function submit(
  stream: SMTPServerDataStream,
  mailFrom: string,
  { session, recipients, holdUntilMs }: Client,
  sizeMax: number,
): Promise<Pick<Submission, "id"> & { readonly sizes: number }> {
  if (!session) throw new Reply(530, "5.7.0 Sign in first");
  try {
    session.ended.throwIfAborted();
    const message = await read(bounded(stream, sizeMax), session);
    const { id } = await session.submit({ envelope: { mailFrom, recipients }, message, holdUntilMs });
    return { id, sizes: message.size };
  } finally {
    // The rest of a refused message is still on the wire.
    stream.resume();
  }
}

/** A message that may be read again: in memory if it is small, else sealed among its owner's uploads. */
async function read(source: AsyncIterable<Uint8Array>, session: AccountSession): Promise<Body> {
  const held: Uint8Array[] = [];
  let size = 0;
  const iterator = source[Symbol.asyncIterator]();
  for (let next = await iterator.next(); ; next = await iterator.next()) {
    if (next.done) return bodyOf(Buffer.concat(held));
    held.push(next.value);
    size += next.value.length;
    if (size > HELD_BYTES_MAX) break;
  }
  async function* all(): AsyncGenerator<Uint8Array> {
    yield* held;
    yield* { [Symbol.asyncIterator]: () => iterator };
  }
  const { id } = await session.upload(all());
  const body = await session.openBlob(id);
  if (!body) throw new EngineError("unavailable", "an upload went at once");
  return body;
}

function bodyOf(bytes: Uint8Array): Body {
  return {
    size: bytes.length,
    async *read(start, end) {
      yield bytes.subarray(start, end);
    },
  };
}

/** The stream; fails where it is too large, and cuts a client off that was told the limit and goes on regardless. */
async function* bounded(stream: SMTPServerDataStream, sizeMax: number): AsyncGenerator<Uint8Array> {
  let size = 0;
  const pieces = stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>;
  for await (const piece of tap(pieces, (one) => {
    size += one.length;
  })) {
    if (size > sizeMax * OVERSIZE_FACTOR_MAX) {
      stream.destroy();
      throw new Reply(421, "4.3.4 The message is far too large");
    }
    if (!stream.sizeExceeded) yield piece;
  }
  if (stream.sizeExceeded) throw new Reply(552, "5.3.4 The message is too large");
}

function replyFor(error: unknown): Reply {
  if (error instanceof Reply) return error;
  if (error instanceof SubmitRefusal) return new Reply(...REFUSALS[error.reason]);
  return error instanceof EngineError ? new Reply(...REPLIES[error.code]) : new Reply(451, "4.3.0 Internal error");
}
