import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { shakeHands } from "./handshake.ts";
import { makeTls } from "./https/door-kit.ts";

test("who does not shake hands in time is let go", async () => {
  const { context } = await makeTls();
  const server = createServer().listen(0, "127.0.0.1");
  onTestFinished(() => void server.close());
  await once(server, "listening");
  const client = connect((server.address() as AddressInfo).port, "127.0.0.1");
  onTestFinished(() => void client.destroy());
  const [socket] = (await once(server, "connection")) as [Socket];
  const gone = once(client, "close");
  expect(await shakeHands(socket, context, 20)).toBeUndefined();
  expect(socket.destroyed).toBe(true);
  client.resume();
  await gone;
});
