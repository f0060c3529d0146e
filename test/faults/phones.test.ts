import { afterEach, describe, expect, test } from "vitest";
import { connectImap, type LineClient } from "../kit/line-client.ts";
import type { Version } from "../kit/phone/wire.ts";
import { playRounds } from "../kit/phone-rounds.ts";
import { Random } from "../kit/random.ts";
import { testSeed } from "../kit/seed.ts";
import { makeDataFolder, type RunningServer, removeDataFolder, restante, startServer } from "../kit/server.ts";

/**
 * Phones whose answers are lost: on the way, or with the process, which is killed between what it does and what it says.
 * ROUNDS of each version; 2,000 in all by default.
 */
const ROUNDS = Number(process.env.RESTANTE_FAULT_ROUNDS ?? 200);
const VERSIONS: readonly Version[] = ["12.1", "14.0", "14.1", "16.0", "16.1"];
const USER = "ada@example.org";
const PASSWORD = "tests-have-a-password";
/** A kill comes within this time of a request. */
const KILL_MS_MAX = 40;

const seed = testSeed();

class Host {
  readonly data: string;
  readonly #rewinding: boolean;
  #server: Promise<RunningServer>;
  #imap: LineClient | undefined;
  #dying: Promise<void> | undefined;
  #now: RunningServer | undefined;
  kills = 0;

  constructor(data: string, rewinding: boolean) {
    this.data = data;
    this.#rewinding = rewinding;
    this.#server = this.#start();
  }

  async #start(): Promise<RunningServer> {
    const env = { RESTANTE_HTTPS_TLS: "off" };
    this.#now = await startServer(this.data, { env, rewinding: this.#rewinding });
    return this.#now;
  }

  get ports(): RunningServer["ports"] {
    return this.#now!.ports;
  }

  /** Kills the server in so many milliseconds, and starts it again. */
  killIn(ms: number): void {
    this.#dying ??= (async () => {
      await new Promise((resolve) => setTimeout(resolve, ms));
      await (await this.#server).kill();
      this.kills += 1;
      this.#imap?.end();
      this.#imap = undefined;
      this.#server = this.#start();
      await this.#server;
      this.#dying = undefined;
    })();
  }

  async ready(): Promise<void> {
    await this.#dying;
    await this.#server;
  }

  async imap(): Promise<LineClient> {
    await this.ready();
    this.#imap ??= await connectImap(this.ports.imap!, USER, PASSWORD);
    return this.#imap;
  }

  async revive(): Promise<number> {
    await this.ready();
    return this.ports.https!;
  }

  async stop(): Promise<void> {
    await this.ready();
    this.#imap?.end();
    const server = await this.#server;
    expect(server.logs()).not.toContain("request failed");
    await server.stop();
    await removeDataFolder(this.data);
  }
}

describe.each([
  ["answers are lost on the way", 0, false],
  ["answers are lost on the way, and the log rewinds", 0, true],
  ["the process is killed", 0.06, false],
])("%s", (_name, kills, rewinding) => {
  let host: Host | undefined;
  afterEach(() => host?.stop());

  test.each(VERSIONS)(
    "a phone at %s holds what a phone that comes now is given",
    { timeout: 3_600_000 },
    async (version) => {
      const random = new Random(seed + VERSIONS.indexOf(version) + (rewinding ? 100 : 0) + (kills > 0 ? 200 : 0));
      const data = await makeDataFolder();
      await restante(data, ["account", "add", USER, "--password-stdin"], `${PASSWORD}\n`);
      host = new Host(data, rewinding);
      const here = host;
      await here.ready();
      const counts = await playRounds({
        random,
        rounds: kills > 0 ? Math.ceil(ROUNDS / 4) : ROUNDS,
        user: USER,
        password: PASSWORD,
        version,
        ports: () => here.ports,
        imap: () => here.imap(),
        ready: () => here.ready(),
        revive: () => here.revive(),
        loses() {
          if (random.next() < kills) here.killIn(random.between(0, KILL_MS_MAX));
          return random.next() < 0.2;
        },
      });
      console.log(version, JSON.stringify({ ...counts, kills: here.kills }));
      expect(counts.lost).toBeGreaterThan(0);
      if (!rewinding) expect(counts.restarts).toBe(0);
    },
  );
});
