import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { playDialogue } from "../kit/phone/dialogue.ts";
import { Wire } from "../kit/phone/wire.ts";
import { makeDataFolder, type RunningServer, removeDataFolder, restante, startServer } from "../kit/server.ts";

const FOLDER = join(import.meta.dirname, "../dialogues");
const PASSWORD = "tests-have-a-password";
const scenes = readdirSync(FOLDER).map((file) => basename(file, ".txt"));
const userOf = (scene: string): string => `${scene}@example.org`;

let data: string;
let server: RunningServer;
beforeAll(async () => {
  data = await makeDataFolder();
  for (const scene of scenes)
    await restante(data, ["account", "add", userOf(scene), "--password-stdin"], `${PASSWORD}\n`);
  server = await startServer(data, { env: { RESTANTE_HTTPS_TLS: "off" } });
});
afterAll(async () => {
  expect(await server.stop()).toBe(0);
  await removeDataFolder(data);
});

describe("the dialogues of phones, as octets", () => {
  test.each(scenes)("%s", async (scene) => {
    const user = userOf(scene);
    using wire = new Wire({
      port: server.ports.https!,
      user,
      password: PASSWORD,
      deviceId: "unused",
      deviceType: "unused",
      version: "16.1",
    });
    const text = readFileSync(join(FOLDER, `${scene}.txt`), "utf8");
    await playDialogue(text, { ports: server.ports, user, password: PASSWORD, wire });
  });
});
