import { type Answer, type DoorRequest, json } from "@restante/host";
import { XMLParser, XMLValidator } from "fast-xml-parser";
import { type Address, parseAddress } from "./address.ts";
import { DEPTH_MAX, ENTITIES_MAX } from "./limits.ts";
import { activeSyncUrl, type Servers } from "./servers.ts";
import { type Element, element, formatXml } from "./xml.ts";

// Autodiscover for phones: MS-ASCMD §2.2.1.1, and its younger form in JSON. Nobody signs in for it: what it tells is in the DNS
// too, and the same whoever is asked for.

const SCHEMA = "http://schemas.microsoft.com/exchange/autodiscover";
const ANSWER = `${SCHEMA}/responseschema/2006`;
const PHONE_ANSWER = `${SCHEMA}/mobilesync/responseschema/2006`;

const PARSER = new XMLParser({
  removeNSPrefix: true,
  parseTagValue: false,
  maxNestedTags: DEPTH_MAX,
  // Without it characters by their numbers are not read.
  htmlEntities: true,
  // Entities of XML itself: a document type, which could define more, is refused before.
  processEntities: { maxTotalExpansions: ENTITIES_MAX },
});

/** MS-ASCMD §2.2.3.53: an error's code. */
type ErrorCode = "600" | "601";
const MESSAGES: Readonly<Record<ErrorCode, string>> = {
  "600": "Invalid Request",
  "601": "Requested schema version not supported",
};

/** The first form: XML for XML. Text that is no request is answered with 600; a request for other settings than phones', with
 * 601. */
export async function autodiscover(request: DoorRequest, servers: Servers): Promise<Answer> {
  const wanted = parseRequest(await request.bytes());
  return xml(typeof wanted === "string" ? failure(wanted, new Date()) : settings(wanted, servers));
}

/** The second form: JSON, by what the query says. It has the same answer for every address. */
export function autodiscoverJson({ query }: DoorRequest, servers: Servers): Answer {
  const protocol = [...query].find(([name]) => name.toLowerCase() === "protocol")?.[1];
  switch (protocol?.toLowerCase()) {
    case "activesync":
      return json({ Protocol: "ActiveSync", Url: activeSyncUrl(servers) });
    case "autodiscoverv1":
      return json({ Protocol: "AutodiscoverV1", Url: `${servers.origin}/autodiscover/autodiscover.xml` });
    case undefined:
    case "":
      return json({ ErrorCode: "MandatoryParameterMissing", ErrorMessage: "The parameter Protocol is missing." }, 400);
    default:
      return json({ ErrorCode: "InvalidProtocol", ErrorMessage: "Protocol is ActiveSync or AutodiscoverV1." }, 400);
  }
}

function parseRequest(bytes: Uint8Array): Address | ErrorCode {
  const { EMailAddress, AcceptableResponseSchema } = fieldsOf(bytes);
  const address = typeof EMailAddress === "string" ? parseAddress(EMailAddress) : undefined;
  if (!address || typeof AcceptableResponseSchema !== "string") return "600";
  return AcceptableResponseSchema === PHONE_ANSWER ? address : "601";
}

/** Fields of Autodiscover's Request; none for a document that can't be read. */
function fieldsOf(bytes: Uint8Array): Readonly<Record<string, unknown>> {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    if (text.includes("<!D") || XMLValidator.validate(text) !== true) return {};
    const { Autodiscover } = PARSER.parse(text) as Readonly<Record<string, { readonly Request?: object } | undefined>>;
    return Object(Autodiscover?.Request);
  } catch {
    return {};
  }
}

function settings({ text }: Address, servers: Servers): Element {
  const url = activeSyncUrl(servers);
  return element(
    "Response",
    [
      element("Culture", "en:us"),
      element("User", [element("DisplayName", text), element("EMailAddress", text)]),
      element("Action", [
        element("Settings", [
          element("Server", [element("Type", "MobileSync"), element("Url", url), element("Name", url)]),
        ]),
      ]),
    ],
    { xmlns: PHONE_ANSWER },
  );
}

function failure(code: ErrorCode, now: Date): Element {
  return element("Response", [
    element("Error", [element("ErrorCode", code), element("Message", MESSAGES[code]), element("DebugData")], {
      Time: now.toISOString().slice(11, 23),
      Id: "1",
    }),
  ]);
}

function xml(response: Element): Answer {
  return {
    status: 200,
    headers: { "content-type": "text/xml; charset=utf-8" },
    body: formatXml(element("Autodiscover", [response], { xmlns: ANSWER })),
  };
}
