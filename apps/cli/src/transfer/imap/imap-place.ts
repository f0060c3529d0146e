import { domainToASCII } from "node:url";

/** A mailbox owner's account at another server. */
export interface ImapPlace {
  readonly user: string;
  readonly host: string;
  readonly port: number;
  /** TLS from the first octet on; else STARTTLS, without which nothing is said. */
  readonly implicitTls: boolean;
}

const PORTS = { imaps: 993, imap: 143 } as const;
const PLACE = /^(imaps?):\/\/(.+)@([^@/:[\]]+|\[[0-9A-Fa-f:.]+\])(?::(\d{1,5}))?\/?$/;

/**
 * `imaps://USER@HOST` or `imaps://USER@HOST:PORT` (RFC 5092, without mailboxes). The last `@` divides, so that an address may be
 * written as it is; `%40` is read too. Undefined if it is none: a password in it makes it none, since others see command lines.
 */
export function parseImapPlace(text: string): ImapPlace | undefined {
  const [, scheme, name, host, digits] = PLACE.exec(text) ?? [];
  if (scheme === undefined || name === undefined || host === undefined || name.includes(":")) return undefined;
  const user = decoded(name);
  const port = Number(digits ?? PORTS[scheme as keyof typeof PORTS]);
  const isAddress = host.startsWith("[");
  const ascii = isAddress ? host.slice(1, -1) : domainToASCII(host);
  if (user === undefined || /[\u0000-\u001f\u007f]/.test(user) || ascii === "" || port === 0 || port > 65_535)
    return undefined;
  return { user, host: ascii, port, implicitTls: scheme === "imaps" };
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
