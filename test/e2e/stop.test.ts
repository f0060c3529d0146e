import { expect, test } from "vitest";
import { connectImap, connectLmtp } from "../kit/line-client.ts";
import { DEMO, makeDataFolder, removeDataFolder, startServer } from "../kit/server.ts";

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
