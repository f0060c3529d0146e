/** A server that is not spoken to over HTTP. */
export interface MailServer {
  readonly host: string;
  readonly port: number;
  /** TLS from the start, or by STARTTLS. */
  readonly security: "tls" | "starttls";
}

/** Where mail is read and sent; the first of a list is the one to take. */
export interface MailServers {
  readonly imap: readonly MailServer[];
  readonly submission: readonly MailServer[];
}

/** All that is told: with the origin, whose paths JMAP and ActiveSync have. */
export interface Servers extends MailServers {
  /** `https://host` or `https://host:port`. */
  readonly origin: string;
}

export function activeSyncUrl({ origin }: Servers): string {
  return `${origin}/Microsoft-Server-ActiveSync`;
}

/** RFC 8620 §2.2. */
export function jmapUrl({ origin }: Servers): string {
  return `${origin}/.well-known/jmap`;
}

export function hostOf({ origin }: Servers): string {
  return new URL(origin).hostname;
}
