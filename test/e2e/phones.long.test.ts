import { readdirSync, readFileSync } from "node:fs";
import { cp } from "node:fs/promises";
import { basename, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { playDialogue } from "../kit/phone/dialogue.ts";
import { Phone } from "../kit/phone/phone.ts";
import { Wire } from "../kit/phone/wire.ts";
import { makeDataFolder, type RunningServer, removeDataFolder, restante, startServer } from "../kit/server.ts";

const FOLDER = join(import.meta.dirname, "../dialogues");
const PASSWORD = "tests-have-a-password";
const scenes = readdirSync(FOLDER).map((file) => basename(file, ".txt"));
const userOf = (scene: string): string => `${scene}@example.org`;

/** One where all answers come, one where each is lost at first. */
const servers: RunningServer[] = [];
beforeAll(async () => {
  const accounts = await makeDataFolder();
  for (const scene of scenes)
    await restante(accounts, ["account", "add", userOf(scene), "--password-stdin"], `${PASSWORD}\n`);
  for (let number = 0; number < 2; number++) {
    const data = await makeDataFolder();
    await cp(accounts, data, { recursive: true });
    servers.push(await startServer(data, { env: { RESTANTE_HTTPS_TLS: "off" } }));
  }
  await removeDataFolder(accounts);
});
afterAll(async () => {
  for (const server of servers) {
    expect(await server.stop()).toBe(0);
    expect(server.logs()).not.toContain("request failed");
    await removeDataFolder(server.data);
  }
});

function wireTo({ ports }: RunningServer, scene: string): Wire {
  const device = { deviceId: "FRESH", deviceType: "Test", version: "16.1" } as const;
  return new Wire({ port: ports.https!, user: userOf(scene), password: PASSWORD, ...device });
}

async function play(server: RunningServer, scene: string, loses: boolean): Promise<void> {
  using wire = wireTo(server, scene);
  const text = readFileSync(join(FOLDER, `${scene}.txt`), "utf8");
  await playDialogue(text, { ports: server.ports, user: userOf(scene), password: PASSWORD, wire, loses });
}

/** Mails that a phone is told which comes now: each by the properties that can be the same on two servers. */
async function seenAfresh(server: RunningServer, scene: string): Promise<readonly string[]> {
  using phone = new Phone(wireTo(server, scene).options, { body: [{ type: 1 }] });
  await phone.setUp();
  await phone.syncEverything();
  return phone.mailFolders
    .flatMap(({ name, items }) =>
      [...items.values()].map(({ Subject, Read, Flag, Body, IsDraft, LastVerbExecuted }) =>
        JSON.stringify({ name, Subject, Read, Flag, Body, IsDraft, LastVerbExecuted }),
      ),
    )
    .sort();
}

describe.each(scenes)("%s", (scene) => {
  test("is answered as its dialogue has it", () => play(servers[0]!, scene, false));

  test("is answered so where every answer is lost at first, and nothing is lost or doubled", async () => {
    await play(servers[1]!, scene, true);
    const [whole, lossy] = await Promise.all(servers.map((server) => seenAfresh(server, scene)));
    expect(whole!.length).toBeGreaterThan(1);
    expect(lossy).toEqual(whole);
  });
});
