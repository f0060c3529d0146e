import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  Accounts,
  Dropbox,
  MandateStore,
  NO_VACATION,
  type Platform,
  ready,
  serverPublicKey,
  signingKeyPair,
  signUp,
  Unsettled,
} from "@restante/engine";
import { nodePlatform, UsersFolder } from "@restante/engine/node";
import { JmapClient } from "../kit/jmap-client.ts";
import { connectLmtp, deliver } from "../kit/line-client.ts";
import { makeDataFolder, type RunningServer, removeDataFolder, startServer } from "../kit/server.ts";
import { benchPlatform, openBenchStore } from "./in-process.ts";
import { makeAccounts } from "./waiting.ts";

/** Deliveries of one batch, and batches of each account: in turn, so that a busy moment meets all. */
const BATCH = 100;
const ROUNDS = 40;
const WARM_UP = 400;
const BODY = "a line of text, as long as lines of text are wont to be\r\n".repeat(140);
const PASSWORD = "a long password for a bench";
const ADDRESS = "demo@example.org";
const SENDER = "someone@x.org";
const VACATION = ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:vacationresponse"];

type Row = readonly [what: string, figure: string, aim: string];
/** One way of delivering, and the time that each batch of it took: of the processor, and until its last answer. */
interface Way {
  readonly deliver: (text: string) => Promise<void>;
  readonly cpu: number[];
  readonly wall: number[];
}

/**
 * Rows on what a quota and a vacation cost who delivers. All are accounts of one process, which differs from itself less than from
 * another; of two plain ones one tells by how much.
 */
export async function benchDeliveries(): Promise<readonly Row[]> {
  return [...(await benchVacation()), ...(await benchQuota())];
}

/** In a process that delivers and does nothing else. */
async function benchVacation(): Promise<readonly Row[]> {
  const data = await makeDataFolder();
  // As the accounts are made.
  process.env.TEST_QUICK_ARGON2 = "1";
  const env = { RESTANTE_HTTPS_TLS: "off" };
  // The first start makes what the accounts need.
  await (await startServer(data, { env })).stop();
  await makeAccounts(data, 3, PASSWORD);
  const front = await startServer(data, { env });
  const jmap = await JmapClient.connect(front.ports.https!, "user3@many.example", PASSWORD);
  const update = { singleton: { isEnabled: true, textBody: "gone" } };
  await jmap.request([["VacationResponse/set", { update }, "0"]], VACATION);
  await front.stop();
  const server = await startServer(data, { args: ["--only", "lmtp"], env });
  try {
    const client = await connectLmtp(server.ports.lmtp!);
    const to = (user: string): Way => ({
      deliver: async (text) => {
        const [reply] = await deliver(client, [user], text.replaceAll("OWNER", user), SENDER);
        if (!reply?.startsWith("250")) throw new Error(`not delivered: ${reply}`);
      },
      ...{ cpu: [], wall: [] },
    });
    const ways = [1, 2, 3].map((n) => to(`user${n}@many.example`));
    await inTurn(ways, () => cpuMsOf(server));
    const [plain, control, vacation] = ways as [Way, Way, Way];
    client.end();
    return [
      [
        "LMTP, a mail of 8 KB: processor time of its process, ms",
        `${perMail(plain)}; the same again ${more(control, plain)}`,
        "",
      ],
      ["the same with a vacation: a request for an answer with each mail", more(vacation, plain), "+15 %"],
    ];
  } finally {
    await server.stop();
    await removeDataFolder(data);
  }
}

/** In the engine alone, since all of a server have one quota: what SMTP takes is no part of it. All go to one account. */
async function benchQuota(): Promise<readonly Row[]> {
  await ready;
  const folder = await mkdtemp(join(tmpdir(), "restante-deliveries-"));
  const crypto = nodePlatform();
  const store = await openBenchStore(join(folder, "store"));
  try {
    const signer = signingKeyPair(randomBytes(32));
    const serverKey = randomBytes(32);
    const base = benchPlatform(crypto, { trustedHosts: [signer.publicKey], log: () => undefined });
    const limited: Platform = { ...base, quota: { bytesMax: 1e12, messagesMax: 1e9 } };
    const users = new UsersFolder(join(folder, "users"));
    const mandates = new MandateStore({ store, platform: base, serverKey });
    const tools = { store, platform: { ...limited, mandates }, users, pepper: randomBytes(32) };
    await signUp(tools, ADDRESS, PASSWORD);
    const user = (await users.find(ADDRESS))!;
    // Its owner's program tells how full it is with whatever else it tells.
    const session = await new Accounts(tools).login(ADDRESS, PASSWORD, "127.0.0.1");
    await session.setVacation(NO_VACATION);
    session.close();
    const ways = [base, base, limited].map((platform): Way => {
      const unsettled = new Unsettled(platform);
      const box = new Dropbox(
        { store, platform, users, signer, unsettled, serverPublicKey: serverPublicKey(serverKey) },
        user,
      );
      const before = Buffer.from(`Return-Path: <${SENDER}>\r\n`);
      return { deliver: (text) => box.deliver(before, once(text), unsettled.connect()), cpu: [], wall: [] };
    });
    await inTurn(ways, () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1000;
    });
    const [plain, control, quota] = ways as [Way, Way, Way];
    return [
      ["the same by the engine alone", `${perMail(plain)}; the same again ${more(control, plain)}`, ""],
      ["with a quota", more(quota, plain), "+3 %"],
    ];
  } finally {
    await store.dispose();
    await crypto.dispose();
    await rm(folder, { recursive: true });
  }
}

/** Milliseconds that all threads of a server have run. */
export function cpuMsOf({ process: { pid } }: RunningServer): number {
  const tasks = `/proc/${pid}/task`;
  const nanoseconds = (task: string): number =>
    Number(readFileSync(join(tasks, task, "schedstat"), "latin1").split(" ")[0]);
  return readdirSync(tasks).reduce((all, task) => all + nanoseconds(task), 0) / 1e6;
}

let sent = 0;
/** `cpuMs`: of the process that delivers. */
async function inTurn(ways: readonly Way[], cpuMs: () => number): Promise<void> {
  const batch = async ({ deliver, cpu, wall }: Way, count: number, isKept: boolean): Promise<void> => {
    const [cpuBefore, begun] = [cpuMs(), performance.now()];
    for (let n = 0; n < count; n++)
      await deliver(
        `From: ${SENDER}\r\nTo: OWNER\r\nSubject: mail ${++sent}\r\nMessage-ID: <${sent}@x.org>\r\n\r\n${BODY}`,
      );
    if (isKept) cpu.push(cpuMs() - cpuBefore);
    if (isKept) wall.push(performance.now() - begun);
  };
  for (const way of ways) await batch(way, WARM_UP, false);
  for (let round = 0; round < ROUNDS; round++)
    for (let at = 0; at < ways.length; at++) await batch(ways[(at + round) % ways.length]!, BATCH, true);
}

async function* once(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text, "latin1");
}

function perMail({ cpu }: Way): string {
  return (median(cpu) / BATCH).toFixed(2);
}

/** The median of what a batch takes more than the plain one's of its round. */
function more(one: Way, plain: Way): string {
  const shares = (what: "cpu" | "wall"): string => {
    const share = median(one[what].map((value, at) => value / plain[what][at]! - 1)) * 100;
    return `${share < 0 ? "−" : "+"}${Math.abs(share).toFixed(1)} %`;
  };
  return `${shares("cpu")} (until the answer ${shares("wall")})`;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}
