import { afterAll, beforeAll, expect, test } from "vitest";
import { makeDataFolder, type RunningServer, removeDataFolder, startServer } from "../kit/server.ts";

let server: RunningServer;
let base: string;
beforeAll(async () => {
  server = await startServer(await makeDataFolder(), {
    env: { RESTANTE_HTTPS_TLS: "off", RESTANTE_SERVER_ORIGIN: "https://mail.example.org" },
  });
  base = `http://127.0.0.1:${server.ports.https}`;
});
afterAll(async () => {
  expect(await server.stop()).toBe(0);
  await removeDataFolder(server.data);
});

const REQUEST = (address: string) =>
  `<?xml version="1.0"?><Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/mobilesync/requestschema/2006"><Request><EMailAddress>${address}</EMailAddress><AcceptableResponseSchema>http://schemas.microsoft.com/exchange/autodiscover/mobilesync/responseschema/2006</AcceptableResponseSchema></Request></Autodiscover>`;

async function discover(path: string, address: string): Promise<string> {
  const reply = await fetch(`${base}${path}`, { method: "POST", body: REQUEST(address) });
  expect([reply.status, reply.headers.get("content-type")]).toEqual([200, "text/xml; charset=utf-8"]);
  return reply.text();
}

test("Autodiscover answers in any case, and the same for who is here and who is not", async () => {
  const here = await discover("/autodiscover/autodiscover.xml", "demo@example.org");
  expect(here).toContain("<Url>https://mail.example.org/Microsoft-Server-ActiveSync</Url>");
  expect(await discover("/Autodiscover/AutoDiscover.XML", "demo@example.org")).toBe(here);
  expect((await discover("/AUTODISCOVER/autodiscover.xml/", "eve@example.org")).replaceAll("eve", "demo")).toBe(here);
});

test("without a body, by GET too, Autodiscover says that nothing was asked", async () => {
  for (const method of ["GET", "POST"])
    expect(await (await fetch(`${base}/Autodiscover/Autodiscover.xml`, { method })).text()).toContain(
      "<ErrorCode>600</ErrorCode>",
    );
  const large = await fetch(`${base}/autodiscover/autodiscover.xml`, { method: "POST", body: " ".repeat(20_000) });
  expect(large.status).toBe(413);
});

test("Autodiscover in JSON", async () => {
  for (const path of ["/autodiscover/autodiscover.json", "/AutoDiscover/autodiscover.json/v1.0/demo@Example.org"]) {
    const reply = await fetch(`${base}${path}?Email=demo@example.org&Protocol=ActiveSync`);
    expect(await reply.json()).toEqual({
      Protocol: "ActiveSync",
      Url: "https://mail.example.org/Microsoft-Server-ActiveSync",
    });
  }
  expect((await fetch(`${base}/autodiscover/autodiscover.json?Protocol=x`)).status).toBe(400);
});

test("Thunderbird and Apple are told where IMAP and submission listen, by the server's name", async () => {
  for (const path of ["/.well-known/autoconfig/mail/config-v1.1.xml", "/mail/config-v1.1.xml"]) {
    const text = await (await fetch(`${base}${path}?emailaddress=demo@example.org`)).text();
    expect(text).toContain("<hostname>mail.example.org</hostname>");
    expect(text).toContain("<url>https://mail.example.org/.well-known/jmap</url>");
  }
  const profile = await fetch(`${base}/mail/restante.mobileconfig?email=demo@example.org`);
  expect(profile.headers.get("content-type")).toBe("application/x-apple-aspen-config");
  expect(await profile.text()).toContain("<key>IncomingMailServerHostName</key><string>mail.example.org</string>");
  expect((await fetch(`${base}/mail/restante.mobileconfig?email=nobody`)).status).toBe(400);
});
