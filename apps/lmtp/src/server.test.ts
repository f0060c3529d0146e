import { once } from "node:events";
import { type AddressInfo, connect } from "node:net";
import { type Dropbox, EngineError, type Handover } from "@restante/engine";
import { test, vi } from "vitest";
import { createLmtpServer } from "./server.ts";

const LINE = `${"x".repeat(76)}\r\n`;
/** More than any buffer on the way holds. */
const MESSAGE_LINES = 100_000;

/** A dropbox that reads a little, then finds the store full. */
const full: Pick<Dropbox, "deliver"> = {
  async deliver(_before, message) {
    await message[Symbol.asyncIterator]().next();
    throw new EngineError("over-quota", "the store is full");
  },
};

/** A server, and a connection to it. `until` reads on to what matches. */
async function setUp() {
  const handover = { settle: () => undefined, abandon: () => undefined } as unknown as Handover;
  const server = createLmtpServer({
    findDropbox: async () => full as Dropbox,
    connect: () => handover,
    rules: { aliases: {}, delimiter: "+", catchAll: "" },
    sizeMax: 2 ** 30,
    serverName: "test",
    log: () => undefined,
  });
  const listener = server.makeListener();
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  const socket = connect((listener.address() as AddressInfo).port, "127.0.0.1");
  let received = "";
  socket.setEncoding("latin1").on("data", (text: string) => {
    received += text;
  });
  const until = async (pattern: RegExp): Promise<void> => {
    while (!pattern.test(received)) await once(socket, "data");
    received = "";
  };
  const quit = async (): Promise<void> => {
    socket.end("QUIT\r\n");
    await until(/^221 /m);
    await server.stop();
  };
  return { socket, until, quit };
}

test("a large message that is refused before it was read is answered, and the connection goes on", async () => {
  const { socket, until, quit } = await setUp();
  await until(/^220 /m);
  socket.write("LHLO x\r\n");
  await until(/^250 /m);
  for (let round = 0; round < 2; round++) {
    socket.write("MAIL FROM:<>\r\nRCPT TO:<a@x>\r\nDATA\r\n");
    await until(/^354 /m);
    socket.write(`${LINE.repeat(MESSAGE_LINES)}.\r\n`);
    await until(/^452 4\.2\.2 .*full/m);
  }
  await quit();
});

test("a client is greeted at once, and once", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  try {
    const { socket, until, quit } = await setUp();
    await until(/^220 [^\n]*\n$/);
    vi.advanceTimersByTime(1000);
    socket.write("LHLO x\r\n");
    await until(/^250-[\s\S]*\n250 [^\n]*\n$/);
    await quit();
  } finally {
    vi.useRealTimers();
  }
});
