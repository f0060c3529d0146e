import { randomBytes } from "node:crypto";
import type { Server } from "node:net";
import { type Dropbox, EngineError, type EngineErrorCode, type Handover, QuotaExceeded, tap } from "@restante/engine";
import type { SMTPServer, SMTPServerAddress, SMTPServerDataStream, SMTPServerSession } from "smtp-server";
import { CLOSE_MS, DELIVERIES_AT_ONCE, OVERSIZE_FACTOR_MAX, RECIPIENTS_MAX, SILENCE_MS } from "./limits.ts";
import { type ListenerLimits, LmtpListener } from "./lmtp-listener.ts";
import { candidates, keyOf, type RecipientRules } from "./recipients.ts";
import { spool } from "./spool.ts";
import { formatTrace } from "./trace.ts";

export interface LmtpServerOptions {
  /** The account at exactly this address, to deliver into; undefined if there is none. */
  readonly findDropbox: (address: string) => Promise<Dropbox | undefined>;
  /** For a new connection: what it hands over, until it shows that it has read the replies. */
  readonly connect: () => Handover;
  readonly rules: RecipientRules;
  /** Octets of a message. */
  readonly sizeMax: number;
  /** Reply where an account is full: 452 (try again) by default, or 552 (never). */
  readonly onFull?: "452" | "552";
  readonly serverName: string;
  readonly log: (event: LmtpEvent) => void;
  /** Hears of each recipient's reply; `bytes` is the size of a message that was taken. */
  readonly onReply?: (code: number, bytes?: number) => void;
  readonly limits?: Partial<ListenerLimits>;
}

/** Of a recipient: `delivered` with the size in octets, or `delivery refused` with the reply's code. */
export interface LmtpEvent {
  readonly level: "info" | "warn";
  readonly event: string;
  readonly id?: string;
  readonly recipient?: string;
  readonly size?: number;
  readonly code?: number;
  readonly error?: unknown;
  readonly [field: string]: unknown;
}

export interface LmtpServer {
  /** One listener; more of them share everything. */
  makeListener(): Server;
  stop(): Promise<void>;
}

interface Recipient {
  /** The address as the client gave it, by which recipients of one transaction are told apart. */
  readonly given: string;
  /** The account's. */
  readonly address: string;
  readonly dropbox: Dropbox;
}

/** An error that is answered with this code, and with the enhanced one that the text begins with, or smtp-server's own. */
class Reply extends Error {
  readonly responseCode: number;
  constructor(code: number, text: string) {
    super(text);
    this.responseCode = code;
  }
}

const NOBODY = "No such user here";
const LATER = [451, "Try again later"] as const;

/** RFC 2033 over RFC 5321 and RFC 3463. Total on purpose: a new engine code doesn't compile until it has its answer. An
 * unknown outcome is a temporary failure: the client tries again (RFC 1047). */
const REPLIES: Record<EngineErrorCode, readonly [number, string]> = {
  "not-found": [550, NOBODY],
  "already-exists": LATER,
  "not-permitted": [550, "No mail is taken for this user"],
  invalid: [550, "The message can't be taken"],
  conflict: LATER,
  expunged: LATER,
  "over-quota": [452, "Mailbox or store is full"],
  "too-large": [552, "Message is too large"],
  // smtp-server adds 4.2.1 to it, "mailbox not accepting": the 451 that it knows is the system's own trouble.
  locked: [450, "Try again later"],
  unavailable: LATER,
  "unknown-outcome": LATER,
  corrupt: LATER,
};

/** LMTP (RFC 2033): takes mail for the accounts here, sealed as it is stored, one reply a recipient, each only when its
 * copy is durable. */
export function createLmtpServer(options: LmtpServerOptions): LmtpServer {
  const servers: SMTPServer[] = [];
  return {
    makeListener() {
      const clients = new Clients(options);
      const server = new LmtpListener(serverOptions(options, clients), {
        onCommand: (id) => clients.find(id)?.handover.settle(),
        ...(options.limits ? { limits: options.limits } : {}),
      });
      // Its sockets' errors are the client's going away.
      server.on("error", (error) => options.log({ level: "info", event: "lmtp connection failed", error }));
      servers.push(server);
      return server.server;
    },
    async stop() {
      await Promise.all(servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve()))));
    },
  };
}

/** State of one connection. */
interface Client {
  readonly handover: Handover;
  /** Of the transaction, in order, one a RCPT: LMTP owes a reply for each (RFC 2033 §4.2), also for one address twice. */
  accepted: Recipient[];
}

/** By connection. */
class Clients {
  readonly #connect: () => Handover;
  readonly #byId = new Map<string, Client>();

  constructor({ connect }: Pick<LmtpServerOptions, "connect">) {
    this.#connect = connect;
  }

  find(id: string): Client | undefined {
    return this.#byId.get(id);
  }

  of({ id }: SMTPServerSession): Client {
    const client = this.#byId.get(id) ?? { handover: this.#connect(), accepted: [] };
    this.#byId.set(id, client);
    return client;
  }

  delete(id: string): void {
    this.#byId.get(id)?.handover.abandon();
    this.#byId.delete(id);
  }
}

/** Parameters of MAIL that we have: RFC 1870 §3, RFC 6152 §2, RFC 6531 §3.4. RCPT has none. */
const MAIL_PARAMETERS = ["SIZE", "BODY", "SMTPUTF8"];

function serverOptions(
  options: LmtpServerOptions,
  clients: Clients,
): NonNullable<ConstructorParameters<typeof SMTPServer>[0]> {
  return {
    lmtp: true,
    banner: "Restante",
    name: options.serverName,
    disabledCommands: ["AUTH", "STARTTLS"],
    authOptional: true,
    size: options.sizeMax,
    hideENHANCEDSTATUSCODES: false,
    hideSMTPUTF8: false,
    // A server that announces DSN owes notices of success: RFC 3461 §5.2.
    hideDSN: true,
    disableReverseLookup: true,
    socketTimeout: SILENCE_MS,
    closeTimeout: CLOSE_MS,
    onClose({ id }) {
      clients.delete(id);
    },
    onMailFrom(address, session, callback) {
      clients.of(session).accepted = [];
      callback(unknownParameter(address, MAIL_PARAMETERS));
    },
    onRcptTo(address, session, callback) {
      const { accepted } = clients.of(session);
      const refusal =
        unknownParameter(address, []) ??
        (accepted.length >= RECIPIENTS_MAX ? new Reply(452, "4.5.3 Too many recipients") : undefined);
      if (refusal) return callback(refusal);
      findRecipient(address, options).then(
        (recipient) => {
          if (!recipient) return callback(new Reply(550, NOBODY));
          accepted.push(recipient);
          callback();
        },
        (error: unknown) => callback(refuse(error, { recipient: address.address }, options)),
      );
    },
    onData(stream, session, callback) {
      const { handover, accepted } = clients.of(session);
      // The client is asked for the message first, and sends it while keys are made for it.
      const asked = Promise.resolve();
      // smtp-server knows of one recipient where one address was given twice: it is told each reply.
      const answer = (replies: readonly (string | Reply)[]): void => callback(null, replies as unknown as string);
      asked
        .then(() => deliver(stream, session, handover, accepted, options))
        .then(answer, (error: unknown) =>
          answer(accepted.map(({ address }) => refuse(error, { recipient: address }, options))),
        );
    },
  };
}

/** RFC 5321 §4.1.1.11. */
function unknownParameter({ args }: SMTPServerAddress, known: readonly string[]): Reply | undefined {
  const unknown = Object.keys(args || {}).find((name) => !known.includes(name));
  return unknown === undefined ? undefined : new Reply(555, `${unknown.slice(0, 40)} is no parameter here`);
}

async function findRecipient(address: SMTPServerAddress, options: LmtpServerOptions): Promise<Recipient | undefined> {
  for (const candidate of candidates(address.address, options.rules)) {
    const dropbox = await options.findDropbox(candidate);
    if (dropbox) return { given: keyOf(address.address), address: candidate, dropbox };
  }
  return undefined;
}

/** The replies, one for each that was accepted, in order; one address twice is stored once. One recipient's copy is
 * sealed as it streams in; for several the message is spooled first, since each has keys of its own. */
async function deliver(
  stream: SMTPServerDataStream,
  session: SMTPServerSession,
  handover: Handover,
  accepted: readonly Recipient[],
  options: LmtpServerOptions,
): Promise<(string | Reply)[]> {
  const recipients = [...new Map(accepted.map((recipient) => [recipient.given, recipient])).values()];
  const id = randomBytes(8).toString("hex");
  const time = new Date();
  const source = bounded(stream, options.sizeMax * OVERSIZE_FACTOR_MAX);
  const deliverTo = async (
    { address, dropbox }: Recipient,
    message: AsyncIterable<Uint8Array>,
  ): Promise<string | Reply> => {
    const trace = formatTrace({
      from: session.envelope.mailFrom ? session.envelope.mailFrom.address : "",
      recipient: address,
      client: session.hostNameAppearsAs || "",
      address: session.remoteAddress ?? "",
      server: options.serverName,
      id,
      time,
    });
    try {
      let size = 0;
      const counted = tap(message, (piece) => {
        size += piece.length;
      });
      await dropbox.deliver(trace, counted, handover);
      options.log({ level: "info", event: "delivered", id, recipient: address, size });
      options.onReply?.(250, size);
      return `Delivered ${id}`;
    } catch (error) {
      return refuse(error, { id, recipient: address }, options);
    }
  };
  try {
    const replies = new Map<string, string | Reply>();
    if (recipients.length === 1) {
      const [recipient] = recipients;
      replies.set(recipient!.given, await deliverTo(recipient!, source));
    } else {
      await using message = await spool(source);
      const deliverNext = async (recipient: Recipient): Promise<void> => {
        replies.set(recipient.given, await deliverTo(recipient, message.read()));
      };
      for (let at = 0; at < recipients.length; at += DELIVERIES_AT_ONCE)
        await Promise.all(recipients.slice(at, at + DELIVERIES_AT_ONCE).map(deliverNext));
    }
    return accepted.map(({ given }) => replies.get(given)!);
  } finally {
    // The rest of a message whose delivery failed is still on the wire. It doesn't flow while a reader waits in the middle of
    // it.
    await source.return(undefined);
    stream.resume();
  }
}

/** The stream; fails where it is too large, and cuts a client off that was told the limit and goes on regardless. */
async function* bounded(stream: SMTPServerDataStream, bytesMax: number): AsyncGenerator<Uint8Array> {
  let size = 0;
  const pieces = stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>;
  for await (const chunk of pieces) {
    size += chunk.length;
    if (size > bytesMax) {
      stream.destroy();
      throw new Reply(421, "Message is far too large");
    }
    if (!stream.sizeExceeded) yield chunk;
  }
  if (stream.sizeExceeded) throw new Reply(552, "5.3.4 Message is too large");
}

/** The reply to what failed. An operator reads why; the client, which is a mail server, only what it may do. */
function refuse(
  error: unknown,
  of: { readonly id?: string; readonly recipient: string },
  options: LmtpServerOptions,
): Reply {
  const reply = replyFor(error, options);
  options.log({ level: "warn", event: "delivery refused", ...of, code: reply.responseCode, error });
  options.onReply?.(reply.responseCode);
  return reply;
}

function replyFor(error: unknown, { onFull = "452" }: Pick<LmtpServerOptions, "onFull">): Reply {
  if (error instanceof Reply) return error;
  // RFC 3463 §3.3.
  if (error instanceof QuotaExceeded)
    return new Reply(Number(onFull), `${onFull[0] === "5" ? 5 : 4}.2.2 Mailbox is full`);
  return error instanceof EngineError ? new Reply(...REPLIES[error.code]) : new Reply(451, "Internal error");
}
