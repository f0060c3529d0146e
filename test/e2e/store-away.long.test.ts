import { S3Double } from "@restante/engine/testing";
import { afterEach, beforeEach, expect, test } from "vitest";
import { connectLmtp, deliver, LineClient } from "../kit/line-client.ts";
import { DEMO, makeDataFolder, type RunningServer, removeDataFolder, restante, startServer } from "../kit/server.ts";
import { storeEnvironment } from "../stores/store-server.ts";

/** A remote store that goes away and comes back under a server with open sessions. */

let double: S3Double;
let data: string;
let server: RunningServer;

beforeEach(async () => {
  double = await S3Double.start();
  data = await makeDataFolder();
  server = await startServer(data, { env: environment() });
});
afterEach(async () => {
  if (server.process.exitCode === null) await server.kill();
  await double.stop();
  await removeDataFolder(data);
});

function environment(): Readonly<Record<string, string>> {
  return storeEnvironment({ ...double.settings, key: double.settings });
}

/** Nothing listens there while `work` runs; then all is as it was. */
async function away(work: () => Promise<void>): Promise<void> {
  const port = Number(new URL(double.settings.endpoint).port);
  await double.stop();
  await work();
  await double.listen({ port });
}

async function signIn(): Promise<LineClient> {
  const client = await LineClient.connect(server.ports.imap!);
  await client.until(/^\* OK .*\r\n/m);
  expect(await client.command(`LOGIN ${DEMO.user} ${DEMO.password}`)).toMatch(/OK/);
  return client;
}

test("while the store is away changes get a temporary failure, sessions stay, and all goes on by itself", async () => {
  const lmtp = await connectLmtp(server.ports.lmtp!);
  const large = `Subject: large\r\n\r\n${"0123456789abcdef\r\n".repeat(20_000)}`;
  expect(await deliver(lmtp, [DEMO.user], large)).toEqual([expect.stringMatching(/^250/)]);
  const imap = await signIn();
  const exists = /\* (\d+) EXISTS/.exec(await imap.command("SELECT INBOX"))![1]!;
  const body = await imap.command(`FETCH ${exists} BODY.PEEK[TEXT]`);
  expect(body).toContain("0123456789abcdef");

  await away(async () => {
    expect(await imap.command(`STORE ${exists} +FLAGS (\\Flagged)`)).toMatch(/^t\d+ NO \[UNAVAILABLE\]/m);
    expect(await imap.command("CREATE New")).toMatch(/^t\d+ NO \[UNAVAILABLE\]/m);
    // A body that was read is near.
    expect(untagged(await imap.command(`FETCH ${exists} BODY.PEEK[TEXT]`))).toBe(untagged(body));
    expect(await imap.command(`FETCH ${exists} (FLAGS ENVELOPE)`)).toMatch(/FLAGS \(\\Recent\)|FLAGS \(\)/);
    const [reply] = await deliver(lmtp, [DEMO.user], "Subject: later\r\n\r\nhello\r\n");
    expect(reply).toMatch(/^451 4/);
    const other = await LineClient.connect(server.ports.imap!);
    await other.until(/^\* OK .*\r\n/m);
    expect(await other.command(`LOGIN ${DEMO.user} ${DEMO.password}`)).toMatch(/NO \[UNAVAILABLE\]/);
    other.end();
  });

  expect(await imap.command(`STORE ${exists} +FLAGS (\\Flagged)`)).toMatch(/\\Flagged[\s\S]*^t\d+ OK/m);
  const [reply] = await deliver(lmtp, [DEMO.user], "Subject: later\r\n\r\nhello\r\n");
  expect(reply).toMatch(/^250/);
  expect(await imap.command("NOOP")).toContain(`* ${Number(exists) + 1} EXISTS`);
  imap.end();
  lmtp.end();
  expect(await server.stop()).toBe(0);
  const check = await restante(data, ["check", DEMO.user, "--password-stdin"], `${DEMO.password}\n`, environment());
  expect(check.out).toContain("0 damaged");
  // A check is of the store, not of what is kept near.
  for (const key of double.objects.keys()) if (key.includes("/body/")) double.objects.delete(key);
  const damaged = await restante(data, ["check", DEMO.user, "--password-stdin"], `${DEMO.password}\n`, environment());
  expect([damaged.code, damaged.out]).toEqual([1, expect.stringContaining("1 damaged")]);
});

test("an IDLE that is told of a change asks the store nothing for that", async () => {
  const [idler, writer] = [await signIn(), await signIn()];
  expect(await idler.command("SELECT INBOX")).toMatch(/^t\d+ OK/m);
  idler.send("i1 IDLE\r\n");
  await idler.until(/^\+ .*\r\n/m);
  const { requests } = double;
  const append = async (): Promise<void> => {
    expect(await writer.command("APPEND INBOX {4+}\r\na\r\n\r\n")).toMatch(/^t\d+ OK/m);
    await idler.until(/^\* \d+ EXISTS\r\n/m);
  };
  // Requests of the sessions' beginning are answered by then.
  await append();
  const begun = requests.length;
  for (let n = 0; n < 5; n++) await append();
  // Looks for what other processes wrote are lists of one name.
  const asked = requests.slice(begun).filter(({ query }) => query.get("max-keys") !== "1");
  const entries = asked.filter(({ method, key }) => method === "PUT" && key.includes("/log/"));
  expect(entries).toHaveLength(5);
  expect(asked).toEqual(entries);
  idler.end();
  writer.end();
});

/** The answer before its tagged line. */
function untagged(answer: string): string {
  return answer.slice(0, answer.lastIndexOf("\r\nt"));
}

test("a server starts while the store is away, and serves once it is there", async () => {
  const env = environment();
  await server.stop();
  await away(async () => {
    server = await startServer(data, { env });
    const lmtp = await connectLmtp(server.ports.lmtp!);
    expect((await deliver(lmtp, [DEMO.user], "Subject: x\r\n\r\nx\r\n"))[0]).toMatch(/^451 4/);
    lmtp.end();
  });
  const imap = await signIn();
  expect(await imap.command("SELECT INBOX")).toMatch(/\* 3 EXISTS/);
  imap.end();
});

test("a store that lies about create-if-absent is refused, by the server and by commands, and why is said", async () => {
  await server.stop();
  double.objects.clear();
  double.creates = "lying";
  for (const args of [["serve"], ["account", "add", "ada@example.org", "--password-stdin"]]) {
    const { code, err } = await restante(data, args, DEMO.password, environment());
    expect([code, err]).toEqual([2, expect.stringContaining("merge mode")]);
  }
  expect([...double.objects.keys()]).toEqual(["store/creates"]);
});
