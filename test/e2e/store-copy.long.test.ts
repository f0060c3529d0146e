import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { S3Double } from "@restante/engine/testing";
import { afterEach, beforeEach, expect, test } from "vitest";
import { connectImap, connectLmtp, deliver } from "../kit/line-client.ts";
import { makeDataFolder, type RunningServer, removeDataFolder, restante, startServer } from "../kit/server.ts";

/** Accounts that move between a folder and a bucket. */

const ADA = { user: "ada@example.org", password: "a-long-enough-sesame" } as const;

let double: S3Double;
let data: string;
beforeEach(async () => {
  double = await S3Double.start();
  data = await makeDataFolder();
  await writeFile(join(data, "old.toml"), `[server]\ndata = "${data}"\n`);
  await writeFile(join(data, "new.toml"), `[server]\ndata = "${data}"\n${bucketSettings()}`);
});
afterEach(async () => {
  await double.stop();
  await removeDataFolder(data);
});

function bucketSettings(): string {
  const { endpoint, bucket, accessKey, secretKey } = double.settings;
  const keys = { endpoint, bucket, access_key: accessKey, secret_key: secretKey };
  const lines = Object.entries(keys).map(([key, value]) => `${key} = "${value}"\n`);
  return `[storage]\nkind = "s3"\n[s3]\n${lines.join("")}`;
}

/** Everything that a client sees of INBOX, but for what each server tells once. */
async function look({ ports }: RunningServer): Promise<string> {
  const client = await connectImap(ports.imap!, ADA.user, ADA.password);
  const selected = await client.command("SELECT INBOX");
  const fetched = await client.command("FETCH 1:* (UID FLAGS INTERNALDATE BODY.PEEK[])");
  await client.command("LOGOUT");
  const messages = fetched.slice(0, fetched.lastIndexOf("t3 OK")).replaceAll(/ ?\\Recent/g, "");
  return `${/UIDVALIDITY \d+/.exec(selected)![0]}\n${messages}`;
}

async function send({ ports }: RunningServer, subject: string, lines = 1): Promise<void> {
  const client = await connectLmtp(ports.lmtp!);
  const mail = `Subject: ${subject}\r\n\r\n${"0123456789abcdef\r\n".repeat(lines)}`;
  expect(await deliver(client, [ADA.user], mail)).toEqual([expect.stringMatching(/^250/)]);
  client.end();
}

const move = (from: string, to: string) => restante(data, ["store", "copy", from, to]);
const check = (config: string, place = data) =>
  restante(place, ["--config", join(data, config), "check", ADA.user, "--password-stdin"], `${ADA.password}\n`);

test("from a folder to a bucket beside a running server, and on to another host's folder: nothing is lost or changed", async () => {
  const added = ["--config", "old.toml", "account", "add", ADA.user, "--password-stdin"];
  expect(await restante(data, added, `${ADA.password}\n`)).toMatchObject({ code: 0 });
  const server = await startServer(data, { args: ["--config", "old.toml"] });
  await send(server, "small");
  await send(server, "large", 20_000);
  const client = await connectImap(server.ports.imap!, ADA.user, ADA.password);
  await client.command("SELECT INBOX");
  expect(await client.command("STORE 1 +FLAGS (\\Flagged)")).toMatch(/OK/);
  await send(server, "waiting");
  const before = await look(server);

  expect(await move("old.toml", "new.toml")).toMatchObject({
    code: 0,
    err: "",
    out: expect.stringMatching(/^ada@example\.org: \d+ objects copied, 0 were there\n/),
  });
  await client.until(/^\* BYE The account lies in another store now\r\n/m);
  await expect(connectImap(server.ports.imap!, ADA.user, ADA.password)).rejects.toThrow("[UNAVAILABLE]");
  await send(server, "late");
  expect(await server.stop()).toBe(0);

  const moved = await startServer(data, { args: ["--config", "new.toml"] });
  expect(await look(moved)).toBe(before);
  expect((await move("old.toml", "new.toml")).out).toMatch(/: 1 objects copied/);
  const after = await look(moved);
  expect(after.startsWith(before)).toBe(true);
  expect(after).toContain("Subject: late");
  expect(await moved.stop()).toBe(0);
  expect(await check("new.toml")).toMatchObject({ code: 0, out: expect.stringMatching(/ 0 damaged\n$/) });

  const other = join(data, "other");
  await mkdir(join(other, "keys"), { recursive: true });
  await writeFile(join(data, "other.toml"), `[server]\ndata = "${other}"\n`);
  expect((await move("new.toml", "other.toml")).err).toMatch(/pepper/);
  await copyFile(join(data, "keys/pepper"), join(other, "keys/pepper"));
  const { err } = await move("new.toml", "other.toml");
  const trusted = /trusted_hosts = \[.*\]/.exec(err)![0];
  await writeFile(join(data, "other.toml"), `[server]\ndata = "${other}"\n[login]\n${trusted}\n`);
  expect(await move("new.toml", "other.toml")).toMatchObject({ code: 0, err: "" });
  expect(await check("other.toml", other)).toMatchObject({ code: 0, out: expect.stringMatching(/ 0 damaged\n$/) });
  expect(await check("new.toml")).toMatchObject({ code: 3, err: expect.stringMatching(/lies in another store now/) });
  const there = await startServer(other, { args: ["--config", join(data, "other.toml")] });
  expect(await look(there)).toBe(after);
  await there.stop();
});
