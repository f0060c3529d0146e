import { type Config, isLoopbackAddress, parseListenAddress } from "@restante/host";
import { PORTS } from "./plan.ts";

/** Names that the records are for. */
interface Names {
  readonly domain: string;
  readonly host: string;
  /** Undefined where nobody told. */
  readonly sender: string | undefined;
}

/** DNS records, in the form of zone files (RFC 1035 §5.1). */
export function dnsRecords({ domain, host, sender }: Names, config: Config): readonly string[] {
  const srv = (service: string, port: number | undefined): string =>
    // A target that is the root: not offered here (RFC 6186 §3.4).
    `_${service}._tcp.${domain}. SRV ${port === undefined ? "0 0 0 ." : `0 1 ${port} ${host}.`}`;
  const https = httpsPort(config);
  return [
    "; Mail comes to this machine, and is sent by the sending host alone (RFC 7208)",
    `${domain}. MX 10 ${host}.`,
    sender === undefined
      ? `; ${domain}. TXT "v=spf1 a:THE-HOST-THAT-SENDS -all"`
      : `${domain}. TXT "v=spf1 a:${sender} -all"`,
    "; By these, mail programs and phones find it (RFC 6186, RFC 8314, RFC 8620)",
    srv("imaps", portFromOutside(config.imaps.listen, PORTS.imaps)),
    srv("imap", portFromOutside(config.imap.listen, PORTS.imap)),
    srv("pop3", undefined),
    srv("pop3s", undefined),
    srv("submissions", portFromOutside(config.submissions.listen, PORTS.submissions)),
    srv("submission", portFromOutside(config.submission.listen, PORTS.submission)),
    srv("jmap", https),
    srv("autodiscover", https),
    `autoconfig.${domain}. CNAME ${host}.`,
    `autodiscover.${domain}. CNAME ${host}.`,
    "; The host's own address, if it has none yet",
    `; ${host}. A    192.0.2.1`,
    `; ${host}. AAAA 2001:db8::1`,
  ];
}

/** The port by which it is reached; where it listens on this machine alone, something in front has the usual one. Undefined where it
 * is off. */
function portFromOutside(listen: readonly string[], usual: number): number | undefined {
  const addresses = listen.map(parseListenAddress);
  const open = addresses.find((address) => !isLoopbackAddress(address));
  if (open?.kind === "tcp") return open.port;
  return addresses.length > 0 ? usual : undefined;
}

/** The port of `server.origin`, which may be a proxy's. */
function httpsPort({ server }: Config): number {
  return Number(server.origin === "" ? "" : new URL(server.origin).port) || PORTS.https;
}

/** Lines for Postfix' main.cf. */
export function postfixLines(domain: string, { lmtp }: Config): readonly string[] {
  const [listen = "127.0.0.1:1024"] = lmtp.listen;
  // Postfix writes its own sockets' paths without the colon that is ours.
  const transport = listen.startsWith("unix:") ? `lmtp:${listen}` : `lmtp:inet:${listen}`;
  return [
    "# /etc/postfix/main.cf; the domain must not stand in mydestination",
    `virtual_mailbox_domains = ${domain}`,
    `virtual_transport = ${transport}`,
    "smtpd_recipient_restrictions = permit_mynetworks, reject_unauth_destination, reject_unverified_recipient",
    "unverified_recipient_reject_code = 550",
    `message_size_limit = ${lmtp.size_max}`,
  ];
}
