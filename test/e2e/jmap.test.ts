import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { JmapClient, type Json, USING } from "../kit/jmap-client.ts";
import { connectImap, connectLmtp, deliver } from "../kit/line-client.ts";
import { DEMO, makeDataFolder, type RunningServer, removeDataFolder, startServer } from "../kit/server.ts";

let server: RunningServer;
let client: JmapClient;
beforeAll(async () => {
  server = await startServer(await makeDataFolder(), { env: { RESTANTE_HTTPS_TLS: "off" } });
  client = await JmapClient.connect(server.ports.https!);
});
afterAll(async () => {
  expect(await server.stop()).toBe(0);
  await removeDataFolder(server.data);
});

async function send(subject = "pushed"): Promise<void> {
  const lmtp = await connectLmtp(server.ports.lmtp!);
  expect(await deliver(lmtp, [DEMO.user], `Subject: ${subject}\r\n\r\nhello\r\n`)).toEqual([
    expect.stringMatching(/^250/),
  ]);
  lmtp.end();
}

describe("the session object", () => {
  test("is served without a redirect at both places, with URLs that lead here", async () => {
    const { session, base, headers } = client;
    const again = await fetch(`${base}/jmap`, { headers });
    expect(await again.json()).toEqual(session);
    expect(session.apiUrl).toBe(`http://localhost:${server.ports.https}/jmap`);
    for (const name of ["downloadUrl", "uploadUrl", "eventSourceUrl"])
      expect(session[name]).toMatch(/^http:\/\/localhost:/);
    const { "urn:ietf:params:jmap:core": core, ...more } = session.capabilities;
    expect(Object.keys(core).sort()).toEqual([
      "collationAlgorithms",
      "maxCallsInRequest",
      "maxConcurrentRequests",
      "maxConcurrentUpload",
      "maxObjectsInGet",
      "maxObjectsInSet",
      "maxSizeRequest",
      "maxSizeUpload",
    ]);
    expect(Object.keys(more)).toContain("urn:ietf:params:jmap:mail");
    const mail = session.accounts[client.accountId].accountCapabilities["urn:ietf:params:jmap:mail"];
    for (const name of ["maxMailboxDepth", "maxSizeMailboxName", "emailQuerySortOptions"])
      expect(mail).toHaveProperty(name);
  });

  test("without credentials there is a 401 with both challenges, and a page of any origin may read it", async () => {
    const reply = await fetch(`${client.base}/.well-known/jmap`, { headers: { origin: "https://web.example" } });
    expect([reply.status, reply.headers.get("access-control-allow-origin")]).toEqual([401, "*"]);
    expect(reply.headers.get("www-authenticate")).toMatch(/Bearer.*Basic/);
  });
});

describe("a request that is none", () => {
  test.each([
    ["{", "application/json", 400, "notJSON"],
    ["{}", "text/plain", 400, "notJSON"],
    ["{}", "application/json", 400, "notRequest"],
    ['{"using":["urn:x"],"methodCalls":[]}', "application/json; charset=utf-8", 400, "unknownCapability"],
    [
      JSON.stringify({ using: [], methodCalls: Array(65).fill(["Core/echo", {}, "0"]) }),
      "application/json",
      400,
      "limit",
    ],
  ])("%.20s as %s", async (body, type, status, error) => {
    const { base, headers } = client;
    const reply = await fetch(`${base}/jmap`, { method: "POST", headers: { ...headers, "content-type": type }, body });
    expect(reply.status).toBe(status);
    expect(await reply.json()).toMatchObject({ type: `urn:ietf:params:jmap:error:${error}`, status });
  });
});

describe("blobs", () => {
  test("what is uploaded is there, in parts too, and nobody else's", async () => {
    const content = Buffer.alloc(3_000_000, "0123456789");
    // Answered with 200: go-jmap, by which aerc sends, takes nothing else.
    const { blobId, size, type } = await client.upload(content, "image/png");
    expect([size, type]).toEqual([content.length, "image/png"]);
    const reply = await client.download(blobId, { type: "image/png", name: "a b.png" });
    expect(Buffer.from(await reply.arrayBuffer()).equals(content)).toBe(true);
    expect(reply.headers.get("content-security-policy")).toBe("sandbox");
    const url = `${client.base}/jmap/download/${client.accountId}/${blobId}/a`;
    const part = await fetch(url, { headers: { ...client.headers, range: "bytes=2999995-" } });
    expect([part.status, await part.text()]).toEqual([206, "56789"]);
    for (const wrong of [
      url.replace(client.accountId, "a0"),
      url.replace(blobId, "b0"),
      url.replace(blobId, `${blobId}-2`),
    ])
      expect((await fetch(wrong, { headers: client.headers })).status).toBe(404);
  });

  test("RFC 9404: made of pieces, read in pieces", async () => {
    const { created } = await client.call("Blob/upload", {
      create: { a: { data: [{ "data:asText": "Größe " }, { "data:asBase64": "eA==" }], type: "text/plain" } },
    });
    const { list } = await client.call("Blob/get", {
      ids: [created.a.id],
      properties: ["data:asText", "size", "digest:sha-256"],
    });
    expect(list[0]).toMatchObject({ "data:asText": "Größe x", size: 9 });
    const cut = await client.call("Blob/get", { ids: [created.a.id], offset: 3, length: 1 });
    expect(cut.list[0]).toMatchObject({ isEncodingProblem: true, "data:asBase64": "tg==" });
  });
});

describe("an event stream", () => {
  test("tells of a delivery, of what IMAP changes, and of nothing else", async () => {
    const events = await client.events();
    await send();
    const { data, id } = await events.until(({ event }) => event === "state");
    expect(data["@type"]).toBe("StateChange");
    expect(Object.keys(data.changed[client.accountId])).toEqual(
      expect.arrayContaining(["Email", "EmailDelivery", "Mailbox"]),
    );
    const { state } = await client.call("Email/get", { ids: [] });
    expect(data.changed[client.accountId].Email).toBe(state);
    const before = events.seen.length;
    const imap = await connectImap(server.ports.imap!, DEMO.user, DEMO.password);
    await imap.command("SELECT INBOX");
    await imap.command("STORE 1 +FLAGS (\\Flagged)");
    await events.until((event) => events.seen.indexOf(event) >= before);
    // A flag is no delivery, and changes no thread.
    expect(Object.keys(events.seen[before]!.data.changed[client.accountId])).toEqual(["Email", "Mailbox"]);
    imap.end();
    expect(id).toBeDefined();
    // A client that comes again tells the last event it knows, and hears at once the changes it missed.
    const again = await client.events("types=Email,Mailbox&closeafter=state&ping=0", { "last-event-id": id! });
    const missed = await again.until(({ event }) => event === "state");
    expect(Object.keys(missed.data.changed[client.accountId])).toEqual(["Email", "Mailbox"]);
    await expect.poll(() => again.isOver).toBe(true);
    events.end();
  });

  test("pings as it was asked to, and refuses what it can't read", async () => {
    const events = await client.events("types=*&closeafter=no&ping=1");
    expect((await events.until(({ event }) => event === "ping")).data).toEqual({ interval: 5 });
    // meli opens the stream anew at each `retry`, and never hears of anything.
    expect(events.received).toMatch(/^event: ping\ndata: /);
    events.end();
    for (const query of ["closeafter=never", "ping=x", "ping=-1"])
      expect((await fetch(`${client.base}/jmap/events?${query}`, { headers: client.headers })).status).toBe(400);
  });
});

describe("a WebSocket", () => {
  async function open(): Promise<{ readonly socket: WebSocket; readonly next: () => Promise<Json> }> {
    const socket = new WebSocket(`ws://127.0.0.1:${server.ports.https}/jmap/ws`, "jmap", { headers: client.headers });
    const texts: string[] = [];
    socket.on("message", (data) => texts.push(String(data)));
    await once(socket, "open");
    const next = async (): Promise<Json> => {
      await expect.poll(() => texts.length, { timeout: 60_000 }).toBeGreaterThan(0);
      return JSON.parse(texts.shift()!);
    };
    return { socket, next };
  }

  test("answers requests by their ids, and says what is wrong with others", async () => {
    const { socket, next } = await open();
    expect(socket.protocol).toBe("jmap");
    const methodCalls = [["Core/echo", { a: 1 }, "x"]];
    socket.send(JSON.stringify({ "@type": "Request", id: "R1", using: USING, methodCalls }));
    expect(await next()).toMatchObject({ "@type": "Response", requestId: "R1", methodResponses: methodCalls });
    const error = { "@type": "RequestError", status: 400 };
    const type = (name: string): string => `urn:ietf:params:jmap:error:${name}`;
    socket.send("{");
    expect(await next()).toMatchObject({ ...error, type: type("notJSON") });
    socket.send(JSON.stringify({ "@type": "Request", id: "R2", using: ["urn:x"], methodCalls }));
    expect(await next()).toMatchObject({ ...error, requestId: "R2", type: type("unknownCapability") });
    socket.send(JSON.stringify({ "@type": "Nope", id: "R3" }));
    expect(await next()).toMatchObject({ ...error, requestId: "R3", type: type("notRequest") });
    socket.close();
  });

  test("pushes once it is asked to, from where its client stands, until it is asked not to", async () => {
    const { socket, next } = await open();
    socket.send(JSON.stringify({ "@type": "WebSocketPushEnable", dataTypes: ["Email"] }));
    socket.send(JSON.stringify({ "@type": "Request", id: "a", using: USING, methodCalls: [] }));
    expect((await next()).requestId).toBe("a");
    await send("first");
    const change = await next();
    expect(Object.keys(change.changed[client.accountId])).toEqual(["Email"]);
    socket.send(JSON.stringify({ "@type": "WebSocketPushDisable" }));
    socket.send(JSON.stringify({ "@type": "Request", id: "b", using: USING, methodCalls: [] }));
    expect((await next()).requestId).toBe("b");
    await send("second");
    socket.send(JSON.stringify({ "@type": "WebSocketPushEnable", dataTypes: null, pushState: change.pushState }));
    const missed = await next();
    expect(Object.keys(missed.changed[client.accountId])).toContain("EmailDelivery");
    socket.close();
  });
});
