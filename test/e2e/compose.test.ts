import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { composeConfig, readCompose, readImage } from "../kit/compose.ts";
import { makeDataFolder, removeDataFolder, startServer } from "../kit/server.ts";

const compose = readCompose();
const services = Object.entries(compose.services);

test("docker/compose.yml has Garage, Postfix and Restante, and each image is built from what is here", () => {
  expect(Object.keys(compose.services).sort()).toEqual(["garage", "postfix", "restante"]);
  for (const [name, service] of services) {
    const { folder, dockerfile, command, sources } = readImage(service);
    expect(existsSync(dockerfile), dockerfile).toBe(true);
    expect(command.length, name).toBeGreaterThan(0);
    for (const source of sources) expect(existsSync(join(folder, source)), `${name}: ${source}`).toBe(true);
    for (const volume of service.volumes) expect(compose.volumes).toHaveProperty(volume.split(":")[0]!);
  }
});

test("what is published is published on loopback, and what asks nobody who they are, LMTP and the way out, is not", () => {
  const published = services.flatMap(([, { ports }]) => ports ?? []);
  expect(published.map((port) => port.split(":").at(-1))).toEqual(["1993", "8443", "1465", "25"]);
  for (const port of published) expect(port).toMatch(/^127\.0\.0\.1:/);
});

test("services find each other by the ports on which they listen", () => {
  const { postfix, restante } = compose.services;
  const [, lmtpPort] = restante!.environment.RESTANTE_LMTP_LISTEN!.split(":");
  expect(postfix!.environment.LMTP).toBe(`inet:restante:${lmtpPort}`);
  expect(restante!.environment.RESTANTE_OUTBOUND_SMARTHOST).toBe("smtp://postfix:10025");
  const { folder } = readImage(postfix!);
  expect(readFileSync(join(folder, "start.sh"), "utf8")).toContain("RELAY_PORT:-10025");
  for (const [name, inner] of [
    ["IMAPS", "1993"],
    ["HTTPS", "8443"],
    ["SUBMISSIONS", "1465"],
  ])
    expect(restante!.environment[`RESTANTE_${name}_LISTEN`]).toBe(`0.0.0.0:${inner}`);
  const { garage } = compose.services;
  expect(restante!.environment.RESTANTE_S3_BUCKET).toBe(garage!.environment.GARAGE_DEFAULT_BUCKET);
  expect(restante!.environment.RESTANTE_S3_ACCESS_KEY).toBe(garage!.environment.GARAGE_DEFAULT_ACCESS_KEY);
  expect(restante!.environment.RESTANTE_S3_SECRET_KEY).toBe(garage!.environment.GARAGE_DEFAULT_SECRET_KEY);
});

test("a compose client takes the file", async ({ annotate }) => {
  const config = composeConfig();
  if (!config) {
    const loud =
      "NO `docker compose` HERE: compose.yml was parsed, and no client has seen it; test:interop installs one";
    console.warn(loud);
    await annotate(loud, "warning");
    return;
  }
  expect(config, config.client).toMatchObject({ code: 0, out: expect.stringContaining("RESTANTE_LMTP_LISTEN") });
});

test("Restante's image: its command starts what is here, on the embedded store, and its signal ends it well", async () => {
  const { command, environment } = readImage(compose.services.restante!);
  expect(command).toEqual(["node", "/opt/restante/apps/cli/src/main.ts", "serve"]);
  expect(environment).toEqual({ RESTANTE_SERVER_DATA: "/data" });
  const { RESTANTE_IMAP_LISTEN } = compose.services.restante!.environment;
  const data = await makeDataFolder();
  try {
    const server = await startServer(data, {
      args: command.slice(3),
      env: { RESTANTE_IMAP_LISTEN: RESTANTE_IMAP_LISTEN! },
    });
    expect(Object.keys(server.ports).sort()).toEqual(["https", "imaps", "lmtp", "submission", "submissions"]);
    expect(await server.stop()).toBe(0);
  } finally {
    await removeDataFolder(data);
  }
});
