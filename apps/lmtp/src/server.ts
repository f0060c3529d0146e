import { randomBytes } from "node:crypto";
import type { Server } from "node:net";
import { type Dropbox, EngineError, type EngineErrorCode, type Handover } from "@restante/engine";
import { SMTPServer, type SMTPServerAddress, type SMTPServerDataStream, type SMTPServerSession } from "smtp-server";
import { CLOSE_MS, DELIVERIES_AT_ONCE, OVERSIZE_FACTOR_MAX, RECIPIENTS_MAX, SILENCE_MS } from "./limits.ts";
import { candidates, type RecipientRules } from "./recipients.ts";
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
  readonly serverName: string;
  readonly log: (event: { readonly level: "info" | "warn"; readonly event: string; readonly error?: unknown }) => void;
}

export interface LmtpServer {
  /** One listener; more of them share everything. */
  makeListener(): Server;
  stop(): Promise<void>;
}

interface Recipient {
  readonly address: string;
  readonly dropbox: Dropbox;
}

/** An error that smtp-server answers with this code; it adds the enhanced one. */
class Reply extends Error {
  readonly responseCode: number;
  constructor(code: number, text: string) {
    super(text);
    this.responseCode = code;
  }
}

/** RFC 2033 over RFC 5321 and RFC 3463. Total on purpose: a new engine code doesn't compile until it has its answer. An
 * unknown outcome is a temporary failure: the client tries again (RFC 1047). */
const REPLIES: Record<EngineErrorCode, number> = {
  "not-found": 550,
  "already-exists": 451,
  "not-permitted": 550,
  invalid: 550,
  conflict: 451,
  expunged: 451,
  "over-quota": 452,
  "too-large": 552,
  // smtp-server adds 4.2.1 to it, "mailbox not accepting": the 451 that it knows is the system's own trouble.
  locked: 450,
  unavailable: 451,
  "unknown-outcome": 451,
  corrupt: 451,
};

/** LMTP (RFC 2033): takes mail for the accounts here, sealed as it is stored, one reply a recipient, each only when its
 * copy is durable. */
export function createLmtpServer(options: LmtpServerOptions): LmtpServer {
  const servers: SMTPServer[] = [];
  return {
    makeListener() {
      const server = new PromptServer(serverOptions(options));
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

/** smtp-server holds its greeting back for a tenth of a second: who speaks sooner is a spammer. LMTP's clients are mail
 * servers of the same house. */
class PromptServer extends SMTPServer {
  override connect(...args: Parameters<SMTPServer["connect"]>): void {
    super.connect(...args);
    // A set keeps the order: the newest is the last.
    const connection = [...this.connections].at(-1)!;
    connection.connectionReady();
    connection.connectionReady = () => undefined;
  }
}

/** What we keep of a connection. */
interface Client {
  readonly handover: Handover;
  /** smtp-server keeps one entry for equal recipients; LMTP owes a reply for each: RFC 2033 §4.2. */
  accepted: Recipient[];
}

function serverOptions(options: LmtpServerOptions): ConstructorParameters<typeof SMTPServer>[0] {
  const clients = new Map<string, Client>();
  const clientOf = ({ id }: SMTPServerSession): Client => {
    const known = clients.get(id) ?? { handover: options.connect(), accepted: [] };
    clients.set(id, known);
    return known;
  };
  return {
    lmtp: true,
    banner: "Restante",
    name: options.serverName,
    disabledCommands: ["AUTH", "STARTTLS"],
    authOptional: true,
    size: options.sizeMax,
    rejectOversized: true,
    hideENHANCEDSTATUSCODES: false,
    hideSMTPUTF8: false,
    disableReverseLookup: true,
    maxRecipients: RECIPIENTS_MAX,
    socketTimeout: SILENCE_MS,
    closeTimeout: CLOSE_MS,
    // The one place where smtp-server tells of each command: who sends one has read the replies before it.
    logger: commandListener((id) => clients.get(id)?.handover.settle()),
    onClose(session) {
      clients.get(session.id)?.handover.abandon();
      clients.delete(session.id);
    },
    onMailFrom(_address, session, callback) {
      clientOf(session).accepted = [];
      callback();
    },
    onRcptTo(address, session, callback) {
      findRecipient(address, options).then(
        (recipient) => {
          if (!recipient) return callback(new Reply(550, "No such user here"));
          for (const same of session.envelope.rcptTo)
            if (same.address.toLowerCase() === address.address.toLowerCase()) same.address += "\u0000";
          clientOf(session).accepted.push(recipient);
          callback();
        },
        (error: unknown) => callback(replyFor(error, options)),
      );
    },
    onData(stream, session, callback) {
      // The client is asked for the message first, and sends it while keys are made for it.
      const asked = Promise.resolve();
      asked
        .then(() => deliver(stream, session, clientOf(session), options))
        .then(
          (replies) => callback(null, replies as unknown as string),
          (error: unknown) => callback(replyFor(error, options)),
        );
    },
  };
}

/** A logger that hears nothing but commands, each with its connection's id. */
function commandListener(hear: (id: string) => void) {
  const silent = (): void => undefined;
  const debug = (entry: unknown): void => {
    const { tnx, cid } = (entry ?? {}) as { readonly tnx?: string; readonly cid?: string };
    if (tnx === "command" && cid !== undefined) hear(cid);
  };
  return { level: silent, trace: silent, debug, info: silent, warn: silent, error: silent, fatal: silent };
}

async function findRecipient(address: SMTPServerAddress, options: LmtpServerOptions): Promise<Recipient | undefined> {
  for (const candidate of candidates(address.address, options.rules)) {
    const dropbox = await options.findDropbox(candidate);
    if (dropbox) return { address: candidate, dropbox };
  }
  return undefined;
}

/** The replies, one a recipient, in order. One recipient's copy is sealed as it streams in; for several the message is
 * spooled first, since each has keys of its own. */
async function deliver(
  stream: SMTPServerDataStream,
  session: SMTPServerSession,
  { handover, accepted: recipients }: Client,
  options: LmtpServerOptions,
): Promise<(string | Reply)[]> {
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
      await dropbox.deliver(trace, message, handover);
      return `Delivered ${id}`;
    } catch (error) {
      return replyFor(error, options);
    }
  };
  try {
    if (recipients.length === 1) return [await deliverTo(recipients[0]!, source)];
    await using message = await spool(source);
    const replies: (string | Reply)[] = [];
    for (let at = 0; at < recipients.length; at += DELIVERIES_AT_ONCE)
      replies.push(
        ...(await Promise.all(
          recipients.slice(at, at + DELIVERIES_AT_ONCE).map((recipient) => deliverTo(recipient, message.read())),
        )),
      );
    return replies;
  } catch (error) {
    // smtp-server answers 552 5.3.4 for the size, once a recipient.
    if (error instanceof Oversized) return [];
    throw error;
  } finally {
    // What a failed delivery left unread is still on the wire, and doesn't flow while a reader waits in the middle of it.
    await source.return(undefined);
    stream.resume();
  }
}

class Oversized extends Error {}

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
  if (stream.sizeExceeded) throw new Oversized("message is too large");
}

function replyFor(error: unknown, options: LmtpServerOptions): Reply {
  if (error instanceof Oversized) throw error;
  if (error instanceof Reply) return error;
  if (error instanceof EngineError) {
    options.log({ level: "warn", event: "delivery failed", error });
    return new Reply(REPLIES[error.code], error.code === "over-quota" ? "Mailbox or store is full" : "Try again later");
  }
  options.log({ level: "warn", event: "delivery failed", error });
  return new Reply(451, "Internal error");
}
