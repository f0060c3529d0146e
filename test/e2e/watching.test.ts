import { once } from "node:events";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connectImap, connectLmtp, deliver } from "../kit/line-client.ts";
import {
  DEMO,
  makeDataFolder,
  type RunningServer,
  removeDataFolder,
  spawnRestante,
  startServer,
} from "../kit/server.ts";

let data: string;
let server: RunningServer;
beforeAll(async () => {
  data = await makeDataFolder();
  server = await startServer(data, { env: { RESTANTE_METRICS_LISTEN: "127.0.0.1:0" } });
});
afterAll(async () => {
  await server.stop();
  await removeDataFolder(data);
});

async function ask(path: string): Promise<readonly [number, string]> {
  const response = await fetch(`http://127.0.0.1:${server.ports.metrics}${path}`, { headers: { connection: "close" } });
  return [response.status, await response.text()];
}

/** The metric's value; 0 where it isn't told. */
async function metric(name: string): Promise<number> {
  const [, text] = await ask("/metrics");
  return Number(
    text
      .split("\n")
      .find((line) => line.startsWith(`${name} `))
      ?.slice(name.length + 1) ?? 0,
  );
}

test("what people and Postfix do is counted, and no user is named", async () => {
  expect(await ask("/readyz")).toEqual([200, "ready\n"]);
  expect(await ask("/healthz")).toEqual([200, "alive\n"]);
  const client = await connectImap(server.ports.imap!, DEMO.user, DEMO.password);
  await client.command("SELECT INBOX");
  await client.command("NONSENSE");
  await expect(connectImap(server.ports.imap!, DEMO.user, "wrong-password")).rejects.toThrow();
  const lmtp = await connectLmtp(server.ports.lmtp!);
  await deliver(lmtp, [DEMO.user], "Subject: x\r\n\r\nx\r\n");
  expect(await deliver(lmtp, ["nobody@example.org"], "Subject: x\r\n\r\nx\r\n")).toEqual([
    expect.stringMatching(/^550 /),
  ]);
  lmtp.end();
  const [, text] = await ask("/metrics");
  expect(await metric('restante_command_seconds_count{protocol="imap",command="SELECT",outcome="OK"}')).toBe(1);
  expect(await metric('restante_command_seconds_count{protocol="imap",command="unknown",outcome="BAD"}')).toBe(1);
  expect(await metric('restante_sign_ins_total{protocol="imap",outcome="ok"}')).toBe(1);
  expect(await metric('restante_sign_ins_total{protocol="imap",outcome="not-permitted"}')).toBe(1);
  expect(await metric('restante_deliveries_total{code="250"}')).toBeGreaterThanOrEqual(1);
  expect(await metric("restante_open_accounts")).toBe(1);
  expect(await metric('restante_connections{kind="signed_in"}')).toBe(1);
  expect(await metric('restante_store_seconds_count{store="embedded",operation="create"}')).toBeGreaterThan(0);
  expect(await metric("restante_certificate_end_seconds")).toBeGreaterThan(Date.now() / 1000);
  for (const name of [
    "restante_waiting_deliveries",
    "nodejs_eventloop_lag_p99_seconds",
    "process_resident_memory_bytes",
  ])
    expect(text).toMatch(new RegExp(`^${name} `, "m"));
  expect(text).not.toMatch(/demo|nobody|example\.org/);
  client.end();
});

test("a session is one line of the log", async () => {
  const client = await connectImap(server.ports.imap!, DEMO.user, DEMO.password);
  await client.command("SELECT INBOX");
  await client.command("NOOP");
  await client.command("LOGOUT");
  client.end();
  const lines = (): string[] =>
    server
      .logs()
      .split("\n")
      .filter((line) => line.includes('"event":"session"'));
  while (!lines().some((line) => line.includes("NOOP"))) await once(server.process.stderr!, "data");
  const line = JSON.parse(lines().find((text) => text.includes("NOOP"))!) as Record<string, unknown>;
  expect(line).toMatchObject({ level: "info", protocol: "imap", user: DEMO.user, address: "127.0.0.1" });
  expect(line.commands).toEqual({ LOGIN: 1, SELECT: 1, NOOP: 1, LOGOUT: 1 });
});

test("a dialogue can be followed from outside, without secrets and contents, until its time is over", async () => {
  const trace = spawnRestante(data, ["trace", "demo", "--minutes", "0.05"]);
  let shown = "";
  trace.stdout.on("data", (chunk: Buffer) => {
    shown += chunk.toString();
  });
  const ended = once(trace, "exit") as Promise<[number]>;
  await once(trace.stderr, "data");
  // The server hears of it by its folder, at some time.
  const client = await connectImap(server.ports.imap!, DEMO.user, DEMO.password);
  while (!shown.includes("NOOP")) {
    await client.command("NOOP");
    await new Promise((resolve) => setImmediate(resolve));
  }
  await client.command('SELECT "INBOX"');
  const fetched = await client.command("FETCH 1 (UID ENVELOPE BODY[])");
  expect(fetched).toContain("Subject: Welcome");
  await client.command('SEARCH SUBJECT Welcome TEXT "sealed"');
  client.end();
  expect((await ended)[0]).toBe(0);
  expect(shown).toMatch(/imap C: \S+ SELECT "\[5\]"/);
  expect(shown).toMatch(/imap S: \* 1 FETCH \(UID 1 ENVELOPE .* BODY\[\] \[\d+ octets\]/);
  expect(shown).toMatch(/imap C: \S+ SEARCH SUBJECT \[redacted\] TEXT "\[6\]"/);
  expect(shown).not.toMatch(/Welcome|sealed|welcome@|restante-demo/);
});
