import { setTimeout as delay } from "node:timers/promises";
import type { Host } from "./host.ts";
import type { Random } from "./random.ts";
import { WAY_FAULTS, type WayFault, WITHHELD } from "./store-proxy.ts";

/** Between two faults of a host. */
const CALM_MS = [1000, 8000] as const;
const FREEZE_MS = [500, 12_000] as const;
/** How long a host is cut off: mostly for less than a request's time limit, sometimes for more, and now and then for longer
 * than an unknown outcome is asked. */
const AWAY_MS = { short: [300, 5000], long: [11_000, 25_000], beyond: [65_000, 75_000] } as const;
const AWAY_LENGTHS = ["short", "short", "short", "long", "long", "beyond"] as const;
/** How long a host whose process was killed stays so. */
const DOWN_MS = [0, 2000] as const;

const FAULTS = [
  "kill",
  "kill",
  "freeze",
  "freeze",
  "freeze-kill",
  "away",
  "away",
  "away",
  "away-kill",
  "away-freeze",
  "away-otherwise",
  "away-otherwise",
] as const;
type Fault = (typeof FAULTS)[number];

export interface FaultCounts {
  kills: number;
  freezes: number;
  readonly cuts: Record<WayFault, number>;
}

export function noFaults(): FaultCounts {
  const cuts = Object.fromEntries(WAY_FAULTS.map((fault) => [fault, 0])) as Record<WayFault, number>;
  return { kills: 0, freezes: 0, cuts };
}

/** One fault of a host after the other until `isOver`; then the host runs and reaches its store. */
export async function troubleHost(host: Host, { random, counts, restart, isOver }: Trouble): Promise<void> {
  while (!isOver()) {
    await delay(random.between(...CALM_MS));
    await FAULT_RUNS[random.pick(FAULTS)]({ host, random, counts, restart });
  }
}

interface Trouble {
  readonly random: Random;
  readonly counts: FaultCounts;
  /** Starts the host's server again. */
  readonly restart: () => Promise<void>;
  readonly isOver: () => boolean;
}

type Scene = Omit<Trouble, "isOver"> & { readonly host: Host };

const FAULT_RUNS: Readonly<Record<Fault, (scene: Scene) => Promise<void>>> = {
  async kill(scene) {
    await kill(scene);
    await delay(scene.random.between(...DOWN_MS));
    await scene.restart();
  },
  async freeze(scene) {
    await freeze(scene);
    scene.host.thaw();
  },
  async "freeze-kill"(scene) {
    await freeze(scene);
    await kill(scene);
    await scene.restart();
  },
  away: (scene) => away(scene, awayMs(scene.random), async () => undefined),
  /** It starts while its store is away, and serves once that is there. */
  "away-kill": (scene) =>
    away(scene, scene.random.between(...AWAY_MS.short), async () => {
      await kill(scene);
      await scene.restart();
    }),
  /** Its way to the store fails in one manner, then in another. */
  "away-otherwise": (scene) =>
    away(scene, awayMs(scene.random), async () => {
      const { host, random, counts } = scene;
      const fault = random.pick(WAY_FAULTS);
      counts.cuts[fault]++;
      await host.proxy.heal(random.pick(WITHHELD));
      await host.proxy.fail(fault);
    }),
  "away-freeze": (scene) =>
    away(scene, scene.random.between(...AWAY_MS.short), async () => {
      await freeze(scene);
      scene.host.thaw();
    }),
};

async function kill({ host, counts }: Scene): Promise<void> {
  counts.kills++;
  await host.kill();
}

async function freeze({ host, random, counts }: Scene): Promise<void> {
  counts.freezes++;
  host.freeze();
  await delay(random.between(...FREEZE_MS));
}

/** The host is cut off for `lengthMs`, with `amid` in the midst of that: a server that starts may wait for its store. */
async function away({ host, random, counts }: Scene, lengthMs: number, amid: () => Promise<void>): Promise<void> {
  const fault = random.pick(WAY_FAULTS);
  const withheld = random.pick(WITHHELD);
  counts.cuts[fault]++;
  await host.proxy.fail(fault);
  await delay(lengthMs / 2);
  await Promise.all([amid(), delay(lengthMs / 2).then(() => host.proxy.heal(withheld))]);
}

function awayMs(random: Random): number {
  const [least, most] = AWAY_MS[random.pick(AWAY_LENGTHS)];
  return random.between(least, most);
}
