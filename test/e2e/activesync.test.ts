import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { connectImap, type LineClient } from "../kit/line-client.ts";
import { Phone } from "../kit/phone/phone.ts";
import type { Version } from "../kit/phone/wire.ts";
import { playRounds } from "../kit/phone-rounds.ts";
import { Random } from "../kit/random.ts";
import { testSeed } from "../kit/seed.ts";
import { makeDataFolder, type RunningServer, removeDataFolder, restante, startServer } from "../kit/server.ts";

const PASSWORD = "tests-have-a-password";
const VERSIONS: readonly Version[] = ["12.1", "14.0", "14.1", "16.0", "16.1"];
const userOf = (name: string): string => `v${name.replace(".", "")}@example.org`;

let server: RunningServer;
beforeAll(async () => {
  const data = await makeDataFolder();
  for (const version of VERSIONS)
    await restante(data, ["account", "add", userOf(version), "--password-stdin"], `${PASSWORD}\n`);
  server = await startServer(data, { env: { RESTANTE_HTTPS_TLS: "off" } });
});
afterAll(async () => {
  expect(await server.stop()).toBe(0);
  expect(server.logs()).not.toContain("request failed");
  await removeDataFolder(server.data);
});

describe("a mail before 14.0, which has no ClientId", () => {
  const send = async (head: string): Promise<number> => {
    const user = userOf("12.1");
    const device = { deviceId: "OLD", deviceType: "Test", version: "12.1" } as const;
    using phone = new Phone({ port: server.ports.https!, user, password: PASSWORD, ...device });
    await phone.setUp();
    for (let time = 0; time < 2; time++)
      await phone.sendMail(`From: ${user}\r\nTo: ${user}\r\n${head}Subject: ${head.length}\r\n\r\ntext\r\n`);
    const sent = phone.ofType(5);
    await phone.syncAll(sent);
    return [...sent.items.values()].filter(({ Subject }) => Subject === String(head.length)).length;
  };
  test("is the same mail where it says which one it is", async () => {
    expect(await send("Date: Mon, 2 Mar 2026 10:00:00 +0000\r\n")).toBe(1);
    expect(await send("Message-ID: <one@phone.example>\r\n")).toBe(1);
  });
  test("is another where it does not", async () => expect(await send("")).toBe(2));
});

describe("a phone beside a mail program holds what a phone that comes now is given", () => {
  const seed = testSeed();
  test.each(VERSIONS)("%s", async (version) => {
    const random = new Random(seed + VERSIONS.indexOf(version));
    const user = userOf(version);
    let imap: LineClient | undefined;
    const counts = await playRounds({
      random,
      rounds: Number(process.env.ROUNDS ?? 6),
      user,
      password: PASSWORD,
      version,
      ports: () => server.ports,
      imap: async () => (imap ??= await connectImap(server.ports.imap!, user, PASSWORD)),
      loses: () => random.next() < 0.2,
    });
    imap?.end();
    console.log(version, JSON.stringify(counts));
    expect(counts.restarts).toBe(0);
  });
});
