import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { temporaryFolder } from "../test-kit.ts";
import { Tls } from "../tls.ts";
import { download, events, json, page } from "./answers.ts";
import {
  type Ask,
  http1,
  http2,
  makeTls,
  openDoor,
  type Reply,
  rawSocket,
  replyOf,
  session2,
  stream2,
  type TestDoor,
  until,
  webSocket,
} from "./door-kit.ts";
import type { DoorSocket } from "./door-socket.ts";
import type { EventStream } from "./event-stream.ts";
import { STOP_MS } from "./limits.ts";
import { Problem } from "./problem.ts";
import type { DoorRequest, Site } from "./site.ts";

const BIG = new Uint8Array(3 * 2 ** 20).map((_, index) => index % 251);

/** An app of each kind that the door is for. */
function testSite(streams: EventStream[] = []): Site {
  return {
    routes: [
      { method: "GET", path: "/", handle: async () => page("<!doctype html><title>door</title>") },
      { method: "POST", path: "/echo", bodyBytesMax: 1_000_000, handle: async (request) => json(await request.json()) },
      {
        method: "POST",
        path: "/upload/:account",
        bodyBytesMax: 10 * 2 ** 20,
        async handle(request) {
          let size = 0;
          for await (const chunk of request.body()) size += chunk.length;
          return json({ size, account: request.params.account });
        },
      },
      {
        method: "GET",
        path: "/download/:name",
        handle: async (request) =>
          download({
            type: request.query.get("type") ?? "",
            name: request.params.name!,
            size: BIG.length,
            range: request.header("range"),
            async *read(start, end) {
              for (let at = start; at < end; at += 100_000) yield BIG.subarray(at, Math.min(at + 100_000, end));
            },
          }),
      },
      { method: "GET", path: "/events", handle: async () => events((stream) => void streams.push(stream)) },
      {
        method: "GET",
        path: "/broken",
        async handle() {
          throw new TypeError("secret");
        },
      },
      {
        method: "GET",
        path: "/half",
        handle: async () => ({
          status: 200,
          body: (async function* () {
            yield new Uint8Array(10);
            throw new TypeError("in the middle");
          })(),
        }),
      },
      { method: "GET", path: "/big", handle: async () => json("x".repeat(5_000_000)) },
      { method: "GET", path: "/who", handle: async ({ address, isSecure }) => json({ address, isSecure }) },
      ...(["GET", "POST"] as const).map((method) => ({
        method,
        path: "/Any-Case/of.XML/:name",
        anyCase: true,
        handle: async ({ params, rawQuery, query }: DoorRequest) => json({ params, rawQuery, query: [...query] }),
      })),
      {
        method: "GET",
        path: "/later",
        async handle() {
          throw new Problem(429, "At most 1 at once", { jmap: "limit", limit: "x", headers: { "retry-after": "1" } });
        },
      },
    ],
    sockets: [
      {
        path: "/ws",
        protocol: "jmap",
        messageBytesMax: 1000,
        async open(request) {
          if (request.query.has("refused")) throw new Problem(401, "Sign in");
          return (socket) =>
            socket.onText(
              1000,
              (text) => socket.send(text.toUpperCase()),
              () => undefined,
            );
        },
      },
    ],
  };
}

type Way = (door: TestDoor, ask: Ask) => Promise<Reply>;
const WAYS: readonly (readonly [string, boolean, Way])[] = [
  ["HTTP/1.1 in clear", true, http1],
  ["HTTP/1.1", false, http1],
  ["HTTP/2", false, http2],
];

/** Expects the header fields that every answer has. */
function expectCommon({ headers }: Reply): void {
  expect(headers["access-control-allow-origin"]).toBe("*");
  expect(headers["access-control-allow-credentials"]).toBeUndefined();
  expect(headers["x-content-type-options"]).toBe("nosniff");
  expect(headers["cache-control"]).toMatch(/^(no-store|private, immutable, .*)$/);
}

function expectProblem(reply: Reply, status: number): Record<string, unknown> {
  expect(reply.status, reply.body).toBe(status);
  expectCommon(reply);
  expect(reply.headers["content-type"]).toBe("application/problem+json");
  const document = JSON.parse(reply.body) as Record<string, unknown>;
  expect(document.status).toBe(status);
  return document;
}

describe.each(WAYS)("%s", (_name, plain, ask) => {
  test("answers, and each answer has what browsers go by", async () => {
    const door = await openDoor(testSite(), { plain });
    for (const [path, ok] of [
      ["/", 200],
      ["/who", 200],
      ["/download/a.html", 200],
      ["/nowhere", 404],
    ] as const) {
      const reply = await ask(door, { path });
      expect(reply.status).toBe(ok);
      expectCommon(reply);
    }
    const reply = await ask(door, { method: "POST", path: "/echo", body: '{"a":"ü"}' });
    expect([reply.status, JSON.parse(Buffer.from(reply.body, "latin1").toString())]).toEqual([200, { a: "ü" }]);
    expect(reply.headers["content-encoding"]).toBeUndefined();
  });

  test("every error is a problem document", async () => {
    const door = await openDoor(testSite(), { plain });
    expectProblem(await ask(door, { path: "/nowhere" }), 404);
    const wrong = await ask(door, { method: "DELETE", path: "/echo" });
    expectProblem(wrong, 405);
    expect(wrong.headers.allow).toBe("POST");
    expectProblem(await ask(door, { path: "/%zz" }), 400);
    for (const body of ["{", "", new Uint8Array([0x22, 0xff, 0x22])]) {
      const headers = { "content-type": "application/json" };
      const { type } = expectProblem(await ask(door, { method: "POST", path: "/echo", headers, body }), 400);
      expect(type).toBe("urn:ietf:params:jmap:error:notJSON");
    }
    const headers = { "content-type": "@" };
    expect((await ask(door, { method: "POST", path: "/echo", headers, body: "1" })).status).toBe(415);
    expectProblem(await ask(door, { method: "POST", path: "/echo", headers, body: "1" }), 415);
    const large = await ask(door, { method: "POST", path: "/echo", body: new Uint8Array(1_000_001) });
    expect(expectProblem(large, 413)).toMatchObject({ type: "urn:ietf:params:jmap:error:limit" });
    expectProblem(await ask(door, { path: "/ws" }), 426);
    expectProblem(await ask(door, { path: "/echo", method: "POST", headers: { expect: "tea" }, body: "1" }), 417);
    const later = await ask(door, { path: "/later" });
    expectProblem(later, 429);
    expect(later.headers["retry-after"]).toBe("1");
  });

  test("a bug is told as one, with nothing of what it says, and logged", async () => {
    const door = await openDoor(testSite(), { plain });
    const reply = await ask(door, { path: "/broken?password=x" });
    expectProblem(reply, 500);
    expect(reply.body).not.toContain("secret");
    expect(door.logs).toMatchObject([{ level: "error", event: "request failed" }]);
    expect(JSON.stringify(door.logs)).not.toContain("password");
  });

  test("a path in any case goes to its route, with what it names and its query as they came", async () => {
    const door = await openDoor(testSite(), { plain });
    const from = async (path: string, method = "GET") => {
      const { status, body } = await ask(door, { path, method });
      return status === 200 ? (JSON.parse(body) as unknown) : status;
    };
    const same = { params: { name: "It" }, rawQuery: "", query: [] };
    for (const path of ["/Any-Case/of.XML/It", "/any-case/OF.xml/It", "/ANY-CASE/of.XML/It/"])
      expect(await from(path), path).toEqual(same);
    expect(await from("/any-case/of.xml/It", "POST")).toEqual(same);
    expect(await from("/any-case/of.xml/It", "PUT")).toBe(405);
    expect(await from("/any-case/of.xml/It/?A=/B/&c=%2b+?jAAJ+BA/p==")).toEqual({
      params: { name: "It" },
      rawQuery: "A=/B/&c=%2b+?jAAJ+BA/p==",
      query: [
        ["A", "/B/"],
        ["c", "+ ?jAAJ BA/p=="],
      ],
    });
    for (const path of ["/any-case/of.xml", "/any-case/of.xml/", "/any-case/of.xml/It//", "/x/any-case/of.xml/It"])
      expect(await from(path), path).toBe(404);
    for (const path of ["/WHO", "/who/"]) expect(await from(path), path).toBe(404);
  });

  test("__proto__ in JSON is a name like any other", async () => {
    const door = await openDoor(testSite(), { plain });
    const reply = await ask(door, { method: "POST", path: "/echo", body: '{"__proto__":{"a":1}}' });
    expect([reply.status, reply.body]).toEqual([200, '{"__proto__":{"a":1}}']);
  });

  test("a browser of another origin may ask anything, without signing in", async () => {
    const door = await openDoor(testSite(), { plain });
    for (const path of ["/echo", "/nowhere", "/events", "/ws"]) {
      const reply = await ask(door, { method: "OPTIONS", path, headers: { origin: "https://elsewhere.example" } });
      expect([reply.status, reply.body]).toEqual([204, ""]);
      expectCommon(reply);
      expect(reply.headers["access-control-allow-headers"]).toBe("Authorization, Content-Type, Last-Event-ID");
      expect(reply.headers["access-control-allow-methods"]).toContain("DELETE");
      expect(reply.headers["access-control-max-age"]).toBe("86400");
    }
  });

  test("HTML in a mail is saved, and runs nothing here", async () => {
    const door = await openDoor(testSite(), { plain });
    const { headers, body } = await ask(door, {
      path: `/download/${encodeURIComponent('ü"\r\n\u202e.html')}?type=text/html`,
    });
    expect(Buffer.from(body, "latin1").equals(BIG)).toBe(true);
    expect(headers).toMatchObject({
      "content-type": "text/html",
      "content-disposition": "attachment; filename*=UTF-8''%C3%BC%22___.html",
      "content-security-policy": "sandbox",
      "x-content-type-options": "nosniff",
      "cache-control": "private, immutable, max-age=31536000",
    });
    const odd = await ask(door, { path: "/download/a?type=text/html%0d%0aset-cookie:a" });
    expect(odd.headers["content-type"]).toBe("application/octet-stream");
    const long = "n".repeat(3000);
    expect((await ask(door, { path: `/download/${long}` })).headers["content-disposition"]).toContain(long);
  });

  test("HEAD is GET without its body, and begins no event stream", async () => {
    const streams: EventStream[] = [];
    const door = await openDoor(testSite(streams), { plain });
    const reply = await ask(door, { method: "HEAD", path: "/download/a" });
    expect([reply.status, reply.body, reply.headers["content-length"]]).toEqual([200, "", String(BIG.length)]);
    const { headers } = await ask(door, { method: "HEAD", path: "/events" });
    expect(headers["content-type"]).toBe("text/event-stream");
    expect(streams).toEqual([]);
    await until(() => door.door.counts.exchanges === 0);
  });

  test("an upload passes as it comes", async () => {
    const door = await openDoor(testSite(), { plain });
    const reply = await ask(door, { method: "POST", path: "/upload/a%20b", body: BIG });
    expect(JSON.parse(reply.body)).toEqual({ size: BIG.length, account: "a b" });
  });

  test("an answer that breaks off does not look whole", async () => {
    const door = await openDoor(testSite(), { plain });
    await expect(ask(door, { path: "/half" })).rejects.toThrow();
    await until(() => door.door.counts.exchanges === 0);
    expect(door.logs).toMatchObject([{ event: "request failed" }]);
  });

  test("answers are compressed only if the door is told to", async () => {
    const headers = { "accept-encoding": "br, gzip;q=0.5" };
    const asIs = await ask(await openDoor(testSite(), { plain }), { path: "/big", headers });
    expect([asIs.headers["content-encoding"], asIs.body.length]).toEqual([undefined, 5_000_002]);
    const door = await openDoor(testSite(), { plain, compresses: true });
    const packed = await ask(door, { path: "/big", headers });
    expect(packed.headers).toMatchObject({ "content-encoding": "gzip", vary: "Accept-Encoding" });
    expect(gunzipSync(Buffer.from(packed.body, "latin1")).length).toBe(5_000_002);
    for (const encoding of ["identity", "gzip;q=0"]) {
      const reply = await ask(door, { path: "/big", headers: { "accept-encoding": encoding } });
      expect([reply.headers["content-encoding"], reply.headers.vary]).toEqual([undefined, "Accept-Encoding"]);
    }
    expect(
      (await ask(door, { path: "/download/a?type=text/plain", headers })).headers["content-encoding"],
    ).toBeUndefined();
  });

  test("who is gone leaves nothing behind", async () => {
    const door = await openDoor(testSite(), { plain });
    for (const path of ["/", "/nowhere", "/big", "/download/x"]) await ask(door, { path });
    await ask(door, { method: "POST", path: "/nowhere", body: "1" });
    await until(() => door.door.counts.connections === 0);
    expect(door.door.counts).toEqual({ connections: 0, sessions: 0, exchanges: 0, sockets: 0, deadlines: 0 });
    expect(door.gate.counts).toEqual({ connections: 0, strangers: 0 });
  });
});

test("an event stream goes out event by event, by both versions", async () => {
  const streams: EventStream[] = [];
  const door = await openDoor(testSite(streams));
  const stream = stream2(session2(door), { path: "/events" });
  stream.end();
  let text = "";
  stream.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  const socket = await rawSocket(door);
  socket.write("GET /events HTTP/1.1\r\nHost: x\r\n\r\n");
  await until(() => streams.length === 2);
  let ended = 0;
  for (const open of streams) {
    open.onEnd(() => ended++);
    open.retry(3000);
    open.send({ event: "state", id: "1", data: "a\nb" });
  }
  const wanted = "retry: 3000\n\nevent: state\nid: 1\ndata: a\ndata: b\n\n";
  await until(
    () => text === wanted && socket.received.replaceAll(/\r\n[0-9a-f]+\r\n/g, "").endsWith("data: b\n\n\r\n"),
  );
  expect(socket.received).toContain("x-accel-buffering: no");
  stream.close();
  socket.destroy();
  await until(() => ended === 2);
  expect(streams.every(({ isOpen }) => !isOpen)).toBe(true);
  streams[0]!.send({ data: "nobody hears" });
  await until(() => door.door.counts.exchanges === 0);
});

test("a WebSocket shares the socket, and is told its protocol alone", async () => {
  for (const plain of [true, false]) {
    const door = await openDoor(testSite(), { plain });
    const socket = webSocket(door, "/ws", ["bearer.rst_secret", "jmap"]);
    const [response] = (await once(socket, "upgrade")) as [{ headers: Record<string, string> }];
    expect(response.headers["sec-websocket-protocol"]).toBe("jmap");
    await until(() => socket.readyState === socket.OPEN);
    socket.send("hello");
    expect(String((await once(socket, "message"))[0])).toBe("HELLO");
    socket.close();
    await until(() => door.door.counts.connections === 0);
    expect(door.door.counts).toMatchObject({ exchanges: 0, sockets: 0, deadlines: 0 });
  }
});

test("a WebSocket that is not let in gets a problem, and the connection ends", async () => {
  const door = await openDoor(testSite(), { plain: true });
  for (const [path, protocols, status] of [
    ["/ws?refused", ["jmap"], 401],
    ["/ws", ["other"], 400],
    ["/nowhere", ["jmap"], 404],
    ["/", ["jmap"], 400],
  ] as const) {
    const socket = webSocket(door, path, [...protocols]);
    const [, response] = (await once(socket, "unexpected-response")) as [unknown, { statusCode: number }];
    expect([path, response.statusCode]).toEqual([path, status]);
    socket.terminate();
  }
  await until(() => door.door.counts.connections === 0);
  expect(door.door.counts).toMatchObject({ exchanges: 0, sockets: 0, deadlines: 0 });
});

test("of messages that come in one breath eight are worked on at once, and each in its turn", async () => {
  const order: string[] = [];
  const held: (() => void)[] = [];
  const site: Site = {
    routes: [],
    sockets: [
      {
        path: "/ws",
        protocol: "jmap",
        messageBytesMax: 1000,
        open: async () => (socket) => {
          const work = async (text: string): Promise<void> => {
            order.push(text);
            await new Promise<void>((resolve) => held.push(resolve));
          };
          socket.onText(1000, work, () => undefined);
        },
      },
    ],
  };
  const socket = webSocket(await openDoor(site, { plain: true }), "/ws");
  await once(socket, "open");
  for (let number = 0; number < 504; number++) socket.send(String(number));
  for (let round = 1; round <= 63; round++) {
    await until(() => held.length >= 8);
    expect(order).toHaveLength(8 * round);
    for (const goOn of held.splice(0)) goOn();
  }
  expect(order).toEqual(Array.from({ length: 504 }, (_, number) => String(number)));
});

test("a WebSocket's answers come whole and in order, and who leaves too much unread is dropped", async () => {
  const opened: DoorSocket[] = [];
  const site: Site = {
    routes: [],
    sockets: [
      { path: "/ws", protocol: "jmap", messageBytesMax: 10, open: async () => (socket) => void opened.push(socket) },
    ],
  };
  const door = await openDoor(site, { plain: true });
  const reader = webSocket(door, "/ws");
  const received: string[] = [];
  reader.on("message", (data: Buffer) => received.push(data.toString()));
  await once(reader, "open");
  const texts = ["a", "b", "c"].map((char) => char.repeat(300_000));
  await Promise.all(texts.map((text) => opened[0]!.send(text)));
  await until(() => received.length === 3);
  expect(received.map((text) => texts.indexOf(text))).toEqual([0, 1, 2]);
  const silent = await rawSocket(door);
  silent.write(opening("/ws"));
  await until(() => opened.length === 2);
  silent.pause();
  for (let round = 0; round < 20; round++) opened[1]!.tell("x".repeat(100_000));
  await until(() => door.door.counts.sockets === 1);
  expect(reader.readyState).toBe(reader.OPEN);
});

test("a WebSocket's messages have a size and a kind", async () => {
  const door = await openDoor(testSite(), { plain: true });
  for (const [message, code] of [
    ["x".repeat(1001), 1009],
    [new Uint8Array(3), 1003],
  ] as const) {
    const socket = webSocket(door, "/ws");
    await once(socket, "open");
    socket.send(message);
    expect((await once(socket, "close"))[0]).toBe(code);
  }
});

test("an offer of HTTP/2 in clear is not taken up, and no harm", async () => {
  const door = await openDoor(testSite(), { plain: true });
  const headers = { connection: "Upgrade, HTTP2-Settings", upgrade: "h2c", "http2-settings": "AAMAAABkAAQAAP__" };
  expect((await http1(door, { headers })).status).toBe(200);
});

function opening(path: string, protocols = "jmap"): string {
  const fields = ["Host: x", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"];
  const key = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==";
  return [`GET ${path} HTTP/1.1`, ...fields, key, `Sec-WebSocket-Protocol: ${protocols}`, "", ""].join("\r\n");
}

test("what never becomes a request is answered too", async () => {
  for (const plain of [true, false]) {
    const door = await openDoor(testSite(), { plain });
    for (const [text, status] of [
      ["nonsense\r\n\r\n", 400],
      [`GET / HTTP/1.1\r\nHost: x\r\nA: ${"a".repeat(20_000)}\r\n\r\n`, 431],
      ["CONNECT mail.example:25 HTTP/1.1\r\nHost: x\r\n\r\n", 405],
      ["POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400],
      ["GET / HTTP/1.1\r\n\r\n", 400],
      ["GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400],
      [opening("/ws").replace("Host: x\r\n", ""), 400],
      [opening("/%zz"), 400],
      [opening("/ws", "jmap, jmap"), 400],
      [opening("/ws", "jmap, b@d"), 400],
    ] as const) {
      const socket = await rawSocket(door);
      socket.write(text);
      await once(socket, "close");
      const [head, body] = socket.received.split("\r\n\r\n") as [string, string];
      expect(head).toContain(`HTTP/1.1 ${status} `);
      expect(head).toContain("access-control-allow-origin: *");
      expect(JSON.parse(body)).toMatchObject({ status });
    }
    await until(() => door.door.counts.connections === 0);
  }
});

test("an answer that is not as long as it says is cut, and what follows is no other answer", async () => {
  const bodies: Readonly<Record<string, string>> = { short: "ab", long: "abcHTTP/1.1 200 OK\r\n\r\n" };
  const site: Site = {
    routes: [
      {
        method: "GET",
        path: "/:name",
        handle: async ({ params }) =>
          download({
            type: "text/plain",
            name: "a",
            size: 3,
            async *read() {
              yield Buffer.from(bodies[params.name!]!);
            },
          }),
      },
    ],
  };
  const door = await openDoor(site, { plain: true });
  for (const name of Object.keys(bodies)) {
    const socket = await rawSocket(door);
    const request = `GET /${name} HTTP/1.1\r\nHost: x\r\n\r\n`;
    socket.write(request + request);
    await once(socket, "close");
    expect(socket.received.match(/HTTP\/1\.1/g) ?? []).toHaveLength(name === "short" ? 1 : 0);
  }
  expect(door.logs.map(({ event }) => event)).toContain("request failed");
});

test.each([
  ["bytes=0-9", 206, 0, 10],
  ["bytes=5-", 206, 5, Number.POSITIVE_INFINITY],
  ["bytes=-7", 206, -7, Number.POSITIVE_INFINITY],
  ["bytes=0-999999999999", 200, 0, Number.POSITIVE_INFINITY],
  // Several, other units and nonsense: the whole will do.
  ["bytes=0-1,5-6", 200, 0, Number.POSITIVE_INFINITY],
  ["lines=0-1", 200, 0, Number.POSITIVE_INFINITY],
  ["bytes=-", 200, 0, Number.POSITIVE_INFINITY],
])("a download of the range %s", async (range, status, start, end) => {
  const door = await openDoor(testSite(), { plain: true });
  const reply = await fetch(`http://127.0.0.1:${door.port}/download/a`, { headers: { range } });
  const got = Buffer.from(await reply.arrayBuffer());
  const wanted = BIG.subarray(start < 0 ? BIG.length + start : start, end);
  expect([reply.status, got.equals(wanted)]).toEqual([status, true]);
  if (status === 206) {
    const first = BIG.length - wanted.length * (start < 0 || end > BIG.length ? 1 : 0);
    const from = start < 0 || end > BIG.length ? first : start;
    expect(reply.headers.get("content-range")).toBe(`bytes ${from}-${from + wanted.length - 1}/${BIG.length}`);
  }
});

test("a range that holds nothing is told, with how much there is", async () => {
  const door = await openDoor(testSite(), { plain: true });
  for (const range of [`bytes=${BIG.length}-`, "bytes=9-5", "bytes=-0"]) {
    const reply = await fetch(`http://127.0.0.1:${door.port}/download/a`, { headers: { range } });
    expect([reply.status, reply.headers.get("content-range")]).toEqual([416, `bytes */${BIG.length}`]);
  }
});

test("nonsense behind a request is no part of the answer that is under way", async () => {
  let goOn: () => void = () => undefined;
  const site: Site = {
    routes: [
      {
        method: "GET",
        path: "/",
        handle: async () =>
          download({
            type: "text/plain",
            name: "a",
            size: 400,
            async *read() {
              yield Buffer.alloc(10, "a");
              await new Promise<void>((resolve) => {
                goOn = resolve;
              });
              yield Buffer.alloc(390, "a");
            },
          }),
      },
    ],
  };
  for (const plain of [true, false]) {
    const door = await openDoor(site, { plain });
    const socket = await rawSocket(door);
    socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    await until(() => socket.received.endsWith("a"));
    socket.write("nonsense\r\n\r\n");
    await once(socket, "close");
    goOn();
    expect(socket.received.split("\r\n\r\n")[1]).toBe("a".repeat(10));
    await until(() => door.door.counts.exchanges === 0);
  }
});

test("a body that is cut off is no body", async () => {
  const results: string[] = [];
  const door = await openDoor({
    routes: [
      {
        method: "POST",
        path: "/",
        bodyBytesMax: 1000,
        async handle(request) {
          const outcome = await request.bytes().then(
            () => "whole",
            (error: Error) => error.message,
          );
          results.push(outcome);
          return json(outcome);
        },
      },
    ],
  });
  for (const headers of [{}, { "content-length": "100" }]) {
    const session = session2(door);
    const stream = stream2(session, { method: "POST", headers });
    stream.on("error", () => undefined);
    stream.write("half");
    await until(() => door.door.counts.exchanges === 1);
    session.destroy();
    await until(() => door.door.counts.exchanges === 0);
  }
  const socket = await rawSocket(door);
  socket.write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf");
  await until(() => door.door.counts.exchanges === 1);
  socket.destroy();
  await until(() => results.length === 3);
  expect(results).toEqual(new Array(3).fill("The connection ended within the body"));
});

test("certificates that are read again hold for new connections", async () => {
  const folder = temporaryFolder();
  const files = { cert: join(folder, "cert.pem"), key: join(folder, "key.pem") };
  const copy = (from: string): void => {
    writeFileSync(files.cert, readFileSync(join(from, "localhost.pem")));
    writeFileSync(files.key, readFileSync(join(from, "localhost.key")));
  };
  const [one, other] = [temporaryFolder(), temporaryFolder()];
  await Promise.all([makeTls(one), makeTls(other)]);
  copy(one);
  const tls = new Tls({ ...files, folder, minVersion: "TLSv1.2", oldSuites: false });
  await tls.reload();
  const door = await openDoor(testSite(), { tls });
  const shown = async (): Promise<string> => {
    const socket = await rawSocket(door);
    return (socket as unknown as { getPeerCertificate(): { fingerprint256: string } }).getPeerCertificate()
      .fingerprint256;
  };
  const before = await shown();
  copy(other);
  expect(await shown()).toBe(before);
  await tls.reload();
  expect(await shown()).not.toBe(before);
});

test("the client behind a trusted proxy is known by what the proxy tells, and by nobody else's word", async () => {
  const headers = { "x-forwarded-for": "198.51.100.7", "x-forwarded-proto": "http" };
  const trusted = await openDoor(testSite(), { plain: true, proxies: ["127.0.0.1"] });
  expect(JSON.parse((await http1(trusted, { path: "/who", headers })).body)).toEqual({
    address: "198.51.100.7",
    isSecure: false,
  });
  const other = await openDoor(testSite(), { plain: true });
  expect(JSON.parse((await http1(other, { path: "/who", headers })).body)).toEqual({
    address: "127.0.0.1",
    isSecure: true,
  });
});

test("the Host header makes no URL", async () => {
  const site: Site = { routes: [{ method: "GET", path: "/", handle: async ({ origin }) => json(origin) }] };
  const headers = { host: "evil.example", "x-forwarded-host": "evil.example" };
  const door = await openDoor(site);
  expect((await http1(door, { headers })).body).toBe(`"https://localhost:${door.port}"`);
  const plain = await openDoor(site, { plain: true });
  expect((await http1(plain, { headers })).body).toBe(`"http://localhost:${plain.port}"`);
  const named = await openDoor(site, { plain: true, origin: "https://mail.example", proxies: ["127.0.0.1"] });
  expect((await http1(named, { headers })).body).toBe('"https://mail.example"');
});

test("a door that closes waits so long for who is slow, and no longer", async () => {
  const door = await openDoor(testSite(), { plain: true });
  const slow = await rawSocket(door);
  slow.write("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n[");
  // One that does not take leave.
  const socket = await rawSocket(door);
  socket.write(opening("/ws"));
  await until(() => door.door.counts.exchanges === 2 && door.door.counts.sockets === 1);
  const stopped = door.door.stop();
  door.clock.pass(STOP_MS - 1);
  expect(door.door.counts.exchanges).toBe(2);
  door.clock.pass(1001);
  await stopped;
  expect(door.door.counts).toMatchObject({ connections: 0, exchanges: 0, sockets: 0, deadlines: 0 });
});

test("a door that closes finishes what is under way, and ends what goes on by itself", async () => {
  const streams: EventStream[] = [];
  let go: () => void = () => undefined;
  let begun = 0;
  const held = new Promise<void>((resolve) => {
    go = resolve;
  });
  const site = testSite(streams);
  const slow = {
    method: "GET",
    path: "/slow",
    async handle() {
      begun++;
      await held;
      return json("done");
    },
  } as const;
  const door = await openDoor({ ...site, routes: [...site.routes, slow] });
  const session = session2(door);
  const reply = replyOf(stream2(session, { path: "/slow" }));
  const stream = replyOf(stream2(session, { path: "/events" }));
  const socket = webSocket(door, "/ws");
  await once(socket, "open");
  const closed = once(socket, "close");
  // Connections that a client would keep for its next request.
  const kept = [await rawSocket(door), await rawSocket(door)];
  for (const [index, path] of ["/events", "/slow"].entries())
    kept[index]!.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
  await until(() => door.door.counts.exchanges === 5);
  const silent = await rawSocket({ ...door, tls: undefined });
  const stopped = door.door.stop();
  expect((await stream).status).toBe(200);
  expect((await closed)[0]).toBe(1001);
  // A request that comes from now on is not begun.
  kept[1]!.write("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
  await until(() => door.door.counts.exchanges === 3);
  expect(begun).toBe(2);
  go();
  expect(await reply).toMatchObject({ status: 200, body: '"done"' });
  await stopped;
  expect(door.door.counts).toMatchObject({ connections: 0, exchanges: 0, sockets: 0 });
  await until(() => kept[1]!.destroyed);
  expect(kept[1]!.received).toMatch(/^HTTP\/1\.1 200 [\s\S]*connection: close/);
  // Nobody waits for a client that has not spoken.
  await until(() => silent.destroyed);
});

test.each([
  ["HTTP/1.1", http1],
  ["HTTP/2", http2],
] as const)("what a request signs in with is not kept while it waits: %s", async (_, ask) => {
  const requests: IncomingMessage[] = [];
  const see = (message: unknown): void => void requests.push((message as { request: IncomingMessage }).request);
  subscribe("http.server.request.start", see);
  const site: Site = {
    routes: [
      {
        method: "GET",
        path: "/",
        async handle(request) {
          const [before, other] = [request.header("authorization"), request.header("x-other")];
          request.forgetCredentials();
          return json([before, request.header("authorization") ?? "", other, request.header("x-other")]);
        },
      },
    ],
  };
  const door = await openDoor(site);
  const headers = { authorization: "Basic c2VjcmV0", "x-other": "stays" };
  const { body } = await ask(door, { path: "/", headers });
  expect(JSON.parse(body)).toEqual(["Basic c2VjcmV0", "", "stays", "stays"]);
  expect(JSON.stringify(requests.map(({ rawHeaders }) => rawHeaders))).not.toContain("c2VjcmV0");
  unsubscribe("http.server.request.start", see);
});
