import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { expect } from "vitest";
import { storeEnvironment } from "../stores/store-server.ts";
import { startVersitygw } from "../stores/versitygw.ts";
import { AccountTraffic } from "./account-traffic.ts";
import { Recorder } from "./exchange.ts";
import { Host } from "./host.ts";
import { type FaultCounts, noFaults, troubleHost } from "./host-faults.ts";
import { LIST_WHOLE, RIVAL_MAILBOXES } from "./host-load.ts";
import { type Door, listBoxes, look, MAILBOXES, type Meanings, readMailbox } from "./kept.ts";
import { connectImap, type LineClient } from "./line-client.ts";
import { select } from "./load.ts";
import { Random } from "./random.ts";
import { makeDataFolder, removeDataFolder, restante } from "./server.ts";

/** After so long loads end, and all that is there is looked at. */
const CHAPTER_MS = 120_000;
const HOSTS = ["first", "second"] as const;
const USERS = ["ada@example.org", "bob@example.org"] as const;
const PASSWORD = "a-long-secret-of-hosts";
const ALL_MAILBOXES = [...MAILBOXES, ...RIVAL_MAILBOXES] as const;
/** Mail that was delivered is taken in in the background: it is looked for so often, and so long. */
const SETTLE_MS = 1000;
const SETTLE_TRIES = 60;
/** Uids named in one command. */
const UIDS_AT_ONCE = 500;

export interface HostRoundsOptions {
  readonly minutes: number;
  readonly seed: number;
}

interface Scene {
  readonly hosts: readonly Host[];
  readonly accounts: readonly AccountTraffic[];
  readonly seed: number;
  readonly counts: FaultCounts;
  readonly keys: ReadonlyMap<Host, string>;
  /** By account: which message a uid names, as it was read whole. */
  readonly meanings: ReadonlyMap<AccountTraffic, Meanings>;
}

/**
 * Two hosts serve two accounts from one S3, each by its own way there, and are killed, frozen and cut off. Looks whether
 * all that sessions were told on both is true.
 */
export async function hostRounds({ minutes, seed }: HostRoundsOptions): Promise<void> {
  const folder = await makeDataFolder();
  await using store = await startVersitygw();
  const env = {
    ...storeEnvironment(store),
    // The hosts share these besides the store.
    RESTANTE_LOGIN_USERS_DIR: join(folder, "users"),
    RESTANTE_LOGIN_PEPPER_FILE: join(folder, "pepper"),
  };
  await using first = await makeHost(folder, HOSTS[0], env);
  await using second = await makeHost(folder, HOSTS[1], env);
  const hosts = [first, second];
  const accounts = USERS.map((user) => new AccountTraffic(user, PASSWORD));
  for (const { user } of accounts) {
    const made = await restante(first.data, ["account", "add", user, "--password-stdin"], `${PASSWORD}\n`, first.env);
    expect(made.code, made.err).toBe(0);
  }
  const keys = new Map<Host, string>();
  for (const host of hosts) keys.set(host, await host.readPublicKey());
  const meanings = new Map(accounts.map((account) => [account, new Map<string, string>()]));
  const scene: Scene = { hosts, accounts, seed, counts: noFaults(), keys, meanings };
  for (const host of hosts) await restart(scene, host);
  for (const account of accounts) await makeRivalMailboxes(account, first);
  const end = performance.now() + minutes * 60_000;
  let acknowledged = 0;
  for (let chapter = 0; chapter === 0 || performance.now() < end; chapter++) {
    acknowledged += await runChapter(scene, chapter, Math.min(end, performance.now() + CHAPTER_MS));
    report(scene, chapter, acknowledged);
  }
  for (const host of hosts) expect(await host.stop()).toBe(0);
  for (const host of hosts)
    for (const { user } of accounts) {
      const checked = await restante(host.data, ["check", user, "--password-stdin"], `${PASSWORD}\n`, host.env);
      expect(checked, `check on ${host.name}`).toMatchObject({ code: 0, out: expect.stringContaining(" 0 damaged") });
    }
  expect(acknowledged).toBeGreaterThan(0);
  await removeDataFolder(folder);
}

/** On a session that goes on after its host was cut off. */
async function makeRivalMailboxes(account: AccountTraffic, host: Host): Promise<void> {
  const client = await signIn(account, host);
  await host.proxy.fail("refuse");
  // Reads find out that connections are gone: a change that was sent into one would have no known outcome.
  for (const command of ["NOOP", `CREATE ${RIVAL_MAILBOXES[0]}`])
    expect(await client.command(command)).toMatch(/^t\d+ NO \[UNAVAILABLE\]/m);
  await host.proxy.heal("lost");
  for (const mailbox of RIVAL_MAILBOXES) expect(await client.command(`CREATE ${mailbox}`)).toMatch(/^t\d+ OK/m);
  client.end();
}

async function makeHost(folder: string, name: string, env: Readonly<Record<string, string>>): Promise<Host> {
  const data = join(folder, name);
  await mkdir(data);
  return Host.make({ name, data, env });
}

function restart({ hosts, keys }: Scene, host: Host): Promise<void> {
  return host.start(hosts.filter((other) => other !== host).map((other) => keys.get(other)!));
}

/** Loads on all hosts, with faults until `end`; then all that is there is looked at, and removed. Resolves with how many
 * changes were acknowledged. */
async function runChapter(scene: Scene, chapter: number, end: number): Promise<number> {
  const { hosts, accounts, seed } = scene;
  for (const account of accounts) account.begin();
  const loads = hosts.flatMap((host, place) =>
    accounts.map((account, at) => {
      const number = (chapter * hosts.length + place) * accounts.length + at + 1;
      return account.load(host, number, seed + number);
    }),
  );
  try {
    await troubleAll(scene, chapter, end);
    await Promise.all(loads.map((load) => load.stop()));
  } finally {
    for (const load of loads) load.kill();
  }
  expect(hosts.flatMap(({ ends }) => ends)).toEqual([]);
  let acknowledged = 0;
  for (const account of accounts) acknowledged += await lookAt(scene, account);
  return acknowledged;
}

/** Faults on all hosts until `end`, or until something fails: then no host is started again. */
async function troubleAll(scene: Scene, chapter: number, end: number): Promise<void> {
  const { hosts, seed, counts } = scene;
  let failed = false;
  const troubles = hosts.map(async (host, place) => {
    const random = new Random(seed * 1000 + chapter * hosts.length + place);
    const isOver = (): boolean => failed || performance.now() >= end;
    try {
      await troubleHost(host, { random, counts, isOver, restart: () => restart(scene, host) });
    } catch (error) {
      failed = true;
      throw error;
    }
  });
  await Promise.allSettled(troubles);
  await Promise.all(troubles);
}

/** Everything of one account, on all hosts. */
async function lookAt({ hosts, meanings }: Scene, account: AccountTraffic): Promise<number> {
  const { ledger, said } = account;
  const known = meanings.get(account)!;
  for (const host of hosts) await settle(account, host);
  for (const host of hosts) await listAll(account, host);
  ledger.judge();
  expect(ledger.wrong).toEqual([]);
  const shown: string[][] = [];
  let acknowledged = 0;
  for (const host of hosts) {
    acknowledged = await look(doorOf(account, host), said, known);
    shown.push(await showAll(account, host, known));
  }
  for (const other of shown) expect(other).toEqual(shown[0]);
  await clean(account, hosts[0]!);
  for (const host of hosts) await listAll(account, host);
  ledger.judge();
  expect(ledger.wrong).toEqual([]);
  return acknowledged;
}

function doorOf({ user, password }: AccountTraffic, { ports }: Host): Door {
  return { port: ports.imap, user, password };
}

let lookers = 0;

/** A session whose exchanges count as the loads' do. */
async function signIn(account: AccountTraffic, host: Host): Promise<LineClient> {
  const recorder = new Recorder(`looker ${++lookers} on ${host.name}`, (exchange) => account.take(exchange, host));
  return connectImap(host.ports.imap, account.user, account.password, recorder);
}

/** Waits until all delivered mail is in INBOX. */
async function settle(account: AccountTraffic, host: Host): Promise<void> {
  const client = await signIn(account, host);
  const least = account.said.find(({ kind }) => kind === "lmtp")!.done.size;
  const counts: number[] = [];
  for (let tries = 0; tries < SETTLE_TRIES; tries++) {
    const answer = await client.command("STATUS INBOX (UIDVALIDITY UIDNEXT MESSAGES)");
    counts.push(Number(/MESSAGES (\d+)/.exec(answer)![1]));
    const [before, now] = counts.slice(-2) as [number, number?];
    if (now !== undefined && now >= least && now === before) break;
    await delay(SETTLE_MS);
  }
  client.end();
  expect(counts.at(-1), `mail in INBOX on ${host.name}`).toBeGreaterThanOrEqual(least);
}

/** Has the ledger see all mailboxes whole. */
async function listAll(account: AccountTraffic, host: Host): Promise<void> {
  const client = await signIn(account, host);
  for (const mailbox of ALL_MAILBOXES) {
    await select(client, mailbox);
    expect(await client.command(LIST_WHOLE)).toMatch(/^t\d+ OK/m);
  }
  client.end();
}

/** All that a host shows, a line a message. */
async function showAll(account: AccountTraffic, host: Host, meanings: Meanings): Promise<string[]> {
  const client = await signIn(account, host);
  const shown: string[] = [];
  const copies = new Map<string, number>();
  for (const mailbox of ALL_MAILBOXES) {
    const { uidValidity, uidNext, found } = await readMailbox(client, mailbox, meanings);
    shown.push(`${mailbox} ${uidValidity} ${uidNext}`);
    for (const [id, messages] of found)
      for (const { uid, flags } of messages) {
        shown.push(`${mailbox} ${uid} ${id} ${flags.join(" ")}`);
        if (RIVAL_MAILBOXES.some((name) => name === mailbox)) copies.set(id, (copies.get(id) ?? 0) + 1);
      }
  }
  for (const [id, count] of copies) expect(count, `${id}, which was moved to and fro`).toBe(1);
  shown.push(...[...(await listBoxes(client))].toSorted());
  client.end();
  return shown;
}

/** Expunges all mail and deletes what loads made, so that the next chapter does not grow upon it. */
async function clean(account: AccountTraffic, host: Host): Promise<void> {
  const client = await signIn(account, host);
  for (const mailbox of ALL_MAILBOXES) {
    await select(client, mailbox);
    const answer = await client.command(LIST_WHOLE);
    const uids = [...answer.matchAll(/^\* \d+ FETCH \(UID (\d+)/gm)].map((match) => match[1]!);
    for (let at = 0; at < uids.length; at += UIDS_AT_ONCE) {
      const set = uids.slice(at, at + UIDS_AT_ONCE).join(",");
      expect(await client.command(`UID STORE ${set} +FLAGS.SILENT (\\Deleted)`)).toMatch(/^t\d+ OK/m);
      expect(await client.command(`UID EXPUNGE ${set}`)).toMatch(/^t\d+ OK/m);
    }
  }
  for (const box of await listBoxes(client)) expect(await client.command(`DELETE Boxes/${box}`)).toMatch(/^t\d+ OK/m);
  client.end();
}

function report({ accounts, counts }: Scene, chapter: number, acknowledged: number): void {
  const { kills, freezes, cuts } = counts;
  const sessions = accounts.map(
    ({ user, counts: told, ledger }) => `${user} ${JSON.stringify(told)} ${ledger.uidsTold} uids`,
  );
  const ways = Object.entries(cuts).map(([fault, count]) => `${count} ${fault}`);
  console.log(
    `chapter ${chapter + 1}: ${acknowledged} acknowledged, ${kills} kills, ${freezes} freezes, ` +
      `cut off: ${ways.join(", ")}; ${sessions.join("; ")}`,
  );
}
