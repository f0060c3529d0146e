import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { Readable } from "node:stream";
import { type OutgoingMail, type Transport, type TransportReply, TransportTrouble } from "@restante/engine";
import SMTPConnection from "nodemailer/lib/smtp-connection";
import type { Smarthost } from "./smarthost.ts";

export interface SmtpTransportOptions {
  readonly smarthost: Smarthost;
  /** Of the smarthost's user. */
  readonly password: string | undefined;
  /** Certificates to believe besides the system's: PEM. */
  readonly ca: string | undefined;
  /** Our name in EHLO. */
  readonly hostName: string;
}

/** Milliseconds for a connection, for its greeting, and without an octet from the other side. */
const CONNECT_MS = 30_000;
const GREETING_MS = 60_000;
const SILENCE_MS: number = 5 * 60_000;
/** Octets of one reply, and characters of it that are kept. */
const REPLY_BYTES_MAX: number = 64 * 1024;
const REPLY_CHARS_MAX = 400;
/** Connections that wait for the next mail, milliseconds that they do, and mails of one. */
const IDLE_MAX = 4;
const IDLE_MS = 10_000;
const MAILS_OF_CONNECTION_MAX = 50;

/** An error as nodemailer describes it. */
interface Failure extends Error {
  readonly code?: string;
  readonly response?: string;
  readonly responseCode?: number;
  readonly command?: string;
  readonly rejectedErrors?: readonly (Failure & { readonly recipient?: string })[];
}

interface Idle {
  readonly connection: SMTPConnection;
  readonly timer: NodeJS.Timeout;
  readonly mails: number;
}

/** Hands mail to a smarthost by SMTP (RFC 5321). nodemailer speaks; what goes and what came of it is ours. */
export class SmtpTransport implements Transport {
  readonly #options: SmtpTransportOptions;
  readonly #idle: Idle[] = [];

  constructor(options: SmtpTransportOptions) {
    this.#options = options;
  }

  async send(mail: OutgoingMail, signal: AbortSignal): Promise<readonly TransportReply[]> {
    const { connection, mails } = await this.#connect(signal);
    try {
      if (mail.needsEightBit && !/^250[ -]8BITMIME\b/im.test(abilities.get(connection) ?? ""))
        return mail.envelope.recipients.map(() => NO_EIGHT_BIT);
      const replies = await within(signal, connection, () => exchange(connection, mail));
      this.#keep(connection, mails + 1);
      return replies;
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  /** Ends connections that wait. */
  dispose(): void {
    for (const { connection, timer } of this.#idle.splice(0)) {
      clearTimeout(timer);
      connection.quit();
    }
  }

  async #connect(signal: AbortSignal): Promise<{ readonly connection: SMTPConnection; readonly mails: number }> {
    for (let idle = this.#idle.pop(); idle; idle = this.#idle.pop()) {
      clearTimeout(idle.timer);
      if (idle.connection.destroyed) continue;
      if (await reset(idle.connection, signal)) return idle;
    }
    const connection = await this.#open(signal);
    return { connection, mails: 0 };
  }

  async #open(signal: AbortSignal): Promise<SMTPConnection> {
    const { smarthost, password, ca, hostName } = this.#options;
    const { at, tls, user } = smarthost;
    const socket = at.kind === "unix" ? await openSocket(at.path, signal) : undefined;
    const connection = new SMTPConnection({
      ...(at.kind === "tcp" ? { host: at.host, port: at.port } : { host: "localhost", connection: socket }),
      secure: tls === "implicit",
      requireTLS: tls === "starttls",
      ignoreTLS: tls === "none",
      name: hostName,
      connectionTimeout: CONNECT_MS,
      greetingTimeout: GREETING_MS,
      socketTimeout: SILENCE_MS,
      maxResponseSize: REPLY_BYTES_MAX,
      tls: { minVersion: "TLSv1.2", ...(ca !== undefined && { ca }) },
    });
    try {
      await within(signal, connection, async () => {
        await settled(connection, (done) => connection.connect(done));
        abilities.set(connection, String(connection.lastServerResponse || ""));
        if (user !== undefined)
          await settled(connection, (done) => connection.login({ user, pass: password ?? "" }, done));
      });
      // An error during an exchange rejects that exchange. Between exchanges the connection is closed and nobody is told.
      connection.on("error", () => connection.close());
      return connection;
    } catch (error) {
      connection.close();
      throw troubleOf(error as Failure);
    }
  }

  #keep(connection: SMTPConnection, mails: number): void {
    if (this.#idle.length >= IDLE_MAX || mails >= MAILS_OF_CONNECTION_MAX || connection.destroyed) {
      connection.quit();
      return;
    }
    const idle: Idle = {
      connection,
      mails,
      timer: setTimeout(() => {
        this.#idle.splice(this.#idle.indexOf(idle), 1);
        connection.quit();
      }, IDLE_MS).unref(),
    };
    this.#idle.push(idle);
  }
}

const NO_EIGHT_BIT: TransportReply = {
  state: "failed",
  reply: "554 5.6.3 The next server takes no octets above 127, and this mail has some",
};

/** Each server's answer to EHLO: the extensions that it offers. */
const abilities = new WeakMap<SMTPConnection, string>();

async function openSocket(path: string, signal: AbortSignal): Promise<Socket> {
  const socket = connect({ path });
  try {
    await once(socket, "connect", { signal: AbortSignal.any([signal, AbortSignal.timeout(CONNECT_MS)]) });
    return socket;
  } catch (error) {
    socket.destroy();
    throw new TransportTrouble("later", messageOf(error as Failure), { cause: error });
  }
}

/** Does `work` with a connection. The signal closes the connection, whether it is aborted before or meanwhile. */
async function within<T>(signal: AbortSignal, connection: SMTPConnection, work: () => Promise<T>): Promise<T> {
  if (signal.aborted) throw new TransportTrouble("later", "the exchange took too long");
  const cut = (): void => connection.close();
  signal.addEventListener("abort", cut, { once: true });
  try {
    return await work();
  } finally {
    signal.removeEventListener("abort", cut);
  }
}

/** Resolves when `begin` calls back; rejects with what the connection ends by. */
function settled(connection: SMTPConnection, begin: (done: (error?: Error | null) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (): void => {
      connection.off("error", fail);
      connection.off("end", closed);
    };
    const fail = (error: Error): void => {
      end();
      reject(error);
    };
    const closed = (): void => fail(new Error("the connection was closed"));
    connection.once("error", fail);
    connection.once("end", closed);
    begin((error) => {
      if (error) fail(error);
      else {
        end();
        resolve();
      }
    });
  });
}

/** True if a connection that waited is still good: RSET is answered. */
async function reset(connection: SMTPConnection, signal: AbortSignal): Promise<boolean> {
  try {
    await within(signal, connection, () => settled(connection, (done) => connection.reset(done)));
    return true;
  } catch {
    connection.close();
    return false;
  }
}

async function exchange(connection: SMTPConnection, mail: OutgoingMail): Promise<readonly TransportReply[]> {
  const { envelope, envid, size, needsEightBit } = mail;
  const [first] = envelope.recipients;
  const isOne = envelope.recipients.every(({ notify }) => notify === first?.notify);
  const given = {
    from: envelope.mailFrom,
    to: envelope.recipients.map(({ address }) => address),
    size,
    use8BitMime: needsEightBit,
    // One NOTIFY stands for all of them: where they differ the next server's default does.
    dsn: { id: envid, return: "headers", ...(isOne && { notify: (first?.notify ?? "FAILURE,DELAY").split(",") }) },
  };
  const message = Readable.from(mail.read(), { objectMode: false });
  const info = await new Promise<{ readonly response: string; readonly rejectedErrors?: Failure["rejectedErrors"] }>(
    (resolve, reject) => {
      connection.send(given as never, message, (error, result) => {
        if (error) reject(error);
        else resolve(result as never);
      });
    },
  ).catch((error: Failure) => {
    message.destroy();
    return error;
  });
  if (!(info instanceof Error))
    return repliesOf(mail, info.rejectedErrors ?? [], { state: "sent", reply: cut(info.response) });
  const { responseCode, rejectedErrors } = info;
  // Without a reply of the server the error is no verdict on the mail.
  if (responseCode === undefined || !isAboutMail(info)) throw troubleOf(info);
  return repliesOf(mail, rejectedErrors ?? [], { state: stateOf(responseCode), reply: replyOf(info) });
}

/** True for a reply to the sender, the recipients or the mail; false for one to our credentials or to the connection. */
function isAboutMail({ code, responseCode }: Failure): boolean {
  if (code === "EAUTH" || code === "ETLS" || responseCode === 421 || responseCode === 530) return false;
  return code === "EENVELOPE" || code === "EMESSAGE";
}

function repliesOf(
  { envelope }: OutgoingMail,
  rejected: NonNullable<Failure["rejectedErrors"]>,
  others: TransportReply,
): readonly TransportReply[] {
  return envelope.recipients.map(({ address }) => {
    const failure = rejected.find(({ recipient }) => recipient === address);
    return failure ? { state: stateOf(failure.responseCode ?? 450), reply: replyOf(failure) } : others;
  });
}

/** The state after a reply that is no success. A code that is none of SMTP's (RFC 5321 §4.2.1) is no word on the mail: it is
 * tried again. */
function stateOf(code: number): TransportReply["state"] {
  return code >= 500 && code < 600 ? "failed" : "waiting";
}

function replyOf({ response, responseCode, message }: Failure): string {
  return cut(response ?? `${responseCode ?? ""} ${message}`.trim());
}

/** One line, without signs that no text has. */
function cut(reply: string): string {
  return reply
    .replaceAll(/[\p{Cc}\p{Bidi_C}]+/gu, " ")
    .trim()
    .slice(0, REPLY_CHARS_MAX)
    .toWellFormed();
}

/** A sign-in and a certificate are the operator's; all else may be better later. */
function troubleOf(error: Failure): TransportTrouble {
  if (error instanceof TransportTrouble) return error;
  const { code = "", responseCode } = error;
  const isOperators =
    code === "EAUTH" || code === "ENOAUTH" || responseCode === 530 || responseCode === 535 || isCertificate(error);
  return new TransportTrouble(isOperators ? "operator" : "later", messageOf(error), { cause: error });
}

function isCertificate({ code = "", message }: Failure): boolean {
  return code === "ETLS" || /certificate|self.signed|altnames|unable to verify/i.test(message);
}

function messageOf(error: Failure): string {
  return cut(error.response ?? error.message);
}
