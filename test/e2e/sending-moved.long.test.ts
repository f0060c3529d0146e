import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { callSending, holdMail } from "../kit/held-mail.ts";
import { JmapClient } from "../kit/jmap-client.ts";
import { Random } from "../kit/random.ts";
import { DEMO, makeDataFolder, removeDataFolder, restante, startServer } from "../kit/server.ts";
import { openSink, type Sink } from "../kit/sink.ts";

/** Mail that waits while its account moves to another store, is checked, and is deleted. */
const HOUR_MS = 60 * 60_000;
let data: string;
let other: string;
let sink: Sink;

beforeEach(async () => {
  data = await makeDataFolder();
  other = join(data, "other");
  sink = await openSink(new Random(1), 0, 0);
  const sends = `[https]\ntls = "off"\n[outbound]\nsmarthost = "smtp://127.0.0.1:${sink.port}"\n`;
  await mkdir(join(other, "keys"), { recursive: true });
  await writeFile(join(data, "old.toml"), `[server]\ndata = "${data}"\n${sends}`);
  // Another server key, and this host's key to sign by.
  await writeFile(join(data, "new.toml"), `[server]\ndata = "${other}"\n${sends}`);
});
afterEach(async () => {
  sink.close();
  await removeDataFolder(data);
});

const old = { args: ["--config", "old.toml"] };
const fresh = () => ({ args: ["--config", join(data, "new.toml")] });

/** Names below `outbound/` that the operator's check shows, by kind. */
async function checked(place: string, config: string): Promise<Readonly<Record<string, number>>> {
  const { code, out, err } = await restante(place, ["--config", join(data, config), "check", "--sealed"]);
  expect([code, err]).toEqual([0, ""]);
  const kinds: Record<string, number> = {};
  for (const [, kind] of out.matchAll(/ outbound\/(\w+)\/\S+$/gm)) kinds[kind!] = (kinds[kind!] ?? 0) + 1;
  return kinds;
}

test("it goes along, is sent once by whoever serves, and ends with its account", async () => {
  const added = ["--config", "old.toml", "account", "add", DEMO.user, "--password-stdin"];
  expect(await restante(data, added, `${DEMO.password}\n`)).toMatchObject({ code: 0 });
  const first = await startServer(data, old);
  const client = await JmapClient.connect(first.ports.https!);
  const [held, canceled] = [await holdMail(client, "held"), await holdMail(client, "canceled")];
  await callSending(client, "EmailSubmission/set", { update: { [canceled]: { undoStatus: "canceled" } } });
  for (const key of ["pepper", "lmtp"]) await copyFile(join(data, "keys", key), join(other, "keys", key));
  await expect.poll(() => checked(data, "old.toml"), { timeout: 10_000 }).toMatchObject({ queue: 1, done: 1 });

  const moved = await restante(data, ["store", "copy", "old.toml", "new.toml"]);
  expect(moved).toMatchObject({
    code: 0,
    err: "",
    out: expect.stringContaining(", 1 messages that wait to be sent\n"),
  });
  expect(await checked(data, "old.toml")).toEqual({ done: 2 });
  expect(await checked(other, "new.toml")).toEqual({ queue: 1 });
  expect(await first.stop()).toBe(0);

  // Both serve, and an hour is over.
  const shift = { clockShiftMs: 2 * HOUR_MS };
  const [here, there] = [
    await startServer(data, { ...old, ...shift }),
    await startServer(other, { ...fresh(), ...shift }),
  ];
  await expect.poll(() => sink.taken.get("held")?.length, { timeout: 30_000 }).toBe(1);
  const owner = await JmapClient.connect(there.ports.https!);
  const status = async (id: string): Promise<string> =>
    (await callSending(owner, "EmailSubmission/get", { ids: [id] })).list[0].undoStatus;
  await expect.poll(() => status(held), { timeout: 30_000 }).toBe("final");
  expect(await status(canceled)).toBe("canceled");

  const late = await holdMail(owner, "late");
  expect(late).not.toBe(held);
  expect(await checked(other, "new.toml")).toMatchObject({ queue: 1 });
  const gone = await restante(other, ["--config", join(data, "new.toml"), "account", "delete", DEMO.user, "--yes"]);
  expect([gone.code, gone.err]).toEqual([0, ""]);
  expect(Object.keys(await checked(other, "new.toml"))).toEqual(["done"]);
  expect([await here.stop(), await there.stop()]).toEqual([0, 0]);
  expect([sink.taken.get("held")?.length, sink.taken.has("canceled"), sink.taken.has("late")]).toEqual([
    1,
    false,
    false,
  ]);
}, 120_000);
