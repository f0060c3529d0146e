import { afterAll, beforeAll, expect, test } from "vitest";
import { JmapClient } from "../kit/jmap-client.ts";
import { connectImap } from "../kit/line-client.ts";
import { DEMO, makeDataFolder, type RunningServer, removeDataFolder, startServer } from "../kit/server.ts";

/** The demo account brings a few messages of its own: so many more fit. */
const MORE = 2;
let server: RunningServer;
let used: number;

beforeAll(async () => {
  const data = await makeDataFolder();
  const first = await startServer(data, { env: { RESTANTE_HTTPS_TLS: "off" } });
  const client = await JmapClient.connect(first.ports.https!);
  used = (await client.call("Email/query", {})).ids.length;
  expect(await first.stop()).toBe(0);
  server = await startServer(data, {
    env: {
      RESTANTE_HTTPS_TLS: "off",
      RESTANTE_SERVER_ORIGIN: "https://mail.example.org",
      RESTANTE_QUOTA_MESSAGES: String(used + MORE),
      RESTANTE_QUOTA_BYTES: "10485760",
    },
  });
});
afterAll(async () => {
  await server.stop();
  await removeDataFolder(server.data);
});

test("IMAP, JMAP and the engine tell the same of what an account holds, and a full one refuses APPEND and goes on", async () => {
  const imap = await connectImap(server.ports.imap!, DEMO.user, DEMO.password);
  const before = await imap.command("GETQUOTAROOT INBOX");
  expect(before).toMatch(/^\* QUOTAROOT INBOX ""\r\n/m);
  expect(before).toMatch(/^\* QUOTA "" \(STORAGE \d+ 10240 MESSAGE \d+ \d+\)\r\n/m);
  expect(before).toContain(`MESSAGE ${used} ${used + MORE})`);
  const append = (): Promise<string> => imap.command("APPEND INBOX {14+}\r\nSubject: x\r\n\r\n");
  for (let n = 0; n < MORE; n++) expect(await append()).toMatch(/ OK \[APPENDUID /);
  expect(await append()).toMatch(/ NO \[OVERQUOTA\] /);
  expect(await imap.command('GETQUOTA ""')).toContain(`MESSAGE ${used + MORE} ${used + MORE})`);
  const client = await JmapClient.connect(server.ports.https!);
  const using = ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:quota"];
  const { methodResponses } = await client.request([["Quota/get", { ids: ["qcount"] }, "0"]], using);
  expect(methodResponses[0][1].list).toMatchObject([{ used: used + MORE, hardLimit: used + MORE }]);
  await imap.command("SELECT INBOX");
  expect(await imap.command("COPY 1 Trash")).toMatch(/ OK \[COPYUID /);
  imap.end();
});

test("IMAP says where JMAP is, and JMAP is there", async () => {
  const imap = await connectImap(server.ports.imap!, DEMO.user, DEMO.password);
  const answer = await imap.command("GETJMAPACCESS");
  expect(answer).toMatch(/^\* JMAPACCESS "https:\/\/mail\.example\.org\/\.well-known\/jmap"\r\n/);
  const { session } = await JmapClient.connect(server.ports.https!);
  expect(session.apiUrl).toBe("https://mail.example.org/jmap");
  imap.end();
});
