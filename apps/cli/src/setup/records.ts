import { type Plan, PORTS } from "./plan.ts";

/** DNS records for a plan, in the form of zone files: RFC 1035 §5.1. */
export function dnsRecords({ domain, host, sender }: Plan): readonly string[] {
  const srv = (service: string, target: string, port: number): string =>
    `_${service}._tcp.${domain}. SRV 0 1 ${port} ${target}.`;
  // A target that is the root: not offered here (RFC 6186 §3.4).
  const none = (service: string): string => `_${service}._tcp.${domain}. SRV 0 0 0 .`;
  return [
    "; Mail comes to this machine, and is sent by the sending host alone (RFC 7208)",
    `${domain}. MX 10 ${host}.`,
    `${domain}. TXT "v=spf1 a:${sender} -all"`,
    "; By these, mail programs and phones find it (RFC 6186, RFC 8314, RFC 8620)",
    srv("imaps", host, PORTS.imaps),
    none("imap"),
    none("pop3"),
    none("pop3s"),
    srv("submissions", host, PORTS.submissions),
    srv("jmap", host, PORTS.https),
    srv("autodiscover", host, PORTS.https),
    `autoconfig.${domain}. CNAME ${host}.`,
    `autodiscover.${domain}. CNAME ${host}.`,
    "; The host's own address, if it has none yet",
    `; ${host}. A    192.0.2.1`,
    `; ${host}. AAAA 2001:db8::1`,
  ];
}

/** What stands in Postfix' main.cf. */
export function postfixLines({ domain }: Plan): readonly string[] {
  return [
    "# /etc/postfix/main.cf; the domain must not stand in mydestination",
    `virtual_mailbox_domains = ${domain}`,
    "virtual_transport = lmtp:inet:127.0.0.1:1024",
    "smtpd_recipient_restrictions = permit_mynetworks, reject_unauth_destination, reject_unverified_recipient",
    "unverified_recipient_reject_code = 550",
    "message_size_limit = 157286400",
  ];
}
