import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { expect } from "vitest";
import { type Door, look, type Meanings, type Said, saidOf } from "./kept.ts";
import { LOADS, type LoadKind, type Word } from "./load.ts";
import { DEMO, makeDataFolder, type RunningServer, removeDataFolder, restante, startServer } from "./server.ts";

/** How long a round's load runs before the kill, from when each was answered once, at least and at most. */
const LOAD_MS = [200, 900] as const;
/** Rounds after which all that is there is looked at. */
const LOOK_ROUNDS = 20;
const SECRETS = [DEMO.password, "another-long-secret"] as const;

export interface KillOptions {
  readonly rounds: number;
  readonly seed: number;
  /** Two servers on one store, of which the second is killed. */
  readonly servers: 1 | 2;
  /** The password is changed by the command line in each round. */
  readonly passwords: boolean;
}

interface Load {
  /** Words of each kind of load. */
  readonly said: readonly Said[];
  /** Resolves when each kind had its first positive reply, or when all ended. */
  readonly begun: Promise<void>;
  stop(): Promise<unknown>;
}

function startLoad({ ports }: RunningServer, password: string, number: number): Load {
  const script = join(import.meta.dirname, "load.ts");
  const args = [script, String(ports.imap), String(ports.lmtp), DEMO.user, password, String(number)];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  const said = LOADS.map(saidOf);
  let rest = "";
  const begun = new Promise<void>((resolve) => {
    child.once("close", () => resolve());
    child.stdout.on("data", (chunk: Buffer) => {
      const lines = (rest + chunk.toString()).split("\n");
      rest = lines.pop()!;
      for (const line of lines) {
        const [kind, word, id] = line.split(" ") as [LoadKind, Word, string];
        said[LOADS.indexOf(kind)]![word].add(id);
      }
      if (said.every(({ done }) => done.size > 0)) resolve();
    });
  });
  const ended = once(child, "close");
  return {
    said,
    begun,
    stop() {
      child.kill("SIGKILL");
      return ended;
    },
  };
}

function doorOf({ ports }: RunningServer, password: string): Door {
  return { port: ports.imap!, user: DEMO.user, password };
}

async function changePassword(data: string, from: string, to: string): Promise<void> {
  const { code, err } = await restante(data, ["account", "passwd", DEMO.user, "--password-stdin"], `${from}\n${to}\n`);
  expect(code, err).toBe(0);
}

/** Kills the real `restante serve` again and again under load from other processes, and looks whether what it said is
 * true. Prints how long it took to be ready again. */
export async function killRounds({ rounds, seed, servers, passwords }: KillOptions): Promise<void> {
  const data = await makeDataFolder();
  const stays = servers === 2 ? await startServer(data) : undefined;
  let server = await startServer(data);
  const loads: Said[] = [];
  const meanings: Meanings = new Map();
  const readyMs: number[] = [];
  let secret: string = SECRETS[0];
  let acknowledged = 0;
  for (let round = 0; round < rounds; round++) {
    const targets = [server, ...(stays ? [stays] : [])];
    const current = targets.map((target, place) => startLoad(target, secret, round * 2 + place));
    loads.push(...current.flatMap(({ said }) => said));
    const next = SECRETS[(round + 1) % 2]!;
    const [least, most] = LOAD_MS;
    const wait = least + (((seed + round) * 7919) % 1000) * ((most - least) / 1000);
    await Promise.all(current.map(({ begun }) => begun));
    // Not before the load has signed in by the old one.
    const changing = passwords ? [changePassword(data, secret, next)] : [];
    await new Promise((resolve) => setTimeout(resolve, wait));
    await server.kill();
    await Promise.all(current.map((load) => load.stop()));
    await Promise.all(changing);
    if (passwords) secret = next;
    const begun = performance.now();
    server = await startServer(data);
    readyMs.push(performance.now() - begun);
    if (round % LOOK_ROUNDS === LOOK_ROUNDS - 1 || round === rounds - 1)
      acknowledged = await look(doorOf(server, secret), loads, meanings);
  }
  expect(acknowledged).toBeGreaterThan(rounds * 10);
  if (stays) {
    await look(doorOf(stays, secret), loads, meanings);
    expect(await stays.stop()).toBe(0);
  }
  expect(await server.stop()).toBe(0);
  const checked = await restante(data, ["check", DEMO.user, "--password-stdin"], `${secret}\n`);
  expect(checked).toMatchObject({ code: 0, out: expect.stringContaining(" 0 damaged") });
  await removeDataFolder(data);
  const sorted = readyMs.toSorted((a, b) => a - b);
  console.log(
    `${rounds} kills, ${acknowledged} acknowledged; ready again in ${sorted[rounds >> 1]!.toFixed(0)} ms (median), ` +
      `${sorted.at(-1)!.toFixed(0)} ms at most`,
  );
}
