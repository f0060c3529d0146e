import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ObjectStore } from "@restante/engine";
import {
  MemoryPlace,
  openEmbeddedStore,
  openS3Store,
  rebuildEmbeddedStore,
  SplitStore,
  settleEmbeddedStore,
} from "@restante/engine/node";
import { S3Double } from "@restante/engine/testing";
import { beforeAll, expect, test } from "vitest";
import { DEEDS, type Deed, flippedAt, type Target } from "../kit/sabotage.ts";
import { BESIDE_SCENES, type BesideScene, type Row, recordRows } from "../kit/sabotage-beside-mail.ts";
import { look, makeScene, type Scene, type Sight } from "../kit/sabotaged-account.ts";

/**
 * Whoever has the store does to each kind of object whatever can be done to it. Nothing is shown wrongly, and what is seen
 * of it, by whom and in which words, is the table in docs/threat-model.md. RESTANTE_WRITE_TABLE=1 writes it.
 */
const DOC = join(import.meta.dirname, "../../docs/threat-model.md");
const [BEGIN, END] = ["<!-- saboteur: made by test:faults -->\n", "<!-- /saboteur -->"];
const PAGE_BYTES = 4096;
const { RESTANTE_TEST_S3 } = process.env;
const REAL =
  RESTANTE_TEST_S3 === undefined
    ? undefined
    : (JSON.parse(RESTANTE_TEST_S3) as {
        readonly name: string;
        readonly settings: Parameters<typeof openS3Store>[0];
        readonly creates: boolean;
      });
/** Each so many-th page of a database, and so many places of a pack, are enough. */
const DATABASE_STEP = 1;
const PLACES_IN_PACK = 24;
const KINDS = ["slot", "log", "checkpoint", "note", "body", "pack", "page"] as const;
type Kind = (typeof KINDS)[number];

let scene: Scene;
let foreign: Scene;
beforeAll(async () => {
  scene = await makeScene();
  foreign = await makeScene();
}, 300_000);

const kindOf = (name: string): string => name.split("/")[1] ?? "";
const objectsFor = (kind: Kind, of = scene): ReadonlyMap<string, Uint8Array> =>
  kind === "note" ? of.waiting : of.settled;

/** All objects of a kind; of a long log the ends, the middle, and what a checkpoint covers. */
function targets(kind: Kind): Target[] {
  const all = [...objectsFor(kind)].filter(([name]) => kindOf(name) === kind).sort(([a], [b]) => (a < b ? -1 : 1));
  const picked = kind === "log" ? [0, all.length >> 1, all.length - 3, all.length - 1] : [...all.keys()];
  return picked.map((at) => {
    const [name, bytes] = all[at]!;
    const other = all.length > 1 ? all[(at + 1) % all.length] : undefined;
    const others = [...objectsFor(kind, foreign)].filter(([theirs]) => kindOf(theirs) === kind);
    const same = others.find(([theirs]) => theirs.endsWith(name.slice(32))) ?? others[at % others.length]!;
    return { name, bytes, other: other && { name: other[0], bytes: other[1] }, foreign: same[1] };
  });
}

function inMemory(objects: ReadonlyMap<string, Uint8Array>): MemoryPlace {
  const place = new MemoryPlace(Date.now);
  for (const [name, bytes] of objects) place.write(name, bytes);
  return place;
}

async function sabotage(kind: Kind, target: Target, deed: Deed, objects = objectsFor(kind)): Promise<Sight> {
  const place = inMemory(objects);
  return look(
    scene,
    () => place.open(),
    async () => void (await deed(place.open(), target)),
    kind !== "note",
  );
}

/** The sight after the whole store has been changed. */
async function lookAfter(
  deed: (place: MemoryPlace) => void,
  objects = scene.settled,
  hasSession = true,
): Promise<Sight> {
  const place = inMemory(objects);
  return look(
    scene,
    () => place.open(),
    async () => deed(place),
    hasSession,
  );
}

function replaceAll(place: MemoryPlace, objects: ReadonlyMap<string, Uint8Array>): void {
  place.objects.clear();
  for (const [name, bytes] of objects) place.write(name, bytes);
}

/** A page of the embedded store's database zeroed: some of all of them. */
async function databaseRows(): Promise<Row[]> {
  const folder = await mkdtemp(join(tmpdir(), "restante-saboteur-"));
  const onFatal = (message: string): never => {
    throw new Error(message);
  };
  const open = (): Promise<ObjectStore> => openEmbeddedStore({ folder, reserveBytes: 0, onFatal });
  const filling = await open();
  for (const [name, bytes] of scene.settled) await filling.put(name, bytes);
  await filling.dispose();
  settleEmbeddedStore(folder);
  const file = join(folder, "store.sqlite");
  const sound = readFileSync(file);
  const [sights, mended]: [Sight[], Sight[]] = [[], []];
  for (let page = 0; page < sound.length / PAGE_BYTES; page += page === 0 ? 1 : DATABASE_STEP) {
    const bytes = Buffer.from(sound);
    bytes.fill(0, page * PAGE_BYTES, (page + 1) * PAGE_BYTES);
    writeFileSync(file, bytes);
    const words = { session: [], opening: [] as string[], check: [], sealed: [] };
    const store = await open().catch((error: Error) => void words.opening.push(error.message));
    if (!store) sights.push({ words, readable: 0 });
    else
      sights.push(
        await look(
          scene,
          () => store,
          async () => undefined,
          false,
        ),
      );
    await store?.dispose();
    rebuildEmbeddedStore(folder);
    const rebuilt = await open();
    mended.push(
      await look(
        scene,
        () => rebuilt,
        async () => undefined,
        false,
      ),
    );
    await rebuilt.dispose();
    for (const name of readdirSync(folder))
      if (name.startsWith("store.sqlite")) await rm(join(folder, name), { force: true });
  }
  await rm(folder, { recursive: true });
  return [
    rowOf("database", "a page of store.sqlite zeroed", sights.map(withoutFolder), scene.truth.size),
    rowOf("database", "the same, then restante check --repair", mended.map(withoutFolder), scene.truth.size),
  ];
}

/** Only which pages were met, not where they lie. */
function withoutFolder({ words, readable }: Sight): Sight {
  const short = (text: string): string =>
    text.replace(/^(unavailable: |corrupt: )?.*?store\.sqlite is damaged \(.*?\)/, "$1…/store.sqlite is damaged (…)");
  const all = Object.entries(words).map(([who, said]) => [who, said.map(short)]);
  return { readable, words: Object.fromEntries(all) as Sight["words"] };
}

/** The same stores as servers have; each resolves with what opens them anew, as a process does. */
interface Opened {
  readonly open: () => Promise<ObjectStore>;
  readonly end: () => Promise<void>;
}
const DOUBLES: Readonly<Record<string, () => Promise<Opened>>> = {
  embedded: async () => {
    const folder = await mkdtemp(join(tmpdir(), "restante-saboteur-"));
    const onFatal = (message: string): never => {
      throw new Error(message);
    };
    return {
      open: () => openEmbeddedStore({ folder, reserveBytes: 0, onFatal }),
      end: () => rm(folder, { recursive: true }),
    };
  },
  s3: async () => {
    const double = await S3Double.start();
    return { open: () => openS3Store(double.settings), end: () => double.stop() };
  },
  split: async () => {
    const [log, rest] = [new MemoryPlace(Date.now), new MemoryPlace(Date.now)];
    return { open: async () => new SplitStore(log.open(), rest.open()), end: async () => undefined };
  },
};

/** The real store that `npm run test:interop` names takes their place. One that does not create atomically gets a log beside it. */
const PLACES = REAL
  ? {
      [REAL.name]: async (): Promise<Opened> => {
        const settings = { ...REAL.settings, prefix: `saboteur-${randomBytes(8).toString("hex")}/` };
        const log = new MemoryPlace(Date.now);
        const open = async (): Promise<ObjectStore> => {
          const store = await openS3Store(settings);
          return REAL.creates ? store : new SplitStore(log.open(), store);
        };
        return { open, end: async () => undefined };
      },
    }
  : DOUBLES;

const plain = (words: readonly string[]): string[] =>
  words.map((text) => text.replace(/[0-9a-f]{8,}(-\d+)?/g, "…").replace(/entry \d+/g, "entry …"));

function rowOf(what: string, deed: string, sights: readonly Sight[], whole: number): Row {
  const told = new Map<string, Set<string>>();
  for (const { words } of sights)
    for (const [who, said] of Object.entries(words))
      for (const text of plain(said)) told.set(text, (told.get(text) ?? new Set()).add(who));
  const unseen = sights.filter(({ words }) => Object.values(words).every((said) => said.length === 0)).length;
  const seen = [...told].map(([text, by]) => `${[...by].sort().join(", ")}: ${text}`).sort();
  if (unseen > 0) seen.push(unseen === sights.length ? "not seen" : "of some not seen");
  const least = Math.min(...sights.map(({ readable }) => readable));
  return [
    what,
    deed,
    seen.join("; "),
    least === whole ? "all" : least === 0 ? "nothing" : least < whole / 2 ? "less than half" : "all but a few",
  ];
}

/** Deeds to objects that hold no mail. */
const besideDeeds = ({ gone, target }: BesideScene): Record<string, Deed> => ({
  ...Object.fromEntries(Object.entries(DEEDS).filter(([name]) => name !== "swapped" || target.other)),
  "old ones put back": async (store) => {
    for (const [name, bytes] of gone) await store.put(name, bytes);
  },
});

async function besideRows(): Promise<Row[]> {
  const rows: Row[] = [];
  for (const [kind, make] of Object.entries(BESIDE_SCENES)) {
    const beside = await make();
    expect(beside.gone.size, kind).toBeGreaterThan(0);
    for (const [name, deed] of Object.entries(besideDeeds(beside))) {
      const place = inMemory(beside.objects);
      await deed(place.open(), beside.target);
      const words = [...new Set(plain(await beside.look(() => place.open())))];
      rows.push([BESIDE[kind]!, name, words.length > 0 ? words.sort().join("; ") : "not seen", "all"]);
    }
  }
  return rows;
}

/** Their names in the table. */
const BESIDE: Readonly<Record<string, string>> = {
  device: "device (a phone's state)",
  facts: "public/record (how full the account is)",
  restored: "public/restored (it was brought back)",
};

async function makeTable(): Promise<string> {
  const rows: Row[] = [];
  for (const kind of KINDS) {
    const whole = scene.truth.size + (kind === "note" ? scene.delivered.size : 0);
    expect(targets(kind).length, kind).toBeGreaterThan(0);
    for (const [name, deed] of Object.entries(DEEDS)) {
      const usable = targets(kind).filter(({ other }) => name !== "swapped" || other);
      if (usable.length === 0) continue;
      const sights: Sight[] = [];
      // The part of a pack that can be read depends on where it is hurt.
      const isSpread = kind === "pack" && name === "one octet flipped";
      for (const [at, target] of (isSpread ? Array(PLACES_IN_PACK).fill(usable[0]!) : usable).entries())
        sights.push(
          await sabotage(kind, target, isSpread ? flippedAt((at + 1) / (PLACES_IN_PACK + 2)) : deed).catch(
            (error: unknown) => {
              throw new Error(`${target.name} ${name}`, { cause: error });
            },
          ),
        );
      rows.push(rowOf(kind, name, sights, whole));
    }
    const gone = [...scene.before].filter(([name]) => kindOf(name) === kind && !objectsFor(kind).has(name));
    if (gone.length === 0) continue;
    const back: Deed = async (store) => {
      for (const [name, bytes] of gone) await store.put(name, bytes);
    };
    rows.push(rowOf(kind, "old ones put back", [await sabotage(kind, targets(kind)[0]!, back)], whole));
  }
  for (const [what, objects] of [
    ["an older one put back", scene.old],
    ["an older one put back, on which another host then wrote on and trimmed", scene.writtenOn],
  ] as const)
    rows.push(rowOf("whole store", what, [await lookAfter((place) => replaceAll(place, objects))], scene.truth.size));
  for (const kind of ["checkpoint", "page"] as const) {
    const left = targets(kind).filter(({ name }) => scene.trimmed.has(name));
    const sights: Sight[] = [];
    for (const target of left) sights.push(await sabotage(kind, target, DEEDS.zeroed!, scene.trimmed));
    rows.push(rowOf(`${kind}, where the log behind it is gone`, "zeroed", sights, scene.truth.size));
  }
  const strange = await lookAfter(() => undefined, scene.strangers, false);
  rows.push(
    rowOf("note", "one made by a host that is not trusted", [strange], scene.truth.size + scene.delivered.size),
  );
  rows.push(...(await besideRows()), ...(await recordRows()), ...(await databaseRows()));
  const lines = rows.map((row) => `| ${row.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`);
  return ["| what | done to it | seen by, and told how | still opens |", "|---|---|---|---|", ...lines, ""].join("\n");
}

/** The table, whose rows of the database also tell what the one before told. */
function withAllSeen(table: string, before: string): string {
  const cellsOf = (line: string): string[] => line.split("|").map((cell) => cell.trim());
  const lines = before.split("\n");
  return table
    .split("\n")
    .map((line) => {
      const [, kind, deed, seen = "", opens] = cellsOf(line);
      const known = kind === "database" && lines.find((one) => one.startsWith(`| database | ${deed} |`));
      if (!known) return line;
      const last = "of some not seen";
      const all = new Set([...seen.split("; "), ...cellsOf(known)[3]!.split("; ")]);
      const words = [...all].filter((word) => word !== last).sort();
      return `| database | ${deed} | ${[...words, ...(all.has(last) ? [last] : [])].join("; ")} | ${opens} |`;
    })
    .join("\n");
}

test.runIf(!REAL)(
  "whatever is done to a store, nothing is shown wrongly, and the table tells what is seen",
  async () => {
    const table = await makeTable();
    const doc = readFileSync(DOC, "utf8");
    const [from, to] = [doc.indexOf(BEGIN) + BEGIN.length, doc.indexOf(END)];
    expect(doc).toContain(BEGIN);
    const told = doc.slice(from, to);
    const merged = withAllSeen(table, told);
    if (process.env.RESTANTE_WRITE_TABLE) writeFileSync(DOC, doc.slice(0, from) + merged + doc.slice(to));
    // Which objects share a page is chance: all that was ever seen is told, and nothing else is seen.
    else expect(told).toBe(merged);
  },
  600_000,
);

test.each(Object.keys(PLACES))(
  "the same is seen of it in a store of kind %s",
  async (name) => {
    for (const kind of KINDS)
      for (const [what, deed] of Object.entries({ ...DEEDS, ...(kind === "log" && { "whole store": rollBack }) })) {
        const target = targets(kind).at(-1)!;
        if (what === "swapped" && !target.other) continue;
        const place = await PLACES[name]!();
        const stores = [await place.open(), await place.open(), await place.open()];
        for (const [object, bytes] of objectsFor(kind)) await stores[0]!.put(object, bytes);
        let at = 0;
        const sight = await look(
          scene,
          () => stores[at++ % 3]!,
          async () => void (await deed(stores[1]!, target)),
          kind !== "note",
        );
        for (const store of stores) await store.dispose();
        await place.end();
        expect(plainSight(sight), `${kind} ${what}`).toEqual(plainSight(await sabotage(kind, target, deed)));
      }
  },
  900_000,
);

test.each(Object.keys(PLACES))(
  "and of what it holds besides mail, kind %s",
  async (name) => {
    for (const [kind, make] of Object.entries(BESIDE_SCENES)) {
      const beside = await make();
      for (const [what, deed] of Object.entries(besideDeeds(beside))) {
        const [place, memory] = [await PLACES[name]!(), inMemory(beside.objects)];
        const [first, second] = [await place.open(), await place.open()];
        for (const [object, bytes] of beside.objects) await first.put(object, bytes);
        for (const store of [first, memory.open()]) await deed(store, beside.target);
        const words = plain(await beside.look(() => second));
        for (const store of [first, second]) await store.dispose();
        await place.end();
        expect(words, `${kind} ${what}`).toEqual(plain(await beside.look(() => memory.open())));
      }
    }
  },
  900_000,
);

/** The whole store as it was earlier. */
const rollBack: Deed = async (store) => {
  const names: string[] = [];
  for (const [name] of scene.settled) if (!scene.old.has(name)) names.push(name);
  await store.delete(names);
  for (const [name, bytes] of scene.old) if (!scene.settled.has(name)) await store.put(name, bytes);
};

function plainSight({ words, readable }: Sight): unknown {
  return { readable, words: Object.fromEntries(Object.entries(words).map(([who, said]) => [who, plain(said)])) };
}
