import { JmapClient } from "../kit/jmap-client.ts";
import { deliver, LineClient } from "../kit/line-client.ts";
import type { BodyTerms } from "../kit/phone/folder.ts";
import { Phone } from "../kit/phone/phone.ts";
import type { Tree } from "../kit/phone/wbxml.ts";
import { DEMO, makeDataFolder, type RunningServer, removeDataFolder, startServer } from "../kit/server.ts";
import { append, mailOf, quantile } from "./activesync-mail.ts";
import { CountingProxy } from "./counting-proxy.ts";

/** Mails of the first Sync, and rounds of what is measured again and again. */
const MAILS = 3_000;
const ROUNDS = 30;
const TASK_ROUNDS = 7;

/** Cost of ActiveSync: a first Sync of 3,000 mails, the requests after it, and five everyday tasks by three protocols. */
export async function benchActiveSync(): Promise<string> {
  return `${await withServer(firstSync)}\n\n${await withServer(everydayTasks)}`;
}

async function withServer<T>(work: (server: RunningServer) => Promise<T>): Promise<T> {
  const data = await makeDataFolder();
  const server = await startServer(data, { env: { RESTANTE_HTTPS_TLS: "off" } });
  try {
    return await work(server);
  } finally {
    await server.stop();
    await removeDataFolder(data);
  }
}

function phoneOf(port: number, deviceId: string, body: readonly BodyTerms[], window = 100): Phone {
  const account = { user: DEMO.user, password: DEMO.password };
  const terms = { body, window, mime: 2 };
  return new Phone({ port, ...account, deviceId, deviceType: "iPhone", version: "16.1" }, terms);
}

async function signIn(port: number): Promise<LineClient> {
  const client = await LineClient.connect(port);
  await client.until(/\r\n/);
  await client.command(`LOGIN ${DEMO.user} ${DEMO.password}`);
  return client;
}

/** Delivers by LMTP; resolves with when it was acknowledged. */
async function deliverOne(port: number, mail: string): Promise<number> {
  const client = await LineClient.connect(port);
  await client.until(/\r\n/);
  client.send("LHLO bench\r\n");
  await client.until(/^250 .*\r\n/m);
  const [reply] = await deliver(client, [DEMO.user], mail);
  const at = performance.now();
  if (!reply?.startsWith("250")) throw new Error(`not delivered: ${reply}`);
  client.socket.destroy();
  return at;
}

const ms = (value: number): string => (value < 10 ? value.toFixed(1) : value.toFixed(0));

async function firstSync({ ports }: RunningServer): Promise<string> {
  const imap = await signIn(ports.imap!);
  await append(
    imap,
    Array.from({ length: MAILS }, (_, n) => mailOf(n)),
  );
  const proxy = await CountingProxy.start(ports.https!);
  const rows = [
    "| first Sync of 3,000 mails | items a second | octets an item | a request, p50 | p95 |",
    "|---|---|---|---|---|",
  ];
  const forms: readonly (readonly [name: string, body: BodyTerms, window: number])[] = [
    ["plain text, 512 octets, window 512", { type: 1, size: 512 }, 512],
    ["plain text, 512 octets, window 100", { type: 1, size: 512 }, 100],
    ["HTML, up to 200,000 octets, window 100", { type: 2, size: 200_000 }, 100],
    ["MIME, up to 200,000 octets, window 100", { type: 4, size: 200_000 }, 100],
  ];
  for (const [at, [name, body, window]] of forms.entries()) {
    using phone = phoneOf(proxy.port, `first${at}`, [body], window);
    await phone.setUp();
    const { inbox } = phone;
    await phone.sync([{ folder: inbox }]);
    const times: number[] = [];
    proxy.reset();
    for (let more = true; more; ) {
      const begun = performance.now();
      const { folders } = await phone.sync([{ folder: inbox }]);
      times.push(performance.now() - begun);
      more = folders.get(inbox.id)?.more ?? false;
    }
    const seconds = times.reduce((sum, one) => sum + one, 0) / 1000;
    const count = inbox.items.size;
    rows.push(
      `| ${name} | ${(count / seconds).toFixed(0)} | ${(proxy.down / count).toFixed(0)} | ${ms(quantile(times, 0.5))} ms | ${ms(quantile(times, 0.95))} ms |`,
    );
  }
  using phone = phoneOf(proxy.port, "after", [{ type: 1, size: 512 }], 512);
  await phone.setUp();
  await phone.syncAll(phone.inbox);
  const idle = await timesOf(ROUNDS, () => phone.sync([{ folder: phone.inbox }]));
  const flag = await timesOf(ROUNDS, async (round) => {
    await imap.command("SELECT INBOX");
    await imap.command(`STORE ${round + 1} +FLAGS (\\Flagged)`);
    const begun = performance.now();
    await phone.sync([{ folder: phone.inbox }]);
    return performance.now() - begun;
  });
  const push = await timesOf(10, async (round) => {
    const waits = phone.command("Ping", pingTree(phone.inbox.id));
    await new Promise((resolve) => setTimeout(resolve, 200));
    const delivered = await deliverOne(ports.lmtp!, mailOf(MAILS + round));
    await waits;
    const taken = performance.now() - delivered;
    await phone.sync([{ folder: phone.inbox }]);
    return taken;
  });
  await proxy.stop();
  imap.socket.destroy();
  rows.push(
    "",
    "| then | p50 | p95 |",
    "|---|---|---|",
    `| Sync with nothing new | ${ms(quantile(idle, 0.5))} ms | ${ms(quantile(idle, 0.95))} ms |`,
    `| Sync of one flag that IMAP changed | ${ms(quantile(flag, 0.5))} ms | ${ms(quantile(flag, 0.95))} ms |`,
    `| LMTP's 250 to Ping's answer (a second of it gathers what comes together) | ${ms(quantile(push, 0.5))} ms | ${ms(quantile(push, 0.95))} ms |`,
  );
  return rows.join("\n");
}

function pingTree(id: string): Tree {
  return ["Ping:Ping", ["HeartbeatInterval", "600"], ["Folders", ["Folder", ["Id", id], ["Class", "Email"]]]];
}

async function timesOf(rounds: number, work: (round: number) => Promise<unknown>): Promise<number[]> {
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const begun = performance.now();
    const own = await work(round);
    times.push(typeof own === "number" ? own : performance.now() - begun);
  }
  return times;
}

// Five everyday tasks

interface Cost {
  readonly trips: number;
  readonly octets: number;
  readonly ms: number;
}

const TASKS = [
  "first look",
  "a new mail seen",
  "a day's catch-up",
  "one mail read, with its file",
  "ten flagged and filed",
] as const;
type Task = (typeof TASKS)[number];
type Done = Readonly<Record<Task, Cost>>;

const FILE = Buffer.alloc(100_000, "0123456789abcdef").toString("base64").replace(/.{76}/g, "$&\r\n");

function mailWithFile(n: number): string {
  return [
    "From: ada@example.net",
    "To: demo@example.org",
    `Subject: with a file ${n}`,
    "MIME-Version: 1.0",
    "Content-Type: multipart/mixed; boundary=b",
    "",
    "--b",
    "",
    "See the file.",
    "--b",
    "Content-Type: application/octet-stream; name=file.bin",
    "Content-Transfer-Encoding: base64",
    "",
    FILE,
    "--b--",
    "",
  ].join("\r\n");
}

/** The same five tasks by each protocol, on one server, each round with new mail. */
async function everydayTasks(server: RunningServer): Promise<string> {
  const { ports } = server;
  const other = await signIn(ports.imap!);
  await append(
    other,
    Array.from({ length: 500 }, (_, n) => mailOf(n)),
  );
  const ways = { IMAP: byImap, JMAP: byJmap, ActiveSync: byActiveSync };
  const rows = ["| task | protocol | round trips | octets | ms, p50 |", "|---|---|---|---|---|"];
  const all = new Map<string, Done[]>();
  for (let round = 0; round < TASK_ROUNDS; round++)
    for (const [name, way] of Object.entries(ways)) {
      const done = await way(ports, other, round);
      all.set(name, [...(all.get(name) ?? []), done]);
    }
  for (const task of TASKS)
    for (const name of Object.keys(ways)) {
      const costs = all.get(name)!.map((done) => done[task]);
      const of = (part: keyof Cost): number =>
        quantile(
          costs.map((cost) => cost[part]),
          0.5,
        );
      rows.push(`| ${task} | ${name} | ${of("trips")} | ${of("octets")} | ${ms(of("ms"))} |`);
    }
  other.socket.destroy();
  return rows.join("\n");
}

/** Measures steps one after the other, each by what went through the proxy meanwhile. */
class Meter {
  readonly #proxy: CountingProxy;
  readonly #done: Partial<Record<Task, Cost>> = {};

  constructor(proxy: CountingProxy) {
    this.#proxy = proxy;
  }

  async step<T>(task: Task, work: () => Promise<T>): Promise<T> {
    this.#proxy.reset();
    const begun = performance.now();
    const result = await work();
    const { trips, up, down } = this.#proxy;
    this.#done[task] = { trips, octets: up + down, ms: performance.now() - begun };
    return result;
  }

  get done(): Done {
    return this.#done as Done;
  }
}

/** A day's changes by others. */
async function aDay(other: LineClient, n: number): Promise<void> {
  await append(
    other,
    Array.from({ length: 30 }, (_, at) => mailOf(n + at)),
  );
  await other.command("SELECT INBOX");
  await other.command("STORE 1:10 +FLAGS (\\Seen)");
  await other.command("STORE 1:10 -FLAGS (\\Seen)");
}

type Ports = RunningServer["ports"];

async function byImap(ports: Ports, other: LineClient, round: number): Promise<Done> {
  const proxy = await CountingProxy.start(ports.imap!);
  const meter = new Meter(proxy);
  const list = "(UID FLAGS ENVELOPE INTERNALDATE PREVIEW)";
  let client!: LineClient;
  const open = async (select: string): Promise<string> => {
    client = await LineClient.connect(proxy.port);
    await client.until(/\r\n/);
    await client.command(`LOGIN ${DEMO.user} ${DEMO.password}`);
    return client.command(select);
  };
  const selected = await meter.step("first look", async () => {
    const answer = await open("SELECT INBOX (CONDSTORE)");
    const count = Number(/(\d+) EXISTS/.exec(answer)![1]);
    await client.command(`FETCH ${Math.max(1, count - 49)}:${count} ${list}`);
    return answer;
  });
  const count = Number(/(\d+) EXISTS/.exec(selected)![1]);
  client.send("i IDLE\r\n");
  await client.until(/^\+[^\n]*\n/m);
  await meter.step("a new mail seen", async () => {
    await deliverOne(ports.lmtp!, mailOf(10_000 + round));
    await client.until(/EXISTS\r\n/);
    client.send("DONE\r\n");
    await client.until(/i OK[^\n]*\n/);
    await client.command(`FETCH ${count + 1} ${list}`);
  });
  const [, validity, modSeq] = /UIDVALIDITY (\d+)[\s\S]*HIGHESTMODSEQ (\d+)/.exec(
    await client.command("SELECT INBOX (CONDSTORE)"),
  )!;
  client.socket.destroy();
  await aDay(other, 20_000 + round * 100);
  await append(other, [mailWithFile(round)]);
  const caught = await meter.step("a day's catch-up", async () => {
    client = await LineClient.connect(proxy.port);
    await client.until(/\r\n/);
    client.send(`a LOGIN ${DEMO.user} ${DEMO.password}\r\nb ENABLE QRESYNC\r\n`);
    await client.until(/b OK[^\n]*\n/);
    await client.command(`SELECT INBOX (QRESYNC (${validity} ${modSeq}))`);
    return client.command(`UID FETCH 1:* ${list} (CHANGEDSINCE ${modSeq})`);
  });
  const last = [...caught.matchAll(/UID (\d+)/g)].at(-1)![1];
  await meter.step("one mail read, with its file", async () => {
    await client.command(`UID FETCH ${last} (BODYSTRUCTURE BODY[1])`);
    await client.command(`UID FETCH ${last} BINARY[2]`);
  });
  await meter.step("ten flagged and filed", async () => {
    client.send("x STORE 1:10 +FLAGS.SILENT (\\Flagged)\r\ny MOVE 1:10 Archive\r\n");
    await client.until(/y OK[^\n]*\n/);
  });
  client.socket.destroy();
  await proxy.stop();
  return meter.done;
}

const HEADLINES = [
  "threadId",
  "mailboxIds",
  "keywords",
  "from",
  "to",
  "subject",
  "receivedAt",
  "preview",
  "hasAttachment",
];

async function byJmap(ports: Ports, other: LineClient, round: number): Promise<Done> {
  const proxy = await CountingProxy.start(ports.https!);
  const meter = new Meter(proxy);
  const plain = await JmapClient.connect(ports.https!);
  const [inbox, archive] = [await plain.mailbox("inbox"), await plain.mailbox("archive")];
  const query = (limit: number): readonly [string, object, string] => [
    "Email/query",
    { filter: { inMailbox: inbox }, sort: [{ property: "receivedAt", isAscending: false }], limit },
    "q",
  ];
  const ids = { "#ids": { resultOf: "q", name: "Email/query", path: "/ids" }, properties: HEADLINES };
  const ask = async (client: JmapClient, ...calls: Parameters<JmapClient["request"]>[0]) =>
    (await client.request(calls)).methodResponses;
  const client = await meter.step("first look", async () => {
    const own = await JmapClient.connect(proxy.port);
    await ask(own, ["Mailbox/get", {}, "m"], query(50) as never, ["Email/get", ids, "g"]);
    return own;
  });
  const state = async (): Promise<string> => (await plain.call("Email/get", { ids: [] })).state;
  const changes = (since: string) =>
    ask(
      client,
      ["Email/changes", { sinceState: since }, "c"],
      ["Email/get", { "#ids": { resultOf: "c", name: "Email/changes", path: "/created" }, properties: HEADLINES }, "g"],
      [
        "Email/get",
        { "#ids": { resultOf: "c", name: "Email/changes", path: "/updated" }, properties: ["keywords", "mailboxIds"] },
        "u",
      ],
    );
  const before = await state();
  const stream = await fetch(`http://127.0.0.1:${proxy.port}/jmap/events?types=Email&closeafter=state&ping=0`, {
    headers: client.headers,
  });
  await meter.step("a new mail seen", async () => {
    await deliverOne(ports.lmtp!, mailOf(11_000 + round));
    await stream.text();
    await changes(before);
  });
  const since = await state();
  await aDay(other, 30_000 + round * 100);
  await append(other, [mailWithFile(round)]);
  await meter.step("a day's catch-up", () => changes(since));
  const [, found] = [0, (await plain.call("Email/query", query(11)[1] as never)).ids as readonly string[]];
  await meter.step("one mail read, with its file", async () => {
    const answers = await ask(client, [
      "Email/get",
      { ids: [found[0]], fetchTextBodyValues: true, properties: ["textBody", "attachments", "bodyValues"] },
      "0",
    ]);
    const [file] = answers[0][1].list[0].attachments;
    const reply = await fetch(
      `http://127.0.0.1:${proxy.port}/jmap/download/${client.accountId}/${file.blobId}/file.bin`,
      {
        headers: client.headers,
      },
    );
    await reply.arrayBuffer();
  });
  const patch = { "keywords/$flagged": true, [`mailboxIds/${inbox}`]: null, [`mailboxIds/${archive}`]: true };
  await meter.step("ten flagged and filed", () =>
    ask(client, ["Email/set", { update: Object.fromEntries(found.slice(1, 11).map((id) => [id, patch])) }, "0"]),
  );
  await proxy.stop();
  return meter.done;
}

async function byActiveSync(ports: Ports, other: LineClient, round: number): Promise<Done> {
  const proxy = await CountingProxy.start(ports.https!);
  const meter = new Meter(proxy);
  using phone = phoneOf(proxy.port, `task${round}`, [{ type: 1, size: 512 }], 50);
  await phone.options();
  await phone.provision();
  await meter.step("first look", async () => {
    await phone.folderSync();
    await phone.sync([{ folder: phone.inbox }]);
    await phone.sync([{ folder: phone.inbox }]);
  });
  await phone.syncAll(phone.inbox);
  const { inbox } = phone;
  const waits = phone.command("Ping", pingTree(inbox.id));
  await new Promise((resolve) => setTimeout(resolve, 200));
  await meter.step("a new mail seen", async () => {
    await deliverOne(ports.lmtp!, mailOf(12_000 + round));
    await waits;
    await phone.sync([{ folder: inbox }]);
  });
  await aDay(other, 40_000 + round * 100);
  await append(other, [mailWithFile(round)]);
  const known = new Set(inbox.items.keys());
  await meter.step("a day's catch-up", () => phone.syncAll(inbox));
  const fresh = [...inbox.items].filter(([id]) => !known.has(id));
  const [item] = fresh.find(([, properties]) => JSON.stringify(properties).includes("with a file"))!;
  await meter.step("one mail read, with its file", async () => {
    const { properties } = await phone.fetchItem(inbox, item, { type: 1 });
    const reference = /[\w-]{22}:[\d.]+/.exec(JSON.stringify(properties))![0];
    await phone.fetchAttachment(reference);
  });
  const ten = fresh
    .filter(([id]) => id !== item)
    .slice(0, 10)
    .map(([id]) => id);
  const archive = phone.named("Archive");
  await meter.step("ten flagged and filed", async () => {
    const flag: Tree = ["Email:Flag", ["Status", "2"], ["FlagType", "x"]];
    await phone.sync([{ folder: inbox, commands: ten.map((id) => ({ kind: "change", id, data: [flag] })) }]);
    await phone.move(inbox, archive, ...ten);
  });
  await proxy.stop();
  return meter.done;
}
