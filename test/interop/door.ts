import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { APP_PASSWORD, APP_USER } from "../kit/door-app.ts";
import { startDoorApp } from "../kit/door-process.ts";
import { makeDataFolder, removeDataFolder } from "../kit/server.ts";
import { assert, command, type Ran, temporaryFolder, until } from "./harness.ts";

export type DoorApp = Awaited<ReturnType<typeof startDoorApp>>;

/** Runs with an app behind the door. */
export async function withDoorApp(
  run: (app: DoorApp) => Promise<void>,
  env: Readonly<Record<string, string>> = {},
): Promise<void> {
  const data = await makeDataFolder();
  const app = await startDoorApp(data, env);
  try {
    await run(app);
    assert((await app.stop()) === 0, `the app ended badly: ${app.logs()}`);
  } finally {
    if (app.process.exitCode === null && app.process.signalCode === null) await app.kill();
    await removeDataFolder(data);
  }
}

export const OWNER: readonly string[] = ["--user", `${APP_USER}:${APP_PASSWORD}`];

/** curl against the door at `base`, by a version of HTTP. */
export function curlOf(base: string, version: "--http1.1" | "--http2") {
  return (path: string, ...args: readonly string[]): Promise<Ran> =>
    command("curl", ["-s", "-S", "-k", "--max-time", "30", version, ...args, base + path]);
}
export type Curl = ReturnType<typeof curlOf>;

export async function makeToken(curl: Curl): Promise<{ readonly token: string; readonly id: string }> {
  const json = ["-H", "Content-Type: application/json", "-d", '{"label":"curl"}'];
  const { out } = await curl("/auth/tokens", ...OWNER, ...json);
  const made = JSON.parse(out) as { token: string; id: string };
  assert(made.token.startsWith("rst_"), out);
  return made;
}

/** Use of the door by any HTTP client: the same at the door itself and through a proxy. */
export async function useDoor(app: DoorApp, base: string, version: "--http1.1" | "--http2"): Promise<void> {
  const curl = curlOf(base, version);
  const { token, id } = await makeToken(curl);
  const bearer = ["-H", `Authorization: Bearer ${token}`];
  const answer = await curl("/t", ...bearer, "-d", "x", "-w", " %{http_code} %{http_version}");
  const [, status, told] = / (\d+) ([\d.]+)$/.exec(answer.out) ?? [];
  assert(status === "200" && answer.out.length > 20_000, `${status} ${answer.err}`);
  assert(told === (version === "--http2" ? "2" : "1.1"), `HTTP version: ${told}`);
  const wrong = await curl("/t", "-d", "x", "-i");
  assert(/^www-authenticate: Bearer/im.test(wrong.out) && /problem\+json/.test(wrong.out), wrong.out);
  const file = join(await temporaryFolder("door"), "upload");
  await writeFile(file, randomBytes(20 * 2 ** 20));
  const upload = await curl("/t/upload", ...bearer, "--data-binary", `@${file}`, "-H", "Expect:");
  assert(upload.out.includes(`"size":${20 * 2 ** 20}`), upload.out + upload.err);
  await useEvents(app, base, version, token);
  const ended = await curl(`/auth/tokens/${id}`, ...OWNER, "-X", "DELETE", "-w", "%{http_code}");
  assert(ended.out === "204", ended.out);
  const refused = await curl("/t", ...bearer, "-d", "x", "-o", "/dev/null", "-w", "%{http_code}");
  assert(refused.out === "401", refused.out);
}

/** An event comes at once, and the stream ends with its token. */
async function useEvents(app: DoorApp, base: string, version: "--http1.1" | "--http2", token: string): Promise<void> {
  const { spawn } = await import("node:child_process");
  const args = ["-s", "-N", "-k", version, "-H", `Authorization: Bearer ${token}`, `${base}/t/events`];
  const child = spawn("curl", args);
  let text = "";
  child.stdout.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  try {
    await until("the stream's beginning", async () => text.includes("data: begun"));
    app.deliver();
    await until("an event", async () => text.includes("data: changed"));
  } finally {
    child.kill();
  }
}
