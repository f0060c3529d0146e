import { cp, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { callSending, holdMail } from "../kit/held-mail.ts";
import { JmapClient, type Json } from "../kit/jmap-client.ts";
import { connectImap } from "../kit/line-client.ts";
import { Random } from "../kit/random.ts";
import { DEMO, makeDataFolder, removeDataFolder, restante, startServer } from "../kit/server.ts";
import { openSink, type Sink } from "../kit/sink.ts";

/** A backup with mail in its queue: what waited may have gone since, and never goes a second time. */
const HOUR_MS = 60 * 60_000;
let data: string;
let sink: Sink;
let env: Readonly<Record<string, string>>;

beforeEach(async () => {
  data = await makeDataFolder();
  sink = await openSink(new Random(1), 0, 0);
  env = { RESTANTE_HTTPS_TLS: "off", RESTANTE_OUTBOUND_SMARTHOST: `smtp://127.0.0.1:${sink.port}` };
});
afterEach(async () => {
  sink.close();
  await removeDataFolder(data);
});

async function inbox(port: number): Promise<string> {
  const imap = await connectImap(port, DEMO.user, DEMO.password);
  await imap.command("SELECT INBOX");
  const text = await imap.command("FETCH 1:* BODY.PEEK[]");
  imap.end();
  return text;
}

test.each([true, false])(
  "after a restore nothing that waited is sent, and its owner has it (with the server key: %s)",
  async (hasKey) => {
    const first = await startServer(data, { env });
    const client = await JmapClient.connect(first.ports.https!);
    const [held, canceled] = [await holdMail(client, `held ${hasKey}`), await holdMail(client, `canceled ${hasKey}`)];
    await callSending(client, "EmailSubmission/set", { update: { [canceled]: { undoStatus: "canceled" } } });
    const kept = join(data, `kept-${hasKey}`);
    expect(await restante(data, ["backup", kept], "", env)).toMatchObject({ code: 0 });
    expect(await first.stop()).toBe(0);
    // It goes after the backup was made.
    const later = await startServer(data, { env, clockShiftMs: 2 * HOUR_MS });
    await expect.poll(() => sink.taken.get(`held ${hasKey}`)?.length, { timeout: 30_000 }).toBe(1);
    expect(await later.stop()).toBe(0);

    await rename(join(data, "store"), join(data, `away-${hasKey}`));
    if (!hasKey) await Promise.all([`${kept}.server`, join(data, "keys/server")].map((path) => rm(path)));
    const restored = await restante(data, ["restore", kept, "--json"], "", env);
    expect([restored.code, restored.err]).toEqual([0, ""]);
    expect(JSON.parse(restored.out).aside).toBe(hasKey ? 1 : 0);
    const again = await startServer(data, { env, clockShiftMs: 2 * HOUR_MS });
    const owner = await JmapClient.connect(again.ports.https!);
    const state = async (id: string): Promise<Json> =>
      (await callSending(owner, "EmailSubmission/get", { ids: [id] })).list[0];
    await expect.poll(async () => (await state(held)).undoStatus, { timeout: 30_000 }).toBe("final");
    expect((await state(held)).deliveryStatus["x@sink.example"]).toMatchObject({
      delivered: "unknown",
      smtpReply: expect.stringContaining("backup"),
    });
    expect((await state(canceled)).undoStatus).toBe("canceled");
    const told = await inbox(again.ports.imap!);
    expect(told.match(/^Subject: A message may not have been sent/gm)).toHaveLength(1);
    expect(told).toContain("x@sink.example");
    // Its copy is in Sent in any case.
    expect(told.includes(`the words of held ${hasKey}`)).toBe(hasKey);
    // Mail that is submitted now goes.
    await delay(1_000);
    expect(sink.taken.get(`held ${hasKey}`)).toHaveLength(1);
    expect(sink.taken.has(`canceled ${hasKey}`)).toBe(false);
    expect(await again.stop()).toBe(0);
  },
  120_000,
);

test("a store that was put back by hand sends nothing a second time", async () => {
  const first = await startServer(data, { env });
  await holdMail(await JmapClient.connect(first.ports.https!), "by hand");
  expect(await first.stop()).toBe(0);
  await cp(join(data, "store"), join(data, "kept"), { recursive: true });
  const later = await startServer(data, { env, clockShiftMs: 2 * HOUR_MS });
  await expect.poll(() => sink.taken.get("by hand")?.length, { timeout: 30_000 }).toBe(1);
  expect(await later.stop()).toBe(0);
  await rename(join(data, "store"), join(data, "away"));
  await rename(join(data, "kept"), join(data, "store"));
  const again = await startServer(data, { env, clockShiftMs: 2 * HOUR_MS });
  await expect.poll(() => again.logs(), { timeout: 30_000 }).toContain("what waits to be sent is of an older history");
  const sealed = async (): Promise<string> => (await restante(data, ["check", "--sealed"], "", env)).out;
  await expect.poll(sealed, { timeout: 30_000 }).not.toContain(" outbound/queue/");
  expect(await again.stop()).toBe(0);
  expect(sink.taken.get("by hand")).toHaveLength(1);
}, 120_000);
