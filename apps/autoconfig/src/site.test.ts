import type { Answer, DoorRequest } from "@restante/host";
import fc from "fast-check";
import { XMLParser } from "fast-xml-parser";
import { expect, test } from "vitest";
import { parseAddress } from "./address.ts";
import { DEPTH_MAX, ENTITIES_MAX, REQUEST_BYTES_MAX } from "./limits.ts";
import { autoconfigSite } from "./site.ts";

const ORIGIN = "https://mail.example.org:8443";
const site = autoconfigSite({
  imap: [
    { host: "mail.example.org", port: 993, security: "tls" },
    { host: "mail.example.org", port: 143, security: "starttls" },
  ],
  submission: [{ host: "mail.example.org", port: 465, security: "tls" }],
});

/** The site's answer to a request, without the door. */
function ask(path: string, query = "", body: string | Uint8Array = "", from = site): Promise<Answer> {
  const method = body === "" ? "GET" : "POST";
  const route = from.routes.find((one) => one.path === path && one.method === method)!;
  const request: Partial<DoorRequest> = {
    method,
    origin: ORIGIN,
    query: new URLSearchParams(query),
    bytes: async () => Buffer.from(body as string),
  };
  return route.handle(request as DoorRequest);
}

const XML = "/autodiscover/autodiscover.xml";
const JSON_PATH = "/autodiscover/autodiscover.json";
const CONFIG = "/mail/config-v1.1.xml";
const PROFILE = "/mail/restante.mobileconfig";
const PARSER = new XMLParser({ ignoreAttributes: false, attributeNamePrefix: "@", parseTagValue: false });

function textOf({ body }: Answer): string {
  return Buffer.from(body as Uint8Array).toString();
}

// biome-ignore lint/suspicious/noExplicitAny: a document that was parsed.
function documentOf(answer: Answer): any {
  return PARSER.parse(textOf(answer));
}

const PHONE = "http://schemas.microsoft.com/exchange/autodiscover/mobilesync/responseschema/2006";
function request(address: string, schema = PHONE): string {
  return `<?xml version="1.0" encoding="utf-8"?><Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/mobilesync/requestschema/2006"><Request><EMailAddress>${address}</EMailAddress><AcceptableResponseSchema>${schema}</AcceptableResponseSchema></Request></Autodiscover>`;
}

async function codeOf(body: string | Uint8Array): Promise<unknown> {
  const answer = await ask(XML, "", body);
  expect([answer.status, answer.headers]).toEqual([200, { "content-type": "text/xml; charset=utf-8" }]);
  return documentOf(answer).Autodiscover.Response.Error?.ErrorCode;
}

test("Autodiscover in XML leads a phone to ActiveSync", async () => {
  const answer = await ask(XML, "", request(" ada&amp;&#99;o&#x40;example.org "));
  const url = `${ORIGIN}/Microsoft-Server-ActiveSync`;
  expect(documentOf(answer).Autodiscover).toEqual({
    "@xmlns": "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006",
    Response: {
      "@xmlns": PHONE,
      Culture: "en:us",
      User: { DisplayName: "ada&co@example.org", EMailAddress: "ada&co@example.org" },
      Action: { Settings: { Server: { Type: "MobileSync", Url: url, Name: url } } },
    },
  });
});

/** A request with more in it. */
function withMore(more: string): string {
  return request("ada@example.org").replace("</Request>", `${more}</Request>`);
}
const nested = (depth: number): string => "<x>".repeat(depth) + "</x>".repeat(depth);

test("a request with prefixes, a byte order mark, comments and CDATA is read too", async () => {
  const prefixed = request("<![CDATA[ada@example.org]]><!-- x -->").replaceAll(/<(\/?)(?=[A-Z])/g, "<$1m:");
  expect(await codeOf(`\ufeff${prefixed.replace("xmlns=", "xmlns:m=")}`)).toBeUndefined();
  expect(
    await codeOf(withMore(`${nested(DEPTH_MAX - 3)}<Other>${"&amp;".repeat(ENTITIES_MAX)}ÿ</Other>`)),
  ).toBeUndefined();
});

test("what is no request is answered with 600", async () => {
  for (const body of [
    "",
    " ",
    "{}",
    "<",
    "<Autodiscover/>",
    "<Autodiscover><Request/></Autodiscover>",
    request("ada@example.org").slice(0, -5),
    request("ada@example.org").replace("</Request>", ""),
    request(""),
    request("ada"),
    request("ada@example.org@x"),
    request("<b>ada@example.org</b>"),
    request("ada@example.org</EMailAddress><EMailAddress>eve@example.org"),
    request("ada@example.org&lt;"),
    request("&unknown;@example.org"),
    withMore(nested(DEPTH_MAX)),
    withMore(`<Other>${"&amp;".repeat(ENTITIES_MAX + 1)}</Other>`),
    request("ada@example.org").replace("?>", '?><!DOCTYPE Autodiscover [<!ENTITY a "b">]>'),
    request("ada@example.org").replace(/<AcceptableResponseSchema>.*?<\/AcceptableResponseSchema>/, ""),
    Buffer.from(withMore("<Other>\xff</Other>"), "latin1"),
    "<a>".repeat(REQUEST_BYTES_MAX / 3),
    request("__proto__").replaceAll("Request", "__proto__"),
  ])
    expect(await codeOf(body), String(body).slice(0, 400)).toBe("600");
});

test("who asks for other than a phone's settings is answered with 601", async () => {
  const outlook = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a";
  expect(await codeOf(request("ada@example.org", outlook))).toBe("601");
  expect(await codeOf(request("ada@example.org", "x"))).toBe("601");
});

test("no body makes Autodiscover throw, or take long", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        fc.uint8Array({ maxLength: 400 }),
        fc.string({ unit: fc.constantFrom("<", ">", "/", "&", ";", "x", '"', "!", "[", "]", "-", "?", "=", " ", "#") }),
        fc.string().map((text) => request(text)),
      ),
      async (body) => {
        await ask(XML, "", body.length === 0 ? " " : body);
      },
    ),
    { numRuns: 2000 },
  );
  for (const piece of ["<", "<a>", "<a ", "<!--", "<![CDATA[", "&a", '<a b="', "<?x", "]]>"]) {
    const startedAt = performance.now();
    await codeOf(piece.repeat(REQUEST_BYTES_MAX / piece.length));
    expect(performance.now() - startedAt, piece).toBeLessThan(500);
  }
});

test("Autodiscover in JSON is the same for every address, at each of its paths", async () => {
  const found = `{"Protocol":"ActiveSync","Url":"${ORIGIN}/Microsoft-Server-ActiveSync"}`;
  for (const address of ["ada@example.org", "nobody@example.org", "x", ""]) {
    expect(textOf(await ask(JSON_PATH, `Email=${address}&Protocol=ActiveSync`))).toBe(found);
    expect(textOf(await ask(`${JSON_PATH}/:version/:address`, "protocol=activesync"))).toBe(found);
    expect(textOf(await ask(`/v1.1${JSON_PATH}`, "Protocol=ActiveSync"))).toBe(found);
  }
  expect(textOf(await ask(JSON_PATH, "Protocol=AutodiscoverV1"))).toBe(
    `{"Protocol":"AutodiscoverV1","Url":"${ORIGIN}/autodiscover/autodiscover.xml"}`,
  );
  for (const [query, code] of [
    ["Protocol=%3Cscript%3E", "InvalidProtocol"],
    ["Protocol=", "MandatoryParameterMissing"],
    ["Email=a@b", "MandatoryParameterMissing"],
  ] as const) {
    const { status, body } = await ask(JSON_PATH, query);
    expect([status, JSON.parse(Buffer.from(body as Uint8Array).toString())]).toMatchObject([400, { ErrorCode: code }]);
  }
});

test("Thunderbird's configuration has every way to read and to send, as it is listened on", async () => {
  const web = (type: string, path: string) => ({
    "@type": type,
    url: `${ORIGIN}${path}`,
    authentication: { "@system": "http", "#text": "basic" },
    username: "%EMAILADDRESS%",
  });
  const place = (type: string, port: string, socketType: string) => ({
    "@type": type,
    hostname: "mail.example.org",
    port,
    socketType,
    authentication: "password-cleartext",
    username: "%EMAILADDRESS%",
  });
  const { clientConfig } = documentOf(await ask(CONFIG, "emailaddress=ada%40Example.org"));
  expect(clientConfig).toEqual({
    "@version": "1.1",
    emailProvider: {
      "@id": "mail.example.org",
      domain: "example.org",
      displayName: "example.org",
      displayShortName: "example.org",
      incomingServer: [
        place("imap", "993", "SSL"),
        place("imap", "143", "STARTTLS"),
        web("jmap", "/.well-known/jmap"),
        web("activeSync", "/Microsoft-Server-ActiveSync"),
      ],
      outgoingServer: place("smtp", "465", "SSL"),
    },
  });
  // A request without an address, or with text that is none, is answered for the server's own name.
  for (const query of ["", "emailaddress=%3C/domain%3E%26@%22x"])
    expect(documentOf(await ask(CONFIG, query)).clientConfig.emailProvider.domain).toBe("mail.example.org");
  const wellKnown = await ask("/.well-known/autoconfig/mail/config-v1.1.xml", "emailaddress=ada%40Example.org");
  expect(documentOf(wellKnown).clientConfig).toEqual(clientConfig);
});

test("a profile sets an iPhone up for IMAP and submission, or for ActiveSync", async () => {
  const imap = await ask(PROFILE, "email=o'neil%26co@example.org");
  expect(imap.headers!["content-type"]).toBe("application/x-apple-aspen-config");
  const text = textOf(imap);
  for (const [key, value] of [
    ["PayloadType", "<string>com.apple.mail.managed</string>"],
    ["EmailAccountType", "<string>EmailTypeIMAP</string>"],
    ["EmailAddress", "<string>o&apos;neil&amp;co@example.org</string>"],
    ["IncomingMailServerHostName", "<string>mail.example.org</string>"],
    ["IncomingMailServerPortNumber", "<integer>993</integer>"],
    ["IncomingMailServerUseSSL", "<true/>"],
    ["OutgoingMailServerPortNumber", "<integer>465</integer>"],
    ["OutgoingMailServerUsername", "<string>o&apos;neil&amp;co@example.org</string>"],
    ["OutgoingPasswordSameAsIncomingPassword", "<true/>"],
    ["PayloadIdentifier", "<string>org.example.mail.imap."],
  ])
    expect(text).toContain(`<key>${key}</key>${value}`);
  const exchange = textOf(await ask(PROFILE, "email=ada@example.org&with=activesync"));
  for (const [key, value] of [
    ["PayloadType", "<string>com.apple.eas.account</string>"],
    ["Host", "<string>mail.example.org:8443</string>"],
    ["SSL", "<true/>"],
    ["UserName", "<string>ada@example.org</string>"],
  ])
    expect(exchange).toContain(`<key>${key}</key>${value}`);
  expect(textOf(await ask(PROFILE))).not.toContain("EmailAddress");
});

test("a profile's names are the same for the same account, and no other's", async () => {
  const uuids = async (query: string) => [...textOf(await ask(PROFILE, query)).matchAll(/[0-9a-f-]{36}/g)].map(String);
  const all = await Promise.all(["", "email=a@b.c", "email=b@b.c", "email=a@b.c&with=activesync"].map(uuids));
  expect(await uuids("email=a@b.c")).toEqual(all[1]);
  for (const uuid of all.flat())
    expect(uuid).toMatch(/^[\da-f]{8}-[\da-f]{4}-8[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/);
  // Each stands there twice, in its identifier too.
  expect(new Set(all.flat()).size).toBe(8);
});

test("a profile that can't be made is refused", async () => {
  await expect(ask(PROFILE, "email=x")).rejects.toMatchObject({ status: 400 });
  await expect(ask(PROFILE, "email=")).rejects.toMatchObject({ status: 400 });
  await expect(ask(PROFILE, "with=pop3")).rejects.toMatchObject({ status: 400 });
  const none = autoconfigSite({ imap: [], submission: [] });
  await expect(ask(PROFILE, "", "", none)).rejects.toMatchObject({ status: 404 });
  const { emailProvider } = documentOf(await ask(CONFIG, "", "", none)).clientConfig;
  expect([emailProvider.incomingServer.length, emailProvider.outgoingServer]).toEqual([2, undefined]);
});

test("an address is one", () => {
  for (const [text, domain] of [
    ["ada@example.org", "example.org"],
    [" Ada+x.y@EXAMPLE.org ", "example.org"],
    ["grå@bücher.example", "bücher.example"],
    ["a/b='c'@localhost", "localhost"],
  ])
    expect(parseAddress(text)?.domain).toBe(domain);
  for (const text of [
    null,
    undefined,
    "",
    "@b",
    "a@",
    "a b@c",
    "a@b c",
    "a@b.",
    "a@.b",
    "a@-b",
    "<a@b>",
    '"a"@b',
    "a\u0000@b",
    "a@b\u202e",
    "a@[::1]",
    "a@b/../c",
    `${"a".repeat(65)}@b`,
    `a@${"b.".repeat(130)}c`,
  ])
    expect(parseAddress(text), String(text)).toBeUndefined();
  const startedAt = performance.now();
  parseAddress(`a@${"a-".repeat(120)}!`);
  expect(performance.now() - startedAt).toBeLessThan(50);
});
