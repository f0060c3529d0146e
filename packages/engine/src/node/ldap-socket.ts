import { connect, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";

export interface LdapPlace {
  /** `ldap:` or `ldaps:`. */
  readonly url: URL;
  readonly startTls: boolean;
  /** PEM of the authorities that vouch for it; undefined for those of the system. */
  readonly ca: string | undefined;
}

const PORTS: Readonly<Record<string, number>> = { "ldap:": 389, "ldaps:": 636 };
/** Octets of a StartTLS answer: a result and a few words. */
const ANSWER_BYTES_MAX = 4096;

/** The extended request of RFC 4511 §4.14.1, with message id 1. */
const START_TLS_REQUEST: Buffer = Buffer.concat([
  Buffer.from([0x30, 0x1d, 0x02, 0x01, 0x01, 0x77, 0x18, 0x80, 0x16]),
  Buffer.from("1.3.6.1.4.1.1466.20037"),
]);

/**
 * A connection to a directory, in TLS if it is to be, with the certificate checked against the name in the URL.
 *
 * StartTLS is done here and not by the LDAP library, for two reasons. It keeps what came in the clear behind the answer, so
 * somebody on the wire could put the beginning of a "bind succeeded" there, which the first octets from inside TLS complete;
 * and it hands no name to TLS, which then takes a certificate for localhost if the address was given as a number.
 */
export async function openLdapSocket({ url, startTls, ca }: LdapPlace, signal: AbortSignal): Promise<Socket> {
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const port = url.port === "" ? PORTS[url.protocol]! : Number(url.port);
  const identity = { host, ...(isIP(host) ? {} : { servername: host }), ...(ca === undefined ? {} : { ca }) };
  if (url.protocol === "ldaps:") return opened(connectTls({ ...identity, port }), "secureConnect", signal);
  const plain = await opened(connect({ host, port }), "connect", signal);
  if (!startTls) return plain;
  try {
    await agreeOnTls(plain, signal);
    return await opened(connectTls({ ...identity, socket: plain }), "secureConnect", signal);
  } catch (error) {
    plain.destroy();
    throw error;
  }
}

/** The socket once it is open; it is gone if that fails or `signal` comes first. */
function opened<Kind extends Socket>(
  socket: Kind,
  event: "connect" | "secureConnect",
  signal: AbortSignal,
): Promise<Kind> {
  return settled(socket, signal, (resolve) => socket.once(event, () => resolve(socket)));
}

/** Asks for TLS. Whatever comes behind the answer, before TLS, is no directory's. */
function agreeOnTls(socket: Socket, signal: AbortSignal): Promise<void> {
  let got = Buffer.alloc(0);
  return settled(socket, signal, (resolve, reject) => {
    const hear = (chunk: Buffer): void => {
      got = Buffer.concat([got, chunk]);
      const result = readResult(got);
      if (result === "more" && got.length <= ANSWER_BYTES_MAX) return;
      socket.off("data", hear);
      socket.pause();
      if (result === 0) resolve();
      else reject(new Error(`StartTLS was refused or answered wrongly (${result})`));
    };
    socket.on("data", hear);
    socket.write(START_TLS_REQUEST);
  });
}

function settled<Result>(
  socket: Socket,
  signal: AbortSignal,
  begin: (resolve: (result: Result) => void, reject: (error: unknown) => void) => void,
): Promise<Result> {
  const ended = new AbortController();
  return new Promise<Result>((resolve, reject) => {
    const fail = (error: unknown): void => {
      reject(error);
      socket.destroy();
    };
    const late = (): void => fail(signal.reason);
    const closed = (): void => fail(new Error("the directory hung up"));
    signal.addEventListener("abort", late, { signal: ended.signal });
    socket.on("error", fail).on("close", closed);
    ended.signal.addEventListener("abort", () => socket.off("error", fail).off("close", closed));
    if (signal.aborted) late();
    else begin(resolve, fail);
  }).finally(() => {
    // From here on somebody else listens; what a socket that was given up still says concerns nobody.
    if (socket.destroyed) socket.on("error", () => undefined);
    ended.abort();
  });
}

/** The result code of the one extended response that this is (RFC 4511 §4.12); "more" if it is not whole yet. */
function readResult(bytes: Buffer): number | "more" | "malformed" {
  const message = readElement(bytes);
  if (message === "more" || message === "malformed") return message;
  if (message.tag !== 0x30 || message.rest.length > 0) return "malformed";
  const id = readElement(message.content);
  if (typeof id === "string" || id.tag !== 0x02 || !id.content.equals(Buffer.from([1]))) return "malformed";
  const response = readElement(id.rest);
  if (typeof response === "string" || response.tag !== 0x78) return "malformed";
  const code = readElement(response.content);
  if (typeof code === "string" || code.tag !== 0x0a || code.content.length !== 1) return "malformed";
  return code.content[0]!;
}

interface Element {
  readonly tag: number;
  readonly content: Buffer;
  readonly rest: Buffer;
}

/** One BER element with a definite length (RFC 4511 §5.1), short or long. */
function readElement(bytes: Buffer): Element | "more" | "malformed" {
  if (bytes.length < 2) return "more";
  const first = bytes[1]!;
  const lengthBytes = first < 0x80 ? 0 : first & 0x7f;
  if (first === 0x80 || lengthBytes > 4) return "malformed";
  const start = 2 + lengthBytes;
  if (bytes.length < start) return "more";
  const length = lengthBytes === 0 ? first : bytes.readUIntBE(2, lengthBytes);
  if (length > ANSWER_BYTES_MAX) return "malformed";
  if (bytes.length < start + length) return "more";
  return { tag: bytes[0]!, content: bytes.subarray(start, start + length), rest: bytes.subarray(start + length) };
}
