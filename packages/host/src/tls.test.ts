import { once } from "node:events";
import { type AddressInfo, connect as connectTcp, createServer, type Socket } from "node:net";
import { connect } from "node:tls";
import { expect, onTestFinished, test } from "vitest";
import { shakeHands } from "./handshake.ts";
import { temporaryFolder } from "./test-kit.ts";
import { Tls } from "./tls.ts";

async function listenTls(oldSuites: boolean): Promise<number> {
  const tls = new Tls({ cert: "", key: "", folder: temporaryFolder(), minVersion: "TLSv1.2", oldSuites });
  await tls.reload();
  const server = createServer((socket) => {
    shakeHands(socket, tls.context).then(
      (secured) => secured?.on("error", () => secured.destroy()),
      () => undefined,
    );
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

/** The suite that a TLS 1.2 client gets that offers these, or undefined. */
async function suite(port: number, ciphers: string): Promise<string | undefined> {
  const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false, maxVersion: "TLSv1.2", ciphers });
  const shaken = once(socket, "secureConnect").then(
    () => socket.getCipher().name,
    () => undefined,
  );
  const name = await shaken;
  socket.destroy();
  return name;
}

const OLD = ["ECDHE-RSA-AES256-SHA", "ECDHE-RSA-AES128-SHA256", "AES256-SHA", "AES128-SHA", "AES128-GCM-SHA256"];

test("TLS 1.2 has forward secrecy and authenticated encryption only, unless old suites are allowed", async () => {
  const [port, oldPort] = await Promise.all([listenTls(false), listenTls(true)]);
  expect(await Promise.all(OLD.map((name) => suite(port, name)))).toEqual(OLD.map(() => undefined));
  const wanted = ["ECDHE-RSA-AES256-SHA", "AES256-SHA", "AES128-SHA", "AES128-GCM-SHA256"];
  expect(await Promise.all(wanted.map((name) => suite(oldPort, name)))).toEqual(wanted);
});

test("the server's order of suites counts, old ones last", async () => {
  const [port, oldPort] = await Promise.all([listenTls(false), listenTls(true)]);
  const strong = "ECDHE-RSA-CHACHA20-POLY1305:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256";
  expect(await suite(port, strong)).toBe("ECDHE-RSA-AES128-GCM-SHA256");
  expect(await suite(oldPort, `AES128-SHA:ECDHE-RSA-AES128-SHA:${strong}`)).toBe("ECDHE-RSA-AES128-GCM-SHA256");
  expect(await suite(oldPort, "AES128-SHA:ECDHE-RSA-AES128-SHA")).toBe("ECDHE-RSA-AES128-SHA");
});

test("a client can't have the handshake done again", async () => {
  const port = await listenTls(false);
  const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false, maxVersion: "TLSv1.2" });
  await once(socket, "secureConnect");
  const error = await new Promise((resolve) => {
    socket.on("error", resolve);
    if (!socket.renegotiate({}, resolve)) resolve(undefined);
  });
  expect((error as NodeJS.ErrnoException).code).toMatch(/RENEGOTIATION/);
  socket.destroy();
});

test.each([
  ["says nothing", () => undefined],
  ["goes", (socket: Socket) => void socket.destroy()],
  ["ends its side and waits", (socket: Socket) => void socket.end()],
  ["resets", (socket: Socket) => void socket.resetAndDestroy()],
  ["speaks something else", (socket: Socket) => void socket.write("a NOOP\r\n")],
])("there is no handshake with a client that %s, and its socket is gone", async (_name, go) => {
  const tls = new Tls({ cert: "", key: "", folder: temporaryFolder(), minVersion: "TLSv1.2", oldSuites: false });
  await tls.reload();
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const client = connectTcp({ port: (server.address() as AddressInfo).port, host: "127.0.0.1", allowHalfOpen: true });
  client.on("error", () => client.destroy());
  const [socket] = (await once(server, "connection")) as [Socket];
  socket.on("error", () => socket.destroy());
  const gone = new Promise((resolve) => socket.once("close", resolve));
  go(client);
  expect(await shakeHands(socket, tls.context, 100)).toBeUndefined();
  await gone;
  client.destroy();
  server.close();
});
