import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createTransport } from "nodemailer";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { JmapClient } from "../kit/jmap-client.ts";
import { connectImap, connectLmtp, deliver } from "../kit/line-client.ts";
import { Phone } from "../kit/phone/phone.ts";
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

test("the dashboard asks for what there is", async () => {
  const dashboard = readFileSync(join(import.meta.dirname, "../../docker/grafana/restante.json"), "utf8");
  const asked = new Set(
    [...dashboard.matchAll(/\b(?:restante|nodejs|process)_\w+/g)].map(([name]) =>
      name.replace(/_(?:bucket|sum|count)$/, ""),
    ),
  );
  const [, text] = await ask("/metrics");
  const told = new Set([...text.matchAll(/^# TYPE (\w+) /gm)].map(([, name]) => name));
  // A bucket has one.
  told.add("restante_cache");
  expect(asked.size).toBeGreaterThan(10);
  expect([...asked].filter((name) => !told.has(name))).toEqual([]);
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
  await client.command("NONSENSE in-a-wrong-place");
  client.end();
  expect((await ended)[0]).toBe(0);
  expect(shown).toMatch(/imap C: \S+ SELECT "\[5\]"/);
  expect(shown).toMatch(/imap S: \* 1 FETCH \(UID 1 ENVELOPE .* BODY\[\] \[\d+ octets\]/);
  expect(shown).toMatch(/imap C: \S+ SEARCH SUBJECT \[redacted\] TEXT "\[6\]"/);
  expect(shown).not.toMatch(/Welcome|sealed|wrong-place|welcome@|restante-demo/);
});

describe("what comes over HTTPS, and what goes out", () => {
  let house: RunningServer;
  beforeAll(async () => {
    house = await startServer(await makeDataFolder(), {
      env: { RESTANTE_METRICS_LISTEN: "127.0.0.1:0", RESTANTE_HTTPS_TLS: "off", RESTANTE_LOG_LEVEL: "debug" },
    });
  });
  afterAll(async () => {
    await house.stop();
    await removeDataFolder(house.data);
  });
  const metrics = async (): Promise<readonly string[]> => {
    const reply = await fetch(`http://127.0.0.1:${house.ports.metrics}/metrics`, { headers: { connection: "close" } });
    return (await reply.text()).split("\n");
  };

  test("is counted by method and command, and can be followed without contents", async () => {
    const trace = spawnRestante(house.data, ["trace", "demo"]);
    let shown = "";
    trace.stdout.on("data", (chunk: Buffer) => {
      shown += chunk.toString();
    });
    const ended = once(trace, "exit");
    await once(trace.stderr, "data");
    const client = await JmapClient.connect(house.ports.https!);
    while (!shown.includes("Mailbox/get")) {
      await client.call("Mailbox/get");
      await new Promise((resolve) => setImmediate(resolve));
    }
    await client.call("Email/query", { filter: { subject: "Welcome" } });
    await expect(client.call("Email/nonsense")).rejects.toThrow("unknownMethod");
    await client.call("Email/query", { filter: { nonsense: "Welcome" } }).catch(() => undefined);
    using phone = new Phone({
      port: house.ports.https!,
      user: DEMO.user,
      password: DEMO.password,
      deviceId: "WATCHED",
      deviceType: "Test",
      version: "16.1",
    });
    await phone.setUp();
    await phone.syncAll(phone.ofType(2));
    await phone.sendMail(`From: ${DEMO.user}\r\nTo: ${DEMO.user}\r\nSubject: by a phone\r\n\r\nWelcome\r\n`);
    const smtp = createTransport({
      host: "127.0.0.1",
      port: house.ports.submissions!,
      secure: true,
      tls: { rejectUnauthorized: false },
      auth: { user: DEMO.user, pass: DEMO.password },
    });
    await smtp.sendMail({ from: DEMO.user, to: DEMO.user, subject: "by a program", text: "Welcome" });
    await expect(smtp.sendMail({ from: "eve@example.org", to: DEMO.user, text: "x" })).rejects.toThrow("550");
    smtp.close();
    await expect.poll(metrics, { timeout: 60_000 }).toContain('restante_outgoing_recipients_total{outcome="sent"} 2');
    await expect.poll(metrics, { timeout: 60_000 }).toContain("restante_waiting_mails 0");
    const lines = await metrics();
    for (const line of [
      'restante_command_seconds_count{protocol="jmap",command="unknown",outcome="unknownMethod"} 1',
      'restante_command_seconds_count{protocol="jmap",command="Email/query",outcome="ok"} 1',
      'restante_command_seconds_count{protocol="jmap",command="Email/query",outcome="unsupportedFilter"} 1',
      'restante_command_seconds_count{protocol="activesync",command="SendMail",outcome="ok"} 1',
      'restante_submissions_total{code="250"} 1',
      'restante_submissions_total{code="550"} 1',
    ])
      expect(lines).toContain(line);
    expect(lines.join("\n")).not.toMatch(/demo|WATCHED|Welcome|nonsense|example\.org/);
    const unknown = `http://127.0.0.1:${house.ports.https}/Microsoft-Server-ActiveSync?Cmd=Nonsense&User=demo&DeviceId=D&DeviceType=T`;
    await fetch(unknown, { method: "POST", headers: { ...client.headers, "ms-asprotocolversion": "16.1" } });
    expect(await metrics()).toContain(
      'restante_command_seconds_count{protocol="activesync",command="unknown",outcome="137"} 1',
    );
    await client.call("Thread/get", { ids: [] });
    // Lines that came just before its end are shown too.
    trace.kill("SIGINT");
    expect((await ended)[0]).toBe(0);
    const asked = shown.replaceAll(/^.* Mailbox\/get .*\n/gm, "");
    expect(asked).toMatch(/ jmap C: Email\/query \{accountId:"\w+",filter:\{subject:\[7\]\}\}\n/);
    expect(asked).toMatch(/ jmap S: Email\/query \{.*ids:\["[\w-]+"/);
    expect(asked).toMatch(/ activesync C: Sync device=WATCHED <AirSync:Sync>.*<SyncKey>\d+<\/>/);
    expect(asked).toMatch(/ activesync S: ok <AirSync:Sync>/);
    expect(asked).toMatch(
      / submission C: MAIL FROM:<\[16\]>.*\n.* C: RCPT TO:<\[16\]>\n.* C: DATA \[\d+\]\n.* S: 250 \w+\n/,
    );
    expect(asked).toMatch(/ submission S: 550 /);
    expect(asked).toMatch(/ jmap S: Thread\/get /);
    expect(shown).not.toMatch(/Welcome|by a |eve@|restante-demo|welcome@/);
  });

  test("a session is one line, which says which commands came", async () => {
    const client = await JmapClient.connect(house.ports.https!);
    await client.call("Mailbox/get");
    // A session is kept for a while for the next request; with the server it ends.
    expect(await house.stop()).toBe(0);
    const sessions = house
      .logs()
      .split("\n")
      .filter((line) => line.includes('"event":"session"'))
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(house.logs()).toMatch(/"level":"debug","event":"signed in",.*"protocol":"https"/);
    expect(sessions).toContainEqual(
      expect.objectContaining({
        level: "info",
        protocol: "https",
        user: DEMO.user,
        commands: expect.objectContaining({
          "jmap Mailbox/get": expect.any(Number),
          "activesync Sync": expect.any(Number),
        }),
      }),
    );
  });
});
