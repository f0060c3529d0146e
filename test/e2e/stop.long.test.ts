import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { expect, test } from "vitest";
import { connectImap, connectLmtp } from "../kit/line-client.ts";
import { DEMO, makeDataFolder, removeDataFolder, restante, startServer } from "../kit/server.ts";

test("clients that say nothing don't keep a server from its orderly end", async () => {
  const data = await makeDataFolder();
  const server = await startServer(data);
  const lmtp = await connectLmtp(server.ports.lmtp!);
  const imap = await connectImap(server.ports.imap!, DEMO.user, DEMO.password);
  // One that had to be forced ends with another code.
  expect(await server.stop(), server.logs()).toBe(0);
  await lmtp.until(/^421 .*\r\n/m);
  await imap.until(/^\* BYE .*\r\n/m);
  for (const client of [lmtp, imap]) client.end();
  await removeDataFolder(data);
});

test("a server that can't listen on all of its ports ends, and says why", async () => {
  const data = await makeDataFolder();
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  const place = `127.0.0.1:${(other.address() as AddressInfo).port}`;
  const { code, err } = await restante(data, ["serve"], "", { RESTANTE_HTTPS_LISTEN: place });
  expect([code, err]).toEqual([3, `restante: https.listen: can't listen on ${place}: another process listens there\n`]);
  other.close();
  await removeDataFolder(data);
});
