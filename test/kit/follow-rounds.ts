import { setTimeout as delay } from "node:timers/promises";
import { expect } from "vitest";
import { Recorder, responsesOf } from "./exchange.ts";
import {
  ChangedSinceFollower,
  type Copy,
  type Follower,
  flagsText,
  NotifyFollower,
  QresyncFollower,
  ResultsFollower,
} from "./followers.ts";
import { connectImap, type LineClient } from "./line-client.ts";
import { Random } from "./random.ts";
import { DEMO, makeDataFolder, type RunningServer, removeDataFolder, startServer } from "./server.ts";
import { type SessionCounts, SessionMirror } from "./session-mirror.ts";
import { UidLedger } from "./uid-ledger.ts";

export interface FollowOptions {
  readonly rounds: number;
  readonly seed: number;
  readonly rewinding: boolean;
  /** Rounds after which the server is killed. */
  readonly killRounds?: number;
  readonly env?: Readonly<Record<string, string>>;
}

const WRITERS = 3;
const FLAGS = ["\\Seen", "\\Flagged", "\\Answered", "$Label", "work"] as const;

/** A server, and all that its sessions are told. */
class World {
  readonly ledger = new UidLedger();
  readonly random: Random;
  readonly #options: FollowOptions;
  readonly #counts: SessionCounts = { ok: 0, unavailable: 0, unavailableLogins: 0, wentOn: 0, byes: 0, killed: 0 };
  #data = "";
  #server: RunningServer | undefined;
  #sessions = 0;
  #messages = 0;

  constructor(options: FollowOptions) {
    this.#options = options;
    this.random = new Random(options.seed);
  }

  async start(): Promise<void> {
    if (this.#data === "") this.#data = await makeDataFolder();
    const { rewinding, env = {} } = this.#options;
    this.#server = await startServer(this.#data, { rewinding, env });
  }

  kill(): Promise<void> {
    return this.#server!.kill();
  }

  async end(): Promise<void> {
    await this.#server!.stop();
    await removeDataFolder(this.#data);
  }

  async connect(): Promise<LineClient> {
    const mirror = new SessionMirror(this.ledger, this.#counts, () => true);
    const recorder = new Recorder(`session ${++this.#sessions}`, (exchange) => mirror.take(exchange));
    return connectImap(this.#server!.ports.imap!, DEMO.user, DEMO.password, recorder);
  }

  /** One change of what a session sees, or a few. */
  async change(client: LineClient): Promise<void> {
    const uids = uidsOf(await client.command("UID FETCH 1:* (UID MODSEQ)"));
    const some = [...new Set([1, 2, 3].map(() => (uids.length > 0 ? this.random.pick(uids) : 0)))].filter(Boolean);
    const set = some.sort((a, b) => a - b).join(",");
    const step = uids.length < 4 ? 0 : this.random.between(0, uids.length > 30 ? 9 : 6);
    if (step <= 1) {
      for (let n = this.random.between(1, 3); n > 0; n--) {
        const text = `Subject: f${++this.#messages}\r\n\r\nx\r\n`;
        await client.command(`APPEND INBOX {${text.length}+}\r\n${text}`);
      }
      return;
    }
    if (step <= 4) {
      const silent = this.random.between(0, 1) === 0 ? ".SILENT" : "";
      const sign = this.random.pick(["+", "-"]);
      await client.command(`UID STORE ${set} ${sign}FLAGS${silent} (${this.random.pick(FLAGS)})`);
    } else if (step === 5) await client.command(`UID MOVE ${set} Archive`);
    else if (step === 6) await client.command(`UID COPY ${set} INBOX`);
    else {
      await client.command(`UID STORE ${set} +FLAGS.SILENT (\\Deleted)`);
      await client.command(`UID EXPUNGE ${set}`);
    }
  }
}

function uidsOf(answer: string): number[] {
  return [...answer.matchAll(/^\* \d+ FETCH \(UID (\d+)/gm)].map((match) => Number(match[1]));
}

/** The mailbox as a fresh session sees it. */
async function lookAt(client: LineClient): Promise<Copy> {
  await client.command("SELECT INBOX");
  const responses = responsesOf(await client.command("UID FETCH 1:* (UID FLAGS MODSEQ)"));
  const shown = responses.flatMap((line) => {
    const [, uid, flags] = /^\* \d+ FETCH \(UID (\d+) FLAGS \(([^)]*)\)/.exec(line) ?? [];
    return uid === undefined ? [] : [[Number(uid), flagsText(flags!)] as const];
  });
  return new Map(shown);
}

/**
 * Three sessions change a mailbox at random, all at once, while clients that keep a copy look at it and go in the middle. After
 * each round those come back, and each copy must be what the mailbox is; and nothing that any session was told may be untrue.
 */
export async function followRounds(options: FollowOptions): Promise<void> {
  const { rounds, killRounds = Number.POSITIVE_INFINITY } = options;
  const world = new World(options);
  await world.start();
  const connect = (): Promise<LineClient> => world.connect();
  const followers: readonly Follower[] = [
    new QresyncFollower("INBOX", connect),
    new ChangedSinceFollower("INBOX", connect),
    // One that is hardly ever away, and one that hardly ever comes.
    new QresyncFollower("INBOX", connect),
    new QresyncFollower("INBOX", connect),
    new NotifyFollower("INBOX", connect),
  ];
  const [often, bySearch, stays, rarely, told] = followers as [Follower, Follower, Follower, Follower, Follower];
  const results = new ResultsFollower(connect);
  let writers: LineClient[] = [];
  let looker: LineClient | undefined;
  for (const follower of followers) await follower.resync();
  for (let round = 1; round <= rounds; round++) {
    if (writers.length === 0) {
      writers = await Promise.all(Array.from({ length: WRITERS }, connect));
      for (const [at, writer] of writers.entries()) {
        if (at === 0) await writer.command("ENABLE QRESYNC");
        await writer.command(`SELECT INBOX${at === 1 ? " (CONDSTORE)" : ""}`);
      }
      looker = await connect();
    }
    const changes = writers.map(async (writer) => {
      for (let n = world.random.between(1, 3); n > 0; n--) await world.change(writer);
    });
    const glances = [often, bySearch].map(async (follower, at) => {
      await delay(world.random.between(0, 4 + at));
      await follower.glance();
    });
    await Promise.all([...changes, ...glances]);
    if (round % killRounds === 0) {
      await world.kill();
      for (const client of [...writers, looker!]) client.end();
      for (const follower of [...followers, results]) follower.leave();
      writers = [];
      await world.start();
      looker = await connect();
    }
    const there = await lookAt(looker!);
    const present = [often, bySearch, stays, told, ...(round % 10 === 0 || round === rounds ? [rarely] : [])];
    for (const follower of present) {
      await follower.resync();
      expect(follower.copy, `round ${round}, ${follower.constructor.name} ${followers.indexOf(follower)}`).toEqual(
        there,
      );
    }
    rarely.leave();
    for (const { kept, found } of await results.compare()) expect(kept, `round ${round}`).toEqual(found);
  }
  world.ledger.judge();
  expect(world.ledger.wrong).toEqual([]);
  expect(world.ledger.uidsTold).toBeGreaterThan(rounds);
  await world.end();
}
