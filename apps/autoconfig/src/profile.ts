import { createHash } from "node:crypto";
import { type Answer, type DoorRequest, Problem } from "@restante/host";
import { type Address, parseAddress } from "./address.ts";
import { formatPlist, type PlistValue } from "./plist.ts";
import { hostOf, type MailServer, type Servers } from "./servers.ts";

/** A configuration profile for iPhones, iPads and Macs: `?email=ada@example.org` for IMAP and submission,
 * `&with=activesync` for an Exchange account. The device asks for the password; without an address for that too. Throws Problem. */
export function profile({ query }: DoorRequest, servers: Servers): Answer {
  const email = query.get("email");
  const address = parseAddress(email);
  if (email !== null && !address) throw new Problem(400, "email is no address");
  const kind = query.get("with") ?? "imap";
  if (kind !== "imap" && kind !== "activesync") throw new Problem(400, "with is imap or activesync");
  const account = kind === "imap" ? imapAccount(address, servers) : exchangeAccount(address, servers);
  const name = `Mail at ${address?.domain ?? hostOf(servers)}`;
  const label = (part: string): { readonly [key: string]: PlistValue } => {
    const identity = [hostOf(servers), kind, address?.text ?? "", part].join("\n");
    return {
      PayloadDisplayName: name,
      PayloadIdentifier: `${hostOf(servers).split(".").reverse().join(".")}.${kind}.${uuidOf(identity)}`,
      PayloadUUID: uuidOf(identity),
      PayloadVersion: 1,
    };
  };
  return {
    status: 200,
    headers: {
      "content-type": "application/x-apple-aspen-config",
      "content-disposition": 'attachment; filename="mail.mobileconfig"',
    },
    body: formatPlist({
      PayloadType: "Configuration",
      ...label("profile"),
      PayloadContent: [{ ...account, ...label("account") }],
    }),
  };
}

/** Throws Problem. */
function imapAccount(
  address: Address | undefined,
  { imap, submission }: Servers,
): { readonly [key: string]: PlistValue } {
  const [incoming, outgoing] = [imap[0], submission[0]];
  if (!incoming || !outgoing) throw new Problem(404, "IMAP and submission are not served here");
  return {
    PayloadType: "com.apple.mail.managed",
    EmailAccountType: "EmailTypeIMAP",
    ...(address && { EmailAddress: address.text, EmailAccountDescription: address.text }),
    ...placeOf("Incoming", incoming, address),
    ...placeOf("Outgoing", outgoing, address),
    OutgoingPasswordSameAsIncomingPassword: true,
  };
}

/** A device tries TLS from the start and STARTTLS by itself. */
function placeOf(
  which: "Incoming" | "Outgoing",
  { host, port }: MailServer,
  address: Address | undefined,
): { readonly [key: string]: PlistValue } {
  return {
    [`${which}MailServerAuthentication`]: "EmailAuthPassword",
    [`${which}MailServerHostName`]: host,
    [`${which}MailServerPortNumber`]: port,
    [`${which}MailServerUseSSL`]: true,
    ...(address && { [`${which}MailServerUsername`]: address.text }),
  };
}

function exchangeAccount(address: Address | undefined, { origin }: Servers): { readonly [key: string]: PlistValue } {
  const { host, protocol } = new URL(origin);
  return {
    PayloadType: "com.apple.eas.account",
    Host: host,
    SSL: protocol === "https:",
    ...(address && { EmailAddress: address.text, UserName: address.text }),
  };
}

/** The same for the same account, so that a newer profile takes the older one's place: RFC 9562 §5.8. */
function uuidOf(text: string): string {
  const bytes = createHash("sha256").update(text).digest().subarray(0, 16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x80;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
