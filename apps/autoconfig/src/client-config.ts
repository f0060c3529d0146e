import type { Answer, DoorRequest } from "@restante/host";
import { parseAddress } from "./address.ts";
import { activeSyncUrl, hostOf, jmapUrl, type MailServer, type Servers } from "./servers.ts";
import { type Element, element, formatXml } from "./xml.ts";

/** By this, programs say whose name to sign in with: the address that they know. */
const USER = element("username", "%EMAILADDRESS%");

/** Thunderbird's configuration, which other programs read too: draft-ietf-mailmaint-autoconfig. It is said to be for the domain
 * that is asked for; which domains there are, and who lives there, it does not tell. */
export function clientConfig({ query }: DoorRequest, servers: Servers): Answer {
  const domain = parseAddress(query.get("emailaddress"))?.domain ?? hostOf(servers);
  const provider = element(
    "emailProvider",
    [
      element("domain", domain),
      element("displayName", domain),
      element("displayShortName", domain),
      ...servers.imap.map((server) => element("incomingServer", placeOf(server), { type: "imap" })),
      element("incomingServer", webPlaceOf(jmapUrl(servers)), { type: "jmap" }),
      element("incomingServer", webPlaceOf(activeSyncUrl(servers)), { type: "activeSync" }),
      ...servers.submission.map((server) => element("outgoingServer", placeOf(server), { type: "smtp" })),
    ],
    { id: hostOf(servers) },
  );
  return {
    status: 200,
    headers: { "content-type": "text/xml; charset=utf-8" },
    body: formatXml(element("clientConfig", [provider], { version: "1.1" })),
  };
}

function placeOf({ host, port, security }: MailServer): readonly Element[] {
  return [
    element("hostname", host),
    element("port", String(port)),
    element("socketType", security === "tls" ? "SSL" : "STARTTLS"),
    element("authentication", "password-cleartext"),
    USER,
  ];
}

function webPlaceOf(url: string): readonly Element[] {
  return [element("url", url), element("authentication", "basic", { system: "http" }), USER];
}
