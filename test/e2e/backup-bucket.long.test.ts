import { rm } from "node:fs/promises";
import { join } from "node:path";
import { S3Double } from "@restante/engine/testing";
import { afterEach, beforeEach, expect, test } from "vitest";
import { connectImap, connectLmtp, deliver } from "../kit/line-client.ts";
import { messageOf } from "../kit/load.ts";
import { DEMO, makeDataFolder, type RunningServer, removeDataFolder, restante, startServer } from "../kit/server.ts";
import { storeEnvironment } from "../stores/store-server.ts";

let double: S3Double;
let data: string;
let env: Readonly<Record<string, string>>;
beforeEach(async () => {
  double = await S3Double.start();
  data = await makeDataFolder();
  env = storeEnvironment({ ...double.settings, key: double.settings });
});
afterEach(async () => {
  await double.stop();
  await removeDataFolder(data);
});

/** UIDVALIDITY of INBOX, and the subjects there. */
async function look({ ports }: RunningServer): Promise<{ readonly uidValidity: number; readonly subjects: string[] }> {
  const client = await connectImap(ports.imap!, DEMO.user, DEMO.password);
  const selected = await client.command("SELECT INBOX");
  const answer = await client.command("FETCH 1:* BODY.PEEK[HEADER.FIELDS (SUBJECT)]");
  client.end();
  const subjects = [...answer.matchAll(/^Subject: ([^\r]*)/gm)].map((match) => match[1]!);
  return { uidValidity: Number(/UIDVALIDITY (\d+)/.exec(selected)![1]), subjects };
}

async function checked(place: string, by: Readonly<Record<string, string>>): Promise<void> {
  const result = await restante(place, ["check", DEMO.user, "--password-stdin"], `${DEMO.password}\n`, by);
  expect(result).toMatchObject({ code: 0, err: "", out: expect.stringContaining(" 0 damaged") });
}

test("accounts of a bucket and a folder are backed up beside a server under load, and come back into an empty place", async () => {
  const both = { ...env, RESTANTE_STORAGE_LOG_KIND: "embedded" };
  const server = await startServer(data, { env: both });
  const client = await connectLmtp(server.ports.lmtp!);
  const ids: string[] = [];
  let isOver = false;
  const load = (async () => {
    while (!isOver) {
      expect((await deliver(client, [DEMO.user], messageOf(`b${ids.length}`)))[0]).toMatch(/^250/);
      ids.push(`b${ids.length}`);
    }
  })();
  while (ids.length < 5) await new Promise((resolve) => setTimeout(resolve, 20));
  const sure = [...ids];
  expect(await restante(data, ["backup", "kept"], "", both)).toMatchObject({ code: 0, err: "" });
  isOver = true;
  await load;
  client.end();
  const before = await look(server);
  expect(await server.stop()).toBe(0);
  const refused = await restante(data, ["restore", "kept"], "", both);
  expect(refused).toMatchObject({ code: 1, err: expect.stringMatching(/such an account/) });
  double.objects.clear();
  await rm(join(data, "store"), { recursive: true });
  expect(await restante(data, ["restore", "kept"], "", both)).toMatchObject({ code: 0, err: "" });
  const restored = await startServer(data, { env: both });
  const after = await look(restored);
  expect(new Set(after.subjects).size).toBe(after.subjects.length);
  expect(after.subjects).toEqual(expect.arrayContaining(sure));
  expect(before.subjects).toEqual(expect.arrayContaining(after.subjects));
  expect(after.uidValidity).toBeGreaterThan(before.uidValidity);
  expect(await restored.stop()).toBe(0);
  await checked(data, both);
});

test("a backup of a bucket comes back into a folder, and one of a folder into a bucket", async () => {
  const server = await startServer(data, { env });
  expect(await server.stop()).toBe(0);
  expect(await restante(data, ["backup", "kept"], "", env)).toMatchObject({ code: 0, err: "" });
  double.objects.clear();
  const fresh = join(data, "fresh");
  expect(await restante(data, ["restore", "kept"], "", { RESTANTE_SERVER_DATA: fresh })).toMatchObject({
    code: 0,
    err: "",
  });
  await checked(data, { RESTANTE_SERVER_DATA: fresh });
  expect(await restante(data, ["backup", "again"], "", { RESTANTE_SERVER_DATA: fresh })).toMatchObject({
    code: 0,
    err: "",
  });
  expect(await restante(data, ["restore", "again"], "", env)).toMatchObject({ code: 0, err: "" });
  await checked(data, env);
});
