import { expect, test } from "vitest";
import { APP_PASSWORD, APP_USER } from "../kit/door-app.ts";
import { startDoorApp } from "../kit/door-process.ts";
import { makeDataFolder, removeDataFolder } from "../kit/server.ts";

test("a stream ends when its token is ended by another process, and hears what that one is told of", async () => {
  const data = await makeDataFolder();
  const env = { APP_TLS: "off" };
  const one = await startDoorApp(data, env);
  const other = await startDoorApp(data, env);
  const [here, there] = [one, other].map(({ ports }) => `http://127.0.0.1:${ports.https}`) as [string, string];
  const owner = { authorization: `Basic ${Buffer.from(`${APP_USER}:${APP_PASSWORD}`).toString("base64")}` };
  const headers = { ...owner, "content-type": "application/json" };
  const made = await fetch(`${there}/auth/tokens`, { method: "POST", headers, body: '{"label":"x"}' });
  const { token, id } = (await made.json()) as { token: string; id: string };
  const bearer = { authorization: `Bearer ${token}` };
  const stream = await fetch(`${here}/t/events`, { headers: bearer });
  let text = "";
  let isOver = false;
  void (async () => {
    for await (const chunk of stream.body!) text += Buffer.from(chunk as Uint8Array).toString();
    isOver = true;
  })();
  await expect.poll(() => text, { timeout: 60_000 }).toContain("begun");
  other.deliver();
  await expect.poll(() => text, { timeout: 60_000 }).toContain("changed");
  expect((await fetch(`${there}/auth/tokens/${id}`, { method: "DELETE", headers: owner })).status).toBe(204);
  await expect.poll(() => isOver, { timeout: 60_000 }).toBe(true);
  expect((await fetch(`${here}/t`, { method: "POST", headers: bearer })).status).toBe(401);
  expect(await Promise.all([one.stop(), other.stop()])).toEqual([0, 0]);
  await removeDataFolder(data);
});
