import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { constants, createDeflateRaw, createInflateRaw, deflateRawSync, inflateRawSync } from "node:zlib";
import { EngineError } from "@restante/engine";
import { expect, test } from "vitest";
import { Backlog } from "./backlog.ts";
import { Deflater, Inflater } from "./deflate.ts";
import { COMMAND_BYTES_MAX } from "./limits.ts";
import { Received, startTestServer } from "./test-kit.ts";
import { Transport } from "./transport.ts";

const accountOf = (ended: AbortController) => ({
  ended: ended.signal,
  close: () => undefined,
  refresh: async () => undefined,
});

/** A client that has turned compression on. */
class Client {
  readonly socket: Socket;
  text = "";
  readonly #deflate = createDeflateRaw();
  readonly #inflate = createInflateRaw();
  #packed: Uint8Array[] = [];

  constructor(socket: Socket) {
    this.socket = socket;
    this.#deflate.on("data", (bytes: Uint8Array) => this.#packed.push(bytes));
    this.#inflate.on("data", (bytes: Uint8Array) => {
      this.text += Buffer.from(bytes).toString("latin1");
    });
    socket.on("data", (bytes: Uint8Array) => {
      // As a network may bring it.
      for (const byte of bytes) this.#inflate.write(Uint8Array.of(byte));
    });
  }

  /** The text, compressed and flushed. */
  async pack(text: string): Promise<Buffer> {
    this.#deflate.write(text);
    await new Promise<void>((resolve) => this.#deflate.flush(constants.Z_SYNC_FLUSH, resolve));
    const packed = Buffer.concat(this.#packed);
    this.#packed = [];
    return packed;
  }

  async until(pattern: RegExp): Promise<string> {
    while (!pattern.test(this.text)) await new Promise((resolve) => setTimeout(resolve, 5));
    const text = this.text;
    this.text = "";
    return text;
  }
}

async function compressed(): Promise<{ client: Client; ended: AbortController }> {
  const ended = new AbortController();
  const server = await startTestServer({ account: accountOf(ended) });
  const socket = server.connect("imap");
  socket.write("a LOGIN u p\r\nb COMPRESS DEFLATE\r\n");
  let clear = "";
  while (!/^b OK .*\r\n/m.test(clear)) clear += String((await once(socket, "data"))[0]);
  return { client: new Client(socket), ended };
}

test("each answer can be read when it is there, though octets come one by one both ways", async () => {
  const { client } = await compressed();
  for (const byte of await client.pack("c NOOP\r\nd CAPABILITY\r\n")) {
    client.socket.write(Uint8Array.of(byte));
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(await client.until(/^d OK .*\r\n/m)).toMatch(/^c OK NOOP completed\r\n\* CAPABILITY .* COMPRESS=DEFLATE /);
  client.socket.write(await client.pack("e COMPRESS DEFLATE\r\n"));
  expect(await client.until(/^e .*\r\n/m)).toMatch(/^e NO \[COMPRESSIONACTIVE\]/);
  client.socket.write(await client.pack("f LOGOUT\r\n"));
  expect(await client.until(/^f .*\r\n/m)).toBe("* BYE Logging out\r\nf OK LOGOUT completed\r\n");
});

test("a session that ends is told why, compressed; what can't be read ends the connection", async () => {
  const { client, ended: session } = await compressed();
  session.abort(new EngineError("not-permitted", "your password was changed"));
  expect(await client.until(/^\* BYE .*\r\n/m)).toBe("* BYE Your password was changed\r\n");
  const { client: other } = await compressed();
  const ended = once(other.socket, "close");
  other.socket.write("c NOOP\r\n");
  await ended;
});

test("what comes out of little by the thousandfold is not kept: the line is dropped as it comes", async () => {
  const { client } = await compressed();
  const before = process.memoryUsage().rss;
  const bomb = await client.pack(`c ${"x".repeat(40 * 2 ** 20)}\r\nd NOOP\r\n`);
  expect(bomb.length).toBeLessThan(60_000);
  client.socket.write(bomb);
  expect(await client.until(/^d OK .*\r\n/m)).toMatch(/^c BAD /);
  expect(process.memoryUsage().rss - before).toBeLessThan(200 * 2 ** 20);
});

test("it works ahead of who reads by little", async () => {
  let taken = 0;
  const inflater = new Inflater({
    onData: (bytes) => {
      taken += bytes.length;
      inflater.pause();
    },
    onEnd: () => undefined,
    onDrain: () => undefined,
  });
  inflater.push(deflateRawSync(Buffer.alloc(50 * 2 ** 20)));
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(taken).toBeLessThan(COMMAND_BYTES_MAX);
  inflater.close();
});

test("what is sent refers to no octets further back than the window that a connection can afford", async () => {
  const deflater = new Deflater();
  const once = randomBytes(4_096);
  const packed = await deflater.pack([once, once]);
  deflater.close();
  const options = { windowBits: 11, chunkSize: 64, finishFlush: constants.Z_SYNC_FLUSH };
  expect(inflateRawSync(Buffer.concat(packed), options)).toEqual(Buffer.concat([once, once]));
});

test("pieces of any size come out as they went in, each flush whole", async () => {
  const deflater = new Deflater();
  let out = "";
  const inflater = new Inflater({
    onData: (bytes) => {
      out += Buffer.from(bytes).toString("latin1");
    },
    onEnd: () => undefined,
    onDrain: () => undefined,
  });
  let sent = "";
  for (const size of [1, 5, 4_095, 4_096, 4_097, 70_000, 3, 300_000]) {
    const text = Array.from({ length: size }, (_, at) => String.fromCharCode(32 + ((at * at * 31 + size) % 90))).join(
      "",
    );
    sent += text;
    for (const piece of await deflater.pack([
      Buffer.from(text.slice(0, size >> 1)),
      Buffer.from(text.slice(size >> 1)),
    ]))
      inflater.push(piece);
    while (out.length < sent.length) await new Promise((resolve) => setTimeout(resolve, 1));
    expect(out === sent).toBe(true);
  }
  deflater.close();
  await expect(deflater.pack([Buffer.from("x")])).rejects.toThrow();
  inflater.close();
});

test("a client that sends a bomb is held back while nobody reads, and all of it comes when somebody does", async () => {
  const listener = createServer();
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  const client = connect({ port: (listener.address() as AddressInfo).port, host: "127.0.0.1" });
  const [socket] = (await once(listener, "connection")) as [Socket];
  const transport = new Transport(socket, {
    backlog: new Backlog(1),
    drainMs: 1_000,
    inputBytesMax: () => 10_000,
    isFollowed: () => false,
    tell: () => undefined,
    onTimeout: () => undefined,
    onInput: () => undefined,
  });
  transport.compress();
  const size = 60 * 2 ** 20;
  client.write(deflateRawSync(randomBytes(2 ** 20), { finishFlush: constants.Z_SYNC_FLUSH }));
  client.end(deflateRawSync(Buffer.alloc(size)));
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(transport.input.length).toBeLessThan(50_000);
  let taken = 0;
  do {
    for (let bytes = transport.input.takeUpTo(2 ** 20); bytes; bytes = transport.input.takeUpTo(2 ** 20))
      taken += bytes.length;
  } while (await transport.input.more());
  expect(taken).toBe(size + 2 ** 20);
  transport.close();
  client.destroy();
  listener.close();
});

test("compression ends with who signs out, may begin anew, and what its flush ends with is no command", async () => {
  const { client } = await compressed();
  const packed = await client.pack("c UNAUTHENTICATE\r\n");
  // The text is whole before the last octets of it come.
  client.socket.write(packed.subarray(0, -4));
  expect(await client.until(/\r\n/)).toBe("c OK Signed out\r\n");
  const clear = new Received(client.socket.removeAllListeners("data"));
  for (const octet of packed.subarray(-4)) client.socket.write(Uint8Array.of(octet));
  client.socket.write("d NOOP\r\ne SELECT INBOX\r\nf LOGIN u p\r\n");
  expect(await clear.until(/^f .*\r\n/m)).toMatch(/^d OK .*\r\ne BAD .*\r\nf OK .*\r\n$/);
  client.socket.write("g COMPRESS DEFLATE\r\n");
  expect(await clear.until(/^g .*\r\n/m)).toBe("g OK DEFLATE active\r\n");
});
