import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { connectImap, connectLmtp, deliver } from "../kit/line-client.ts";
import { DEMO, makeDataFolder, removeDataFolder, restante, startServer } from "../kit/server.ts";

test("another's key in the users folder: no mail is sealed to it, its owner is told and has their own again", async () => {
  const data = await makeDataFolder();
  const server = await startServer(data);
  const send = async (to: string): Promise<string> => {
    const lmtp = await connectLmtp(server.ports.lmtp!);
    const [reply] = await deliver(lmtp, [to], "Subject: x\r\n\r\nx\r\n");
    lmtp.end();
    return reply!;
  };
  expect(await send(DEMO.user)).toMatch(/^250/);
  const eve = "eve@example.org";
  const made = await restante(data, ["account", "add", eve, "--password-stdin"], "a long enough secret\n");
  expect(made.code).toBe(0);
  const file = (address: string): string => join(data, "users", `${encodeURIComponent(address)}.json`);
  const own = await readFile(file(DEMO.user), "utf8");
  const recordOf = async (address: string): Promise<Buffer> => {
    const { publicKey } = JSON.parse(await readFile(file(address), "utf8")) as { publicKey: string };
    return Buffer.from(publicKey, "base64");
  };
  // Eve's key under the other's account id: both stand at the same place of a record.
  const forged = await recordOf(eve);
  (await recordOf(DEMO.user)).copy(forged, 3, 3, 19);
  await writeFile(file(DEMO.user), JSON.stringify({ address: DEMO.user, publicKey: forged.toString("base64") }));
  expect(await send(DEMO.user)).toMatch(/^451 /);
  expect(server.logs()).toContain('"event":"recipient record refused"');
  expect(server.logs()).toContain('"event":"delivery refused"');
  const imap = await connectImap(server.ports.imap!, DEMO.user, DEMO.password);
  const selected = await imap.command("SELECT INBOX");
  const last = /\* (\d+) EXISTS/.exec(selected)![1]!;
  const notice = await imap.command(`FETCH ${last} BODY[]`);
  expect(notice).toContain("Subject: Your address led to another key");
  expect(notice).toContain("All mail that waits for you now could be opened");
  imap.end();
  expect(await readFile(file(DEMO.user), "utf8")).toBe(own);
  expect(await send(DEMO.user)).toMatch(/^250/);
  // An address that is given away: this host knows, and trusts by hand what it did not see made.
  expect((await restante(data, ["account", "delete", eve, "--yes"])).out).toContain(`lmtp trust ${eve}`);
  expect((await restante(data, ["account", "add", eve, "--password-stdin"], "a long enough secret\n")).code).toBe(0);
  expect(await send(eve)).toMatch(/^250/);
  const users = await readdir(join(data, "users"));
  await writeFile(file(eve), JSON.stringify({ address: eve, publicKey: forged.toString("base64") }));
  expect(await send(eve)).toMatch(/^451 /);
  expect((await restante(data, ["lmtp", "trust", eve])).code).toBe(1);
  expect(await readdir(join(data, "users"))).toEqual(users);
  expect(await server.stop()).toBe(0);
  await removeDataFolder(data);
});
