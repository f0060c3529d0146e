import { expect, test } from "vitest";
import { freePort } from "../interop/harness.ts";
import { connectImap } from "../kit/line-client.ts";
import { DEMO, makeDataFolder, removeDataFolder, startServer } from "../kit/server.ts";

test("processes that share their ports serve the same people, and one may end while the next has begun", async () => {
  const data = await makeDataFolder();
  const port = await freePort();
  const env = { RESTANTE_SERVER_SHARE_PORTS: "true", RESTANTE_IMAP_LISTEN: `127.0.0.1:${port}` };
  const append = async (text: string): Promise<void> => {
    const client = await connectImap(port, DEMO.user, DEMO.password);
    const answer = await client.command(`APPEND Drafts {${text.length}+}\r\n${text}`);
    expect(answer).toMatch(/^t\d+ OK \[APPENDUID /m);
    client.end();
  };
  let old = await startServer(data, { env });
  for (let round = 0; round < 2; round++) {
    const next = await startServer(data, { env });
    // The system deals connections out to both.
    for (let n = 0; n < 4; n++) await append(`Subject: ${round}-${n}\r\n\r\n`);
    expect(await old.stop(), old.logs()).toBe(0);
    await append(`Subject: ${round} after\r\n\r\n`);
    old = next;
  }
  const client = await connectImap(port, DEMO.user, DEMO.password);
  expect(await client.command("STATUS Drafts (MESSAGES UIDNEXT)")).toContain("(MESSAGES 10 UIDNEXT 11)");
  client.end();
  expect(await old.stop(), old.logs()).toBe(0);
  await removeDataFolder(data);
});
