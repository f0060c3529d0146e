import { type EventEmitter, once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { END_HEADERS, END_STREAM, FRAME, frame, literalField, PREFACE, requestHeaders } from "@restante/host/testing";
import { expect } from "vitest";

/** Loads by strangers on the HTTPS door: rows of hostile.test.ts. */
export function httpsLoads(port: () => number): Record<string, () => Promise<void>> {
  const speak = async (alpn: string): Promise<TLSSocket & { received: string }> => {
    const options = { host: "127.0.0.1", port: port(), rejectUnauthorized: false, ALPNProtocols: [alpn] };
    const socket = Object.assign(connectTls(options), { received: "" });
    socket.on("error", () => socket.destroy());
    socket.on("data", (chunk: Buffer) => {
      socket.received = (socket.received + chunk.toString("latin1")).slice(-2_000);
    });
    await once(socket, "secureConnect");
    return socket;
  };
  const closed = (socket: EventEmitter & { readonly destroyed: boolean }): Promise<unknown> =>
    socket.destroyed ? Promise.resolve() : new Promise((resolve) => socket.once("close", resolve));
  /** So many at once, again and again. */
  const many = async (count: number, work: () => Promise<void>): Promise<void> => {
    for (let at = 0; at < count; at += 50) await Promise.all(Array.from({ length: 50 }, work));
  };
  /** Writes until the other end has closed, or all is written and it is closed then. */
  const flood = async (pieces: Iterable<Uint8Array>): Promise<void> => {
    const socket = await speak("h2");
    const end = closed(socket);
    socket.write(PREFACE);
    for (const piece of pieces) {
      if (socket.destroyed) break;
      if (!socket.write(piece)) await Promise.race([new Promise((resolve) => socket.once("drain", resolve)), end]);
    }
    await end;
  };
  const times = function* (count: number, make: (index: number) => Uint8Array): Generator<Uint8Array> {
    for (let index = 0; index < count; index++) yield make(index);
  };
  return {
    "HTTPS: a thousand handshakes as fast as they go, each for one request": () =>
      many(1_000, async () => {
        const socket = await speak("http/1.1");
        socket.write("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        await closed(socket);
        expect(socket.received).toContain("HTTP/1.1 200 ");
      }),
    "HTTPS: connections that never shake hands, or end at half": () =>
      many(600, async () => {
        const socket = connect(port(), "127.0.0.1");
        socket.on("error", () => undefined);
        await once(socket, "connect");
        socket.write("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "latin1");
        socket.end();
        await closed(socket.resume());
      }),
    "HTTPS: headers that trickle": async () => {
      const sockets = await Promise.all(Array.from({ length: 100 }, () => speak("http/1.1")));
      for (const socket of sockets) socket.write("GET / HTTP/1.1\r\nHost: x\r\nA: ");
      const timer = setInterval(() => {
        for (const socket of sockets) if (socket.writable) socket.write("a");
      }, 1_000);
      await Promise.all(sockets.map(closed));
      clearInterval(timer);
      for (const { received } of sockets) expect(received).toMatch(/^HTTP\/1\.1 408 [\s\S]*problem\+json/);
    },
    "HTTPS: bodies that nobody asked for, an octet a second, by both versions": async () => {
      const sockets = await Promise.all(Array.from({ length: 50 }, () => speak("http/1.1")));
      for (const socket of sockets)
        socket.write("POST /auth/tokens HTTP/1.1\r\nHost: x\r\nContent-Length: 999\r\n\r\n");
      const session = connectHttp2(`https://127.0.0.1:${port()}`, { rejectUnauthorized: false });
      const streams = Array.from({ length: 100 }, () =>
        session.request({ ":method": "POST", ":path": "/auth/tokens" }, { endStream: false }),
      );
      const statuses: unknown[] = [];
      for (const stream of streams)
        stream
          .on("error", () => undefined)
          .on("response", (headers) => statuses.push(headers[":status"]))
          .resume();
      const timer = setInterval(() => {
        for (const one of [...sockets, ...streams]) if (one.writable && !one.destroyed) one.write("a");
      }, 1_000);
      await Promise.all([...sockets, ...streams].map(closed));
      clearInterval(timer);
      session.destroy();
      expect(statuses).toEqual(new Array(100).fill(401));
      for (const { received } of sockets) expect(received).toContain("HTTP/1.1 401 ");
    },
    "HTTPS: resets of HTTP/2": async () => {
      for (let round = 0; round < 20; round++)
        await flood(
          times(20_000, (index) =>
            Buffer.concat([
              frame(FRAME.headers, END_STREAM | END_HEADERS, 2 * index + 1, requestHeaders("GET")),
              frame(FRAME.reset, 0, 2 * index + 1, Buffer.from([0, 0, 0, 8])),
            ]),
          ),
        );
    },
    "HTTPS: CONTINUATION, PING and SETTINGS frames without end": async () => {
      const head = frame(FRAME.headers, END_STREAM, 1, requestHeaders("GET"));
      const more = frame(FRAME.continuation, 0, 1, literalField("a", "b".repeat(1_000)));
      for (let round = 0; round < 10; round++) {
        await flood(times(100_000, (index) => (index === 0 ? head : more)));
        await flood(times(100_000, () => frame(FRAME.ping, 0, 0, Buffer.alloc(8))));
        await flood(times(100_000, () => frame(FRAME.settings, 0, 0)));
      }
    },
    "HTTPS: headers that are too large": () =>
      many(200, async () => {
        const socket = await speak("http/1.1");
        socket.write(`GET / HTTP/1.1\r\nHost: x\r\nA: ${"a".repeat(1_000_000)}`);
        await closed(socket);
      }),
    "HTTPS: half-closed sockets": () =>
      many(300, async () => {
        const socket = await speak("http/1.1");
        socket.allowHalfOpen = true;
        socket.end("POST /auth/tokens HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\nhalf");
        await closed(socket);
      }),
    "HTTPS: 20,000 requests of strangers, a hundred at once": async () => {
      const session = connectHttp2(`https://127.0.0.1:${port()}`, { rejectUnauthorized: false });
      for (let round = 0; round < 200; round++)
        await Promise.all(
          Array.from({ length: 100 }, async (_, index) => {
            const stream = session.request({ ":path": index % 2 === 0 ? "/" : "/auth/tokens" }).resume();
            await closed(stream);
          }),
        );
      session.destroy();
    },
  };
}
