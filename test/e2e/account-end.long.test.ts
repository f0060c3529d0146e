import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connectImap, connectLmtp, deliver } from "../kit/line-client.ts";
import { makeDataFolder, type RunningServer, removeDataFolder, restante, startServer } from "../kit/server.ts";

/** Mail programs that have an account open, when it is deleted beside the server. */
const ADA = "ada@example.org";
const PASSWORD = "a long sesame of words";

let data: string;
let server: RunningServer;
beforeAll(async () => {
  data = await makeDataFolder();
  server = await startServer(data);
  expect(await restante(data, ["account", "add", ADA, "--password-stdin"], `${PASSWORD}\n`)).toMatchObject({ code: 0 });
});
afterAll(async () => {
  await server.stop();
  await removeDataFolder(data);
});

test("who idles, who waits and who writes is told BYE, and nothing is answered OK that nobody can open", async () => {
  const [idling, waiting, writing] = await Promise.all(
    [1, 2, 3].map(() => connectImap(server.ports.imap!, ADA, `"${PASSWORD}"`)),
  );
  await Promise.all([idling, waiting, writing].map((client) => client!.command("SELECT INBOX")));
  idling!.send("i IDLE\r\n");
  await idling!.until(/^\+ .*\r\n/m);
  expect(await restante(data, ["account", "delete", ADA])).toMatchObject({
    code: 2,
    err: expect.stringMatching(/--yes/),
  });
  expect(await writing!.command("CREATE Before")).toMatch(/^t\d+ OK /m);
  expect(await restante(data, ["account", "delete", ADA, "--yes"])).toMatchObject({ code: 0 });
  for (const client of [idling!, waiting!]) {
    await client.until(/^\* BYE The account was deleted\r\n/m);
    await expect(client.until(/^never/m)).rejects.toThrow("ended");
  }
  await expect(writing!.command("CREATE After")).rejects.toThrow(/ended/);
  await expect(connectImap(server.ports.imap!, ADA, `"${PASSWORD}"`)).rejects.toThrow("AUTHENTICATIONFAILED");
  const lmtp = await connectLmtp(server.ports.lmtp!);
  expect(await deliver(lmtp, [ADA], "x\r\n")).toEqual([expect.stringMatching(/^550 5\.1\.1/)]);
  lmtp.end();
  // Another of the same address is another account.
  expect(await restante(data, ["account", "add", ADA, "--password-stdin"], `${PASSWORD}\n`)).toMatchObject({ code: 0 });
  const again = await connectImap(server.ports.imap!, ADA, `"${PASSWORD}"`);
  expect(await again.command('LIST "" *')).not.toContain("Before");
  again.end();
});

test("a host without the server's key gets none by that", async () => {
  const other = await makeDataFolder();
  expect(await restante(other, ["account", "add", ADA, "--password-stdin"], `${PASSWORD}\n`)).toMatchObject({
    code: 0,
  });
  expect(await restante(other, ["account", "delete", ADA, "--yes"])).toMatchObject({ code: 0, err: "" });
  expect(await readdir(join(other, "keys"))).not.toContain("server");
  await removeDataFolder(other);
});
