import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Exchange } from "./exchange.ts";
import type { Host } from "./host.ts";
import type { Told } from "./host-load.ts";
import { type Said, saidOf } from "./kept.ts";
import { LOADS } from "./load.ts";
import { type SessionCounts, SessionMirror } from "./session-mirror.ts";
import { UidLedger } from "./uid-ledger.ts";

/** A load that runs. */
export interface HostLoad {
  /** Ends it in order: each command that was sent is answered, or its connection ends. Throws when one is not. */
  stop(): Promise<void>;
  kill(): void;
}

/** All that one account is told on all hosts. */
export class AccountTraffic {
  readonly user: string;
  readonly password: string;
  readonly ledger: UidLedger = new UidLedger();
  readonly counts: SessionCounts = { ok: 0, unavailable: 0, unavailableLogins: 0, wentOn: 0, byes: 0, killed: 0 };
  readonly #mirrors = new Map<string, SessionMirror>();
  #said: readonly Said[] = LOADS.map(saidOf);

  constructor(user: string, password: string) {
    this.user = user;
    this.password = password;
  }

  /** Words of loads since the last {@link begin}. */
  get said(): readonly Said[] {
    return this.#said;
  }

  /** The account's mail is gone, and loads begin anew. */
  begin(): void {
    this.#said = LOADS.map(saidOf);
    this.#mirrors.clear();
  }

  /** Takes a command of a session on `host` with its answer; each session's in its order. */
  take(exchange: Exchange, { killedAt }: Host): void {
    let mirror = this.#mirrors.get(exchange.session);
    if (!mirror) {
      mirror = new SessionMirror(this.ledger, this.counts, (from, to) => killedAt.some((at) => at >= from && at <= to));
      this.#mirrors.set(exchange.session, mirror);
    }
    mirror.take(exchange);
  }

  /** Starts the account's load on a host. `number` is no other load's. */
  load(host: Host, number: number, seed: number): HostLoad {
    const { imap, lmtp } = host.ports;
    const script = join(import.meta.dirname, "host-load.ts");
    const args = [script, imap, lmtp, this.user, this.password, number, seed].map(String);
    const child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "inherit"] });
    const lines = createInterface({ input: child.stdout });
    let stuck: readonly string[] = [];
    lines.on("line", (line) => {
      const told = JSON.parse(line) as Told;
      if ("exchange" in told) this.take(told.exchange, host);
      else if ("stuck" in told) stuck = told.stuck;
      else this.#takeSaid(told);
    });
    const ended = Promise.all([endOf(child), once(lines, "close")]);
    return {
      async stop() {
        if (child.exitCode === null) child.stdin.write("end\n");
        const [code] = await ended;
        if (code !== 0) throw new Error(`the load on ${host.name} ended with ${code}; unanswered: ${stuck.join(", ")}`);
      },
      kill: () => void child.kill("SIGKILL"),
    };
  }

  #takeSaid({ kind, word, id, at }: Extract<Told, { word: unknown }>): void {
    this.#said.find((said) => said.kind === kind)![word].add(id);
    if (kind === "lmtp" && word === "sent") this.ledger.sent(id, at);
  }
}

async function endOf(child: ChildProcess): Promise<number | null> {
  const [code] = (await once(child, "close")) as [number | null];
  return code;
}
