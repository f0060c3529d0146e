import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { Readable } from "node:stream";
import { domainToASCII } from "node:url";
import {
  type Envelope,
  type OutgoingMail,
  type Transport,
  type TransportReply,
  TransportTrouble,
} from "@restante/engine";
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
      const can = (extension: string): boolean => offers(connection, extension);
      if (mail.needsEightBit && !can("8BITMIME")) {
        this.#keep(connection, mails);
        return mail.envelope.recipients.map(() => NO_EIGHT_BIT);
      }
      const { parts, refused } = partsOf(mail.envelope, can("SMTPUTF8"));
      const replies = new Map<Recipient, TransportReply>(refused.map((one) => [one, NO_UTF8]));
      for (const [at, part] of parts.entries()) {
        const begin = (): Promise<readonly TransportReply[]> =>
          within(signal, connection, () => exchange(connection, mail, part));
        const said = at === 0 ? await begin() : await goOn(connection, signal, part, begin);
        for (const [place, { recipient }] of part.to.entries()) replies.set(recipient, said[place]!);
      }
      this.#keep(connection, mails + parts.length);
      return mail.envelope.recipients.map((one) => replies.get(one)!);
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

/** RFC 6531 §3.7.4.2, §3.7.4.3. */
const NO_UTF8: TransportReply = {
  state: "failed",
  reply: "553 5.6.7 The next server takes no address that has letters beyond ASCII",
};
const CUT_OFF: TransportReply = { state: "waiting", reply: "the connection was closed" };

type Recipient = Envelope["recipients"][number];

/** RFC 3461 §4.1. */
const NOTIFY_WORDS = ["NEVER", "SUCCESS", "FAILURE", "DELAY"];

/** Recipients who are told of in one exchange: nodemailer says one NOTIFY behind every RCPT. */
interface Part {
  readonly from: string;
  readonly notify: string;
  readonly to: readonly { readonly recipient: Recipient; readonly address: string }[];
}

/** The exchanges of a mail, one for each NOTIFY (RFC 3461 §5.2.1), and recipients to whom the next server takes none. */
function partsOf(
  { mailFrom, recipients }: Envelope,
  takesUtf8: boolean,
): { readonly parts: readonly Part[]; readonly refused: readonly Recipient[] } {
  const from = takesUtf8 ? mailFrom : inAscii(mailFrom);
  const byNotify = new Map<string, Part["to"][number][]>();
  const refused: Recipient[] = [];
  for (const recipient of recipients) {
    const address = takesUtf8 ? recipient.address : inAscii(recipient.address);
    if (from === undefined || address === undefined) {
      refused.push(recipient);
      continue;
    }
    const words = (recipient.notify ?? "FAILURE,DELAY").toUpperCase().split(",");
    // In one order, so that there are few of them.
    const notify = NOTIFY_WORDS.filter((word) => words.includes(word)).join(",");
    const part = byNotify.get(notify);
    if (part) part.push({ recipient, address });
    else byNotify.set(notify, [{ recipient, address }]);
  }
  return { parts: [...byNotify].map(([notify, to]) => ({ from: from!, notify, to })), refused };
}

/** An address for a server without SMTPUTF8, its domain in A-labels; undefined where its name is not in ASCII. RFC 6531 §3.2. */
function inAscii(address: string): string | undefined {
  const at = address.lastIndexOf("@") + 1;
  const [name, domain] = [address.slice(0, at), address.slice(at)];
  if (/[^\x00-\x7f]/.test(name)) return undefined;
  if (!/[^\x00-\x7f]/.test(domain)) return address;
  const ascii = domainToASCII(domain);
  return ascii === "" ? undefined : name + ascii;
}

function offers(connection: SMTPConnection, extension: string): boolean {
  return new RegExp(`^250[ -]${extension}\\b`, "im").test(abilities.get(connection) ?? "");
}

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

/** Another exchange of a mail: the ones before keep their replies, and where this one fails it is tried again. */
async function goOn(
  connection: SMTPConnection,
  signal: AbortSignal,
  { to }: Part,
  begin: () => Promise<readonly TransportReply[]>,
): Promise<readonly TransportReply[]> {
  if (!(await reset(connection, signal))) return to.map(() => CUT_OFF);
  try {
    return await begin();
  } catch (error) {
    connection.close();
    return to.map(() => ({ ...CUT_OFF, reply: messageOf(error as Failure) }));
  }
}

async function exchange(
  connection: SMTPConnection,
  mail: OutgoingMail,
  { from, notify, to }: Part,
): Promise<readonly TransportReply[]> {
  const { envid, size, needsEightBit } = mail;
  const given = {
    from,
    to: to.map(({ address }) => address),
    size,
    use8BitMime: needsEightBit,
    dsn: { id: envid, return: "headers", notify: notify.split(",") },
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
    return repliesOf(to, info.rejectedErrors ?? [], { state: "sent", reply: cut(info.response) });
  const { responseCode, rejectedErrors } = info;
  // Without a reply of the server the error is no verdict on the mail.
  if (responseCode === undefined || !isAboutMail(info)) throw troubleOf(info);
  return repliesOf(to, rejectedErrors ?? [], { state: stateOf(responseCode), reply: replyOf(info) });
}

/** True for a reply to the sender, the recipients or the mail; false for one to our credentials or to the connection. */
function isAboutMail({ code, responseCode }: Failure): boolean {
  if (code === "EAUTH" || code === "ETLS" || responseCode === 421 || responseCode === 530) return false;
  return code === "EENVELOPE" || code === "EMESSAGE";
}

function repliesOf(
  to: Part["to"],
  rejected: NonNullable<Failure["rejectedErrors"]>,
  others: TransportReply,
): readonly TransportReply[] {
  return to.map(({ address }) => {
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
