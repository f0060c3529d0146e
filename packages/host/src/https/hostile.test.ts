import { once } from "node:events";
import { describe, expect, test } from "vitest";
import { events, json } from "./answers.ts";
import {
  http1,
  http2,
  openDoor,
  rawSocket,
  replyOf,
  session2,
  stream2,
  type TestDoor,
  until,
  webSocket,
} from "./door-kit.ts";
import type { EventStream } from "./event-stream.ts";
import {
  END_HEADERS,
  END_STREAM,
  FRAME,
  frame,
  framesIn,
  literalField,
  PREFACE,
  requestHeaders,
} from "./frames-kit.ts";
import {
  BODY_BYTES_PER_SECOND_MIN,
  BODY_GRACE_MS,
  CONTROL_FRAMES_PER_MINUTE_MAX,
  HEADER_BYTES_MAX,
  HEADER_FIELDS_MAX,
  HEADER_MS,
  IDLE_MS,
  LINGER_MS,
  RESETS_BURST,
  SOCKET_PING_MS,
  STRANGER_REQUESTS_MAX,
  STREAMS_MAX,
  UNREAD_BYTES_MAX,
} from "./limits.ts";
import type { Site } from "./site.ts";

interface Seen {
  octets: number;
  requests: number;
  readonly streams: EventStream[];
}

function site(seen: Seen): Site {
  return {
    routes: [
      {
        method: "POST",
        path: "/",
        bodyBytesMax: 2 ** 30,
        async handle(request) {
          let size = 0;
          for await (const chunk of request.body()) {
            size += chunk.length;
            seen.octets += chunk.length;
          }
          return json(size);
        },
      },
      {
        method: "GET",
        path: "/",
        async handle() {
          seen.requests++;
          return json("well");
        },
      },
      {
        method: "POST",
        path: "/small",
        bodyBytesMax: 10,
        handle: async (request) => json((await request.bytes()).length),
      },
      { method: "GET", path: "/big", handle: async () => json("x".repeat(20_000_000)) },
      { method: "GET", path: "/events", handle: async () => events((stream) => void seen.streams.push(stream)) },
      {
        method: "GET",
        path: "/known",
        async handle(request) {
          request.signedIn();
          return json("known");
        },
      },
    ],
    sockets: [
      {
        path: "/ws",
        protocol: "jmap",
        messageBytesMax: 10,
        open: async () => (socket) => socket.tell("x".repeat(100)),
      },
    ],
  };
}

const nothing = (): Seen => ({ octets: 0, requests: 0, streams: [] });

/** Everybody else is served as ever. */
async function expectServed(door: TestDoor): Promise<void> {
  expect((await (door.tls ? http2 : http1)(door, {})).body).toBe('"well"');
}

async function expectNothingLeft(door: TestDoor): Promise<void> {
  await until(() => door.door.counts.connections + door.door.counts.exchanges === 0);
  expect(door.door.counts).toEqual({ connections: 0, sessions: 0, exchanges: 0, sockets: 0, deadlines: 0 });
  expect(door.gate.counts).toEqual({ connections: 0, strangers: 0 });
}

describe("slow bodies", () => {
  test("100 streams that send an octet a second: each ends after its time, and others are served", async () => {
    const seen = nothing();
    const door = await openDoor(site(seen));
    const session = session2(door);
    const streams = Array.from({ length: STREAMS_MAX }, () => stream2(session, { method: "POST" }));
    const replies = streams.map((stream) => replyOf2(stream));
    for (let second = 0; second < BODY_GRACE_MS / 1000; second++) {
      for (const stream of streams) stream.write("x");
      await until(() => seen.octets === (second + 1) * STREAMS_MAX);
      await expectServed(door);
      door.clock.pass(1000);
    }
    expect(door.door.counts.exchanges).toBe(STREAMS_MAX);
    door.clock.pass(2000);
    for (const reply of await Promise.all(replies)) expect(reply).toBe(408);
    await passUntil(door, LINGER_MS, () => door.door.counts.exchanges === 0);
    session.destroy();
    await expectNothingLeft(door);
  });

  test.each([true, false])("a body by HTTP/1.1 that trickles is answered 408, in clear %s", async (plain) => {
    const seen = nothing();
    const door = await openDoor(site(seen), { plain });
    const socket = await rawSocket(door);
    socket.write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n");
    for (let second = 0; second < 32; second++) {
      socket.write("x");
      await until(() => seen.octets === second + 1 || socket.received !== "");
      door.clock.pass(1000);
    }
    await until(() => socket.received.includes("HTTP/1.1 408 "));
    expect(socket.received).toContain("connection: close");
    await passUntil(door, LINGER_MS, () => socket.destroyed);
    await expectNothingLeft(door);
  });

  test("a slow line is not taken for that, and time in which nobody asks for more does not count", async () => {
    const seen = nothing();
    const door = await openDoor(site(seen));
    const stream = stream2(session2(door), { method: "POST" });
    stream.on("error", () => undefined);
    const piece = new Uint8Array(BODY_BYTES_PER_SECOND_MIN);
    for (let second = 0; second < 200; second++) {
      stream.write(piece);
      await until(() => seen.octets === (second + 1) * piece.length);
      door.clock.pass(1000);
    }
    expect(door.door.counts.exchanges).toBe(1);
    stream.destroy();
  });

  test.each([true, false])("a body that nobody wants holds nothing up for long, by HTTP/2: %s", async (isHttp2) => {
    const door = await openDoor(site(nothing()));
    if (isHttp2) {
      const stream = stream2(session2(door), { method: "POST", path: "/nowhere" });
      const status = replyOf2(stream);
      stream.write("x");
      expect(await status).toBe(404);
      await until(() => stream.closed);
      expect(stream.rstCode).toBe(0);
      // One that was read in part, too.
      const other = stream2(session2(door), { method: "POST", path: "/small" });
      const large = replyOf2(other);
      other.write("x".repeat(11));
      expect(await large).toBe(413);
      await until(() => other.closed);
      expect(other.rstCode).toBe(0);
    } else {
      const socket = await rawSocket(door);
      socket.write("POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nx");
      await until(() => socket.received.includes("HTTP/1.1 404 "));
      await passUntil(door, LINGER_MS, () => socket.destroyed);
    }
    await until(() => door.door.counts.exchanges === 0);
  });
});

/** Lets time pass until it is so. A connection that the clock cuts off goes when the event loop comes to it, so that more
 * than the limit may be needed, but not much more. */
async function passUntil(door: TestDoor, limitMs: number, check: () => boolean): Promise<void> {
  for (let passed = 0; !check(); passed += 1000) {
    if (passed > 100 * limitMs) throw new Error("it never ended");
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
    door.clock.pass(1000);
  }
}

/** The status, once it is known. */
function replyOf2(stream: ReturnType<typeof stream2>): Promise<number> {
  stream.on("error", () => undefined);
  return new Promise((resolve) => stream.once("response", (headers) => resolve(Number(headers[":status"]))));
}

describe("slow readers", () => {
  test.each([true, false])("an answer that nobody reads is dropped, in clear %s", async (plain) => {
    const door = await openDoor(site(nothing()), { plain });
    const socket = await rawSocket(door);
    socket.pause();
    socket.write("GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
    await until(() => door.door.counts.exchanges === 1);
    await settled(() => socket.readableLength);
    door.clock.pass(IDLE_MS - 2000);
    await expectServed(door);
    expect(door.door.counts.exchanges).toBe(1);
    door.clock.pass(4000);
    await until(() => door.door.counts.exchanges === 0);
    socket.resume();
    await once(socket, "close");
    await expectNothingLeft(door);
  });

  test("a stream of HTTP/2 whose answer nobody reads is dropped, and its connection lives on", async () => {
    const door = await openDoor(site(nothing()));
    const session = session2(door);
    const stream = stream2(session, { path: "/big" });
    stream.on("error", () => undefined);
    stream.end();
    await once(stream, "response");
    await settled(() => stream.readableLength);
    door.clock.pass(IDLE_MS + 2000);
    await until(() => door.door.counts.exchanges === 0);
    expect((await replyOf(stream2(session, {}))).body).toBe('"well"');
  });

  test("an event stream that nobody reads is dropped", async () => {
    const seen = nothing();
    const door = await openDoor(site(seen));
    const stream = stream2(session2(door), { path: "/events" });
    stream.on("error", () => undefined);
    stream.end();
    await until(() => seen.streams.length === 1);
    const open = seen.streams[0]!;
    let sent = 0;
    for (; open.isOpen; sent += 1000) open.send({ data: "x".repeat(1000) });
    expect(sent).toBeGreaterThan(UNREAD_BYTES_MAX / 2);
    expect(sent).toBeLessThan(UNREAD_BYTES_MAX * 2);
    await until(() => door.door.counts.exchanges === 0);
  });

  test("a WebSocket whose other end is gone without a word is dropped", async () => {
    const door = await openDoor(site(nothing()));
    const socket = webSocket(door, "/ws");
    await once(socket, "open");
    door.clock.pass(SOCKET_PING_MS + 1000);
    await once(socket, "ping");
    for (let round = 0; round < 3; round++) await expectServed(door);
    door.clock.pass(2 * SOCKET_PING_MS);
    await once(socket, "ping");
    socket.pause();
    door.clock.pass(2 * SOCKET_PING_MS + 2000);
    await until(() => door.door.counts.sockets === 0);
  });
});

/** Resolves when it stays the same for some turns. */
async function settled(look: () => number): Promise<void> {
  for (let last = -1, same = 0; same < 20; ) {
    await new Promise((resolve) => setTimeout(resolve, 1));
    same = look() === last ? same + 1 : 0;
    last = look();
  }
}

describe("HTTP/2", () => {
  const floods: readonly (readonly [string, () => Buffer[]])[] = [
    [
      "resets (CVE-2023-44487)",
      () =>
        Array.from({ length: RESETS_BURST * 4 }, (_, index) => {
          const stream = 2 * index + 1;
          return Buffer.concat([
            frame(FRAME.headers, END_STREAM | END_HEADERS, stream, requestHeaders("GET")),
            frame(FRAME.reset, 0, stream, Buffer.from([0, 0, 0, 8])),
          ]);
        }),
    ],
    [
      "CONTINUATION frames (CVE-2024-27316)",
      () => [
        frame(FRAME.headers, END_STREAM, 1, requestHeaders("GET")),
        ...Array.from({ length: 1000 }, () => frame(FRAME.continuation, 0, 1, literalField("a", "b"))),
      ],
    ],
    [
      "PINGs",
      () => Array.from({ length: CONTROL_FRAMES_PER_MINUTE_MAX + 100 }, () => frame(FRAME.ping, 0, 0, Buffer.alloc(8))),
    ],
    ["SETTINGS", () => Array.from({ length: CONTROL_FRAMES_PER_MINUTE_MAX + 100 }, () => frame(FRAME.settings, 0, 0))],
    [
      "streams beyond the bound",
      () =>
        Array.from({ length: 1000 }, (_, index) =>
          frame(FRAME.headers, END_HEADERS, 2 * index + 1, requestHeaders("POST")),
        ),
    ],
    ["what is no HTTP/2", () => [Buffer.from("\0\0\0\0\0\0\0\0\0nonsense".repeat(100))]],
  ];

  test.each(floods)("a flood of %s ends the connection, and nothing is left", async (_name, make) => {
    const seen = nothing();
    const door = await openDoor(site(seen));
    const socket = await rawSocket(door, ["h2"]);
    socket.write(PREFACE);
    for (const piece of make()) socket.write(piece);
    await once(socket, "close");
    expect(seen.requests).toBeLessThanOrEqual(STREAMS_MAX);
    await expectServed(door);
    await expectNothingLeft(door);
  });

  test("of 101 streams at once the last is refused, and no other is hurt", async () => {
    const door = await openDoor(site(nothing()));
    const socket = await rawSocket(door, ["h2"]);
    socket.write(PREFACE);
    for (let index = 0; index <= STREAMS_MAX; index++)
      socket.write(frame(FRAME.headers, END_HEADERS, 2 * index + 1, requestHeaders("POST")));
    const resets = (): number[] =>
      framesIn(socket.received)
        .filter(({ type }) => type === FRAME.reset)
        .map(({ stream }) => stream);
    await until(() => resets().length > 0 && door.door.counts.exchanges === STREAMS_MAX);
    expect(resets()).toEqual([2 * STREAMS_MAX + 1]);
  });

  test("a header that is too large is told so, as HTTP/1.1 tells it", async () => {
    const door = await openDoor(site(nothing()));
    const { status, body } = await http2(door, { headers: { a: "b".repeat(HEADER_BYTES_MAX) } });
    expect([status, JSON.parse(body)]).toMatchObject([431, { status: 431 }]);
  });

  test("too many fields make no request", async () => {
    const door = await openDoor(site(nothing()));
    const socket = await rawSocket(door, ["h2"]);
    socket.write(PREFACE);
    const fields = Buffer.concat(Array.from({ length: HEADER_FIELDS_MAX + 1 }, () => literalField("a", "b")));
    socket.write(frame(FRAME.headers, END_STREAM | END_HEADERS, 1, requestHeaders("GET", fields)));
    await until(() => framesIn(socket.received).some(({ type }) => type === FRAME.reset));
    expect(framesIn(socket.received).some(({ type }) => type === FRAME.headers)).toBe(false);
    await expectServed(door);
  });

  test("a connection without a request ends in time, and one that is idle", async () => {
    const door = await openDoor(site(nothing()));
    const silent = await rawSocket(door, ["h2"]);
    silent.write(PREFACE);
    const used = session2(door);
    await replyOf(stream2(used, {}));
    await until(() => door.door.counts.sessions === 2 && door.door.counts.exchanges === 0);
    door.clock.pass(HEADER_MS + 1000);
    await until(() => door.door.counts.sessions === 1);
    door.clock.pass(IDLE_MS);
    await once(used, "close");
    await until(() => door.door.counts.sessions === 0);
  });

  test("a client that takes no leave is cut", async () => {
    const door = await openDoor(site(nothing()));
    const socket = await rawSocket(door, ["h2"]);
    socket.write(PREFACE);
    socket.write(frame(FRAME.headers, END_HEADERS, 1, requestHeaders("POST")));
    await until(() => door.door.counts.exchanges === 1);
    door.clock.pass(BODY_GRACE_MS + 1000);
    await until(() => framesIn(socket.received).some(({ type }) => type === FRAME.headers));
    await passUntil(door, LINGER_MS + IDLE_MS, () => socket.destroyed);
    await expectNothingLeft(door);
  });
});

describe("connections", () => {
  test("requests that are sent ahead by the thousand end the connection; a few are answered in order", async () => {
    for (const plain of [true, false]) {
      const seen = nothing();
      const door = await openDoor(site(seen), { plain });
      const some = await rawSocket(door);
      some.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(20));
      await until(() => some.received.split('"well"').length === 21);
      some.destroy();
      const many = await rawSocket(door);
      many.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(2_000));
      await once(many, "close");
      expect(seen.requests).toBeLessThanOrEqual(20 + STREAMS_MAX);
      await expectServed(door);
      await expectNothingLeft(door);
    }
  });

  test("strangers of one network have so many requests at once, and who is known more", async () => {
    let go: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      go = resolve;
    });
    const waiting: Site = {
      routes: [
        {
          method: "GET",
          path: "/wait",
          async handle(request) {
            if (request.query.has("known")) request.signedIn();
            await held;
            return json("waited");
          },
        },
      ],
    };
    const door = await openDoor(waiting, { plain: true, proxies: ["127.0.0.1"] });
    const ask = (address: string, path = "/wait") => http1(door, { path, headers: { "x-forwarded-for": address } });
    const running = Array.from({ length: 20 }, () => ask("192.0.2.1", "/wait?known"));
    running.push(...Array.from({ length: STRANGER_REQUESTS_MAX }, () => ask("192.0.2.1")));
    await until(() => door.door.counts.exchanges === STRANGER_REQUESTS_MAX + 20);
    const more = await ask("192.0.2.1");
    expect([more.status, more.headers["retry-after"]]).toEqual([429, "1"]);
    running.push(ask("192.0.2.2"));
    await until(() => door.door.counts.exchanges === STRANGER_REQUESTS_MAX + 21);
    go();
    for (const reply of await Promise.all(running)) expect(reply.status).toBe(200);
  });

  test("half-closed sockets are closed", async () => {
    for (const plain of [true, false]) {
      const door = await openDoor(site(nothing()), { plain });
      for (const text of [
        "",
        "GET / HTT",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx",
        "GET /events HTTP/1.1\r\nHost: x\r\n\r\n",
      ]) {
        const socket = await rawSocket(door);
        socket.allowHalfOpen = true;
        socket.end(text);
        await once(socket, "close");
      }
      await expectNothingLeft(door);
    }
  });

  test("strangers are bounded, and who has signed in stays", async () => {
    for (const plain of [true, false]) {
      const door = await openDoor(site(nothing()), { plain, limits: { strangersPerNetworkMax: 3 } });
      const known = await rawSocket(door);
      known.write("GET /known HTTP/1.1\r\nHost: x\r\n\r\n");
      await until(() => known.received.includes('"known"'));
      const strangers: { readonly destroyed: boolean }[] = [];
      for (let index = 0; index < 10; index++) strangers.push(await rawSocket(door));
      await until(() => strangers.filter(({ destroyed }) => destroyed).length === 7);
      known.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
      await until(() => known.received.includes('"well"'));
      expect(door.gate.counts).toEqual({ connections: 4, strangers: 3 });
    }
  });

  test("a trusted proxy brings many, who are not counted as one client", async () => {
    const limits = { strangersMax: 1, connectionsPerNetworkMax: 2 };
    const door = await openDoor(site(nothing()), { plain: true, limits, proxies: ["127.0.0.1"] });
    const sockets = [];
    for (let index = 0; index < 5; index++) sockets.push(await rawSocket(door));
    for (const socket of sockets) socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    for (const socket of sockets) await until(() => socket.received.includes('"well"'));
    expect(door.gate.counts).toEqual({ connections: 5, strangers: 0 });
  });

  test("who signs in by HTTP/2 is no stranger either", async () => {
    const door = await openDoor(site(nothing()));
    expect((await replyOf(stream2(session2(door), { path: "/known" }))).status).toBe(200);
    expect(door.gate.counts).toEqual({ connections: 1, strangers: 0 });
  });

  test("beyond the bound of requests at once a client is told to come again", async () => {
    const seen = nothing();
    const door = await openDoor(site(seen), { requestsMax: 2 });
    const session = session2(door);
    const open = [1, 2].map(() => stream2(session, { path: "/events" }));
    for (const stream of open) stream.end();
    await until(() => seen.streams.length === 2);
    const busy = await http2(door, {});
    expect([busy.status, busy.headers["retry-after"]]).toEqual([503, "1"]);
    for (const stream of open) stream.close();
    await until(() => door.door.counts.exchanges === 0);
    await expectServed(door);
  });

  test("what speaks no TLS, or breaks its handshake off, leaves nothing", async () => {
    const door = await openDoor(site(nothing()));
    for (const text of ["GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\x00\x05"]) {
      const socket = await rawSocket({ ...door, tls: undefined });
      socket.end(text);
      await once(socket, "close");
    }
    await expectNothingLeft(door);
  });
});
