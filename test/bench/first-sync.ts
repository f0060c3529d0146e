import { chmodSync, readFileSync } from "node:fs";
import { temporaryFolder } from "../interop/harness.ts";
import { connectImap } from "../kit/line-client.ts";
import { decode, encode, type Node, type Tree } from "../kit/phone/wbxml.ts";
import { Wire } from "../kit/phone/wire.ts";
import { DEMO, makeDataFolder, removeDataFolder, startServer } from "../kit/server.ts";
import { append, mailOf, quantile } from "./activesync-mail.ts";
import { type Contender, startContender } from "./contender.ts";
import { CountingProxy } from "./counting-proxy.ts";

/** Mails of the first Sync, and rounds, in which each server has its turn with each window. */
const MAILS = 3_000;
const ROUNDS = 3;
const WINDOWS = [512, 100] as const;
const TEXT_BYTES = 512;
const BREAKS_MAX = 200;
/** Both speak it. */
const VERSION = "14.1";

/** Others that speak ActiveSync, by name. */
export const PHONE_PEERS: Readonly<Record<string, Contender>> = { sogo: { script: "sogo.sh", flags: [], notes: "" } };

/** A server whose one account holds the mails. */
interface Target {
  readonly notes: string;
  readonly proxy: CountingProxy;
  readonly user: string;
  readonly password: string;
  readonly path?: string;
  /** It has policies, and is held to what was asked for. */
  readonly isOurs: boolean;
}

interface Measured {
  readonly itemsPerSecond: number;
  readonly octetsPerItem: number;
  /** Milliseconds of each request. */
  readonly times: readonly number[];
}

/** A first Sync of the same 3,000 mails by one program, with Restante and peers in turn. */
export async function benchFirstSync(peers: readonly string[]): Promise<string> {
  const folder = await temporaryFolder("bench-first-sync");
  // A peer's own user must come through.
  chmodSync(folder, 0o755);
  await using ends = new AsyncDisposableStack();
  const targets = new Map([["restante", await startOurs(ends)]]);
  for (const name of peers) targets.set(name, await startPeer(name, folder, ends));
  const all = new Map<string, Measured[]>();
  for (let round = 0; round < ROUNDS; round++)
    for (const window of WINDOWS)
      for (const [name, target] of round % 2 === 0 ? [...targets] : [...targets].reverse()) {
        const key = `${name} ${window}`;
        const measured = await firstSync(target, `bench${round}w${window}`, window);
        console.error(`${key}: ${measured.itemsPerSecond.toFixed(0)} items a second`);
        all.set(key, [...(all.get(key) ?? []), measured]);
      }
  return [
    ...[...targets].map(([name, { notes }]) => `- ${name}: ${notes}`),
    "",
    ...tableOf([...targets.keys()], all),
  ].join("\n");
}

async function startOurs(ends: AsyncDisposableStack): Promise<Target> {
  const data = await makeDataFolder();
  ends.defer(() => removeDataFolder(data));
  const server = await startServer(data, { env: { RESTANTE_HTTPS_TLS: "off" } });
  ends.defer(async () => void (await server.stop()));
  await fill(server.ports.imap!, DEMO.user, DEMO.password);
  const notes = "this tree, one process, an embedded store";
  return { notes, ...DEMO, proxy: await proxyTo(server.ports.https!, ends), isOurs: true };
}

async function startPeer(name: string, folder: string, ends: AsyncDisposableStack): Promise<Target> {
  const { endpointFile } = await startContender({ name, contender: PHONE_PEERS[name]! }, { folder, users: 1 }, ends);
  const { imap, pass: password, notes } = JSON.parse(readFileSync(endpointFile, "utf8"));
  await fill(imap, "user1", password);
  const path = "/SOGo/Microsoft-Server-ActiveSync";
  return {
    notes: notes.replace(/; $/, ""),
    proxy: await proxyTo(imap + 2, ends),
    user: "user1",
    password,
    path,
    isOurs: false,
  };
}

async function proxyTo(port: number, ends: AsyncDisposableStack): Promise<CountingProxy> {
  const proxy = await CountingProxy.start(port);
  ends.defer(() => proxy.stop());
  return proxy;
}

async function fill(port: number, user: string, password: string): Promise<void> {
  const imap = await connectImap(port, user, password);
  // SOGo finds nothing in a mailbox whose changes Dovecot has not begun to count.
  await imap.command("SELECT INBOX (CONDSTORE)");
  const mails = Array.from({ length: MAILS }, (_, n) => mailOf(n));
  await append(imap, mails);
  const { 1: count } = /(\d+) EXISTS/.exec(await imap.command("EXAMINE INBOX")) ?? [];
  if (Number(count) < MAILS) throw new Error(`${count} mails`);
  imap.end();
}

/** A fresh device's Syncs of the Inbox, from the one that gives items on. */
async function firstSync(target: Target, deviceId: string, window: number): Promise<Measured> {
  const { proxy, user, password, path, isOurs } = target;
  // A server may end a connection after each answer and not say so: the request is sent once more.
  let breaks = 0;
  const revive = async (): Promise<number> => {
    if (++breaks > BREAKS_MAX) throw new Error("the connection breaks again and again");
    return proxy.port;
  };
  const device = { deviceId, deviceType: "iPhone", version: VERSION, isStrict: false, revive } as const;
  using wire = new Wire({ port: proxy.port, user, password, ...device, ...(path !== undefined && { path }) });
  const ask = async (name: string, tree: Tree): Promise<Node> => {
    const { status, body } = await wire.command(name, encode(tree));
    if (status !== 200) throw new Error(`${name}: HTTP ${status} ${body}`);
    const answer = decode(body);
    const told = answer.at("Status");
    if (told !== undefined && told !== "1") throw new Error(`${name}: ${answer}`);
    return answer;
  };
  if (isOurs) await provision(wire, ask);
  const list = await ask("FolderSync", ["FolderHierarchy:FolderSync", ["SyncKey", "0"]]);
  const inbox = list.get("Changes").children.find((change) => change.at("Type") === "2")!;
  const id = inbox.at("ServerId")!;
  const options: Tree = [
    "Options",
    ["MIMESupport", "0"],
    ["AirSyncBase:BodyPreference", ["Type", "1"], ["TruncationSize", String(TEXT_BYTES)]],
  ];
  const sync = async (key: string): Promise<Node> => {
    const more: readonly Tree[] = key === "0" ? [] : [["GetChanges", "1"], ["WindowSize", String(window)], options];
    const answer = await ask("Sync", [
      "AirSync:Sync",
      ["Collections", ["Collection", ["SyncKey", key], ["CollectionId", id], ...more]],
    ]);
    const collection = answer.get("Collections").get("Collection");
    if (collection.at("Status") !== "1") throw new Error(`Sync: ${collection}`);
    return collection;
  };
  let key = (await sync("0")).at("SyncKey")!;
  const items = new Set<string>();
  const times: number[] = [];
  proxy.reset();
  for (let more = true; more; ) {
    const begun = performance.now();
    const collection = await sync(key);
    times.push(performance.now() - begun);
    key = collection.at("SyncKey")!;
    for (const item of collection.find("Commands")?.all("Add") ?? []) {
      if (isOurs) check(item);
      items.add(item.at("ServerId")!);
    }
    more = collection.find("MoreAvailable") !== undefined;
  }
  if (items.size < MAILS) throw new Error(`${items.size} items`);
  const seconds = times.reduce((sum, one) => sum + one, 0) / 1000;
  return { itemsPerSecond: items.size / seconds, octetsPerItem: proxy.down / items.size, times };
}

/** A body as it was asked for. */
function check(item: Node): void {
  const data = item.get("ApplicationData");
  const body = data.find("AirSyncBase:Body");
  const text = body?.at("Data") ?? "";
  const isMade = data.at("Subject")?.startsWith("mail number") === true;
  if (isMade && (body?.at("Type") !== "1" || text.length < TEXT_BYTES / 2 || Buffer.byteLength(text) > TEXT_BYTES))
    throw new Error(`not what was asked for: ${item}`);
}

/** The policies, in two phases. */
async function provision(wire: Wire, ask: (name: string, tree: Tree) => Promise<Node>): Promise<void> {
  const device: Tree = ["Settings:DeviceInformation", ["Set", ["Model", "iPhone"], ["OS", "Test 1"]]];
  const policy = (...more: readonly Tree[]): Tree => [
    "Policies",
    ["Policy", ["PolicyType", "MS-EAS-Provisioning-WBXML"], ...more],
  ];
  const keyOf = (answer: Node): string => answer.get("Policies").get("Policy").at("PolicyKey")!;
  const first = keyOf(await ask("Provision", ["Provision:Provision", device, policy()]));
  wire.policyKey = keyOf(
    await ask("Provision", ["Provision:Provision", policy(["PolicyKey", first], ["Status", "1"])]),
  );
}

function tableOf([ours, ...peers]: readonly string[], all: ReadonlyMap<string, readonly Measured[]>): string[] {
  const columns = [
    "first Sync of 3,000 mails, plain text, 512 octets",
    ...[ours!, ...peers].flatMap((name) => [`${name}: items a second`, "octets an item", "a request, p50", "p95"]),
    ...peers.map((name) => `${ours} : ${name}, items a second`),
  ];
  const lines = [`| ${columns.join(" | ")} |`, `|${"---|".repeat(columns.length)}`];
  for (const window of WINDOWS) {
    const of = (name: string): readonly Measured[] => all.get(`${name} ${window}`)!;
    const cells = [ours!, ...peers].flatMap((name) => {
      const times = of(name).flatMap((one) => one.times);
      return [
        middle(of(name).map((one) => one.itemsPerSecond)).toFixed(0),
        middle(of(name).map((one) => one.octetsPerItem)).toFixed(0),
        `${quantile(times, 0.5).toFixed(0)} ms`,
        `${quantile(times, 0.95).toFixed(0)} ms`,
      ];
    });
    // Within a round both meet the same machine.
    const ratios = peers.map(
      (name) =>
        `${middle(of(ours!).map((one, round) => one.itemsPerSecond / of(name)[round]!.itemsPerSecond)).toFixed(0)}×`,
    );
    lines.push(`| window ${window} | ${[...cells, ...ratios].join(" | ")} |`);
  }
  return lines;
}

function middle(values: readonly number[]): number {
  return quantile(values, 0.5);
}
