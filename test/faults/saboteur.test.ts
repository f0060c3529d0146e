import { readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ObjectStore } from "@restante/engine";
import { MemoryPlace, openEmbeddedStore, openS3Store, SplitStore } from "@restante/engine/node";
import { S3Double } from "@restante/engine/testing";
import { beforeAll, expect, test } from "vitest";
import { look, makeScene, type Scene, type Sight } from "../kit/sabotaged-account.ts";

/**
 * Whoever has the store does to each kind of object whatever can be done to it. Nothing is shown wrongly, and what is seen
 * of it, by whom and in which words, is the table in docs/threat-model.md. RESTANTE_WRITE_TABLE=1 writes it.
 */
const DOC = join(import.meta.dirname, "../../docs/threat-model.md");
const [BEGIN, END] = ["<!-- saboteur: made by test:faults -->\n", "<!-- /saboteur -->"];
const KINDS = ["slot", "log", "checkpoint", "note", "body", "pack", "page"] as const;
type Kind = (typeof KINDS)[number];

interface Target {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** Another object of its kind. */
  readonly other: { readonly name: string; readonly bytes: Uint8Array } | undefined;
}
type Deed = (store: ObjectStore, target: Target) => Promise<unknown>;
const changed = (change: (bytes: Uint8Array) => Uint8Array): Deed => {
  return (store, { name, bytes }) => store.put(name, change(bytes.slice()));
};
const DEEDS: Readonly<Record<string, Deed>> = {
  deleted: (store, { name }) => store.delete([name]),
  cut: changed((bytes) => bytes.subarray(0, bytes.length >> 1)),
  "one octet flipped": changed((bytes) => {
    bytes[bytes.length >> 1]! ^= 1;
    return bytes;
  }),
  zeroed: changed((bytes) => bytes.fill(0)),
  forged: changed((bytes) => bytes.map((_, at) => (at * 7919 + 13) & 0xff)),
  swapped: async (store, { name, bytes, other }) => {
    if (!other) return;
    await store.put(name, other.bytes);
    await store.put(other.name, bytes);
  },
};

let scene: Scene;
beforeAll(async () => {
  scene = await makeScene();
}, 300_000);

const kindOf = (name: string): string => name.split("/")[1] ?? "";
const objectsFor = (kind: Kind): ReadonlyMap<string, Uint8Array> => (kind === "note" ? scene.waiting : scene.settled);

/** All objects of a kind; of a long log the ends, the middle, and what a checkpoint covers. */
function targets(kind: Kind): Target[] {
  const all = [...objectsFor(kind)].filter(([name]) => kindOf(name) === kind).sort(([a], [b]) => (a < b ? -1 : 1));
  const picked = kind === "log" ? [0, all.length >> 1, all.length - 3, all.length - 1] : [...all.keys()];
  return picked.map((at) => {
    const [name, bytes] = all[at]!;
    const other = all.length > 1 ? all[(at + 1) % all.length] : undefined;
    return { name, bytes, other: other && { name: other[0], bytes: other[1] } };
  });
}

function inMemory(objects: ReadonlyMap<string, Uint8Array>): MemoryPlace {
  const place = new MemoryPlace(Date.now);
  for (const [name, bytes] of objects) place.write(name, bytes);
  return place;
}

async function sabotage(kind: Kind, target: Target, deed: Deed): Promise<Sight> {
  const place = inMemory(objectsFor(kind));
  return look(
    scene,
    () => place.open(),
    async () => void (await deed(place.open(), target)),
    kind !== "note",
  );
}

/** The same stores as servers have; each resolves with what opens them anew, as a process does. */
const PLACES: Readonly<Record<string, () => Promise<{ open: () => Promise<ObjectStore>; end: () => Promise<void> }>>> =
  {
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

type Row = readonly [string, string, string, string];

const plain = (words: readonly string[]): string[] => words.map((text) => text.replace(/[0-9a-f]{8,}(-\d+)?/g, "…"));

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

async function makeTable(): Promise<string> {
  const rows: Row[] = [];
  for (const kind of KINDS) {
    const whole = scene.truth.size + (kind === "note" ? scene.delivered.size : 0);
    expect(targets(kind).length, kind).toBeGreaterThan(0);
    for (const [name, deed] of Object.entries(DEEDS)) {
      const usable = targets(kind).filter(({ other }) => name !== "swapped" || other);
      if (usable.length === 0) continue;
      const sights: Sight[] = [];
      for (const target of usable)
        sights.push(
          await sabotage(kind, target, deed).catch((error: unknown) => {
            throw new Error(`${target.name} ${name}`, { cause: error });
          }),
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
  const lines = rows.map((row) => `| ${row.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`);
  return ["| what | done to it | seen by, and told how | still opens |", "|---|---|---|---|", ...lines, ""].join("\n");
}

test("whatever is done to a store, nothing is shown wrongly, and the table tells what is seen", async () => {
  const table = await makeTable();
  const doc = readFileSync(DOC, "utf8");
  const [from, to] = [doc.indexOf(BEGIN) + BEGIN.length, doc.indexOf(END)];
  expect(doc).toContain(BEGIN);
  if (process.env.RESTANTE_WRITE_TABLE) writeFileSync(DOC, doc.slice(0, from) + table + doc.slice(to));
  else expect(doc.slice(from, to)).toBe(table);
}, 600_000);

test.each(Object.keys(PLACES))(
  "the same is seen of it in a store of kind %s",
  async (name) => {
    for (const kind of KINDS)
      for (const [what, deed] of Object.entries(DEEDS)) {
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

function plainSight({ words, readable }: Sight): unknown {
  return { readable, words: Object.fromEntries(Object.entries(words).map(([who, said]) => [who, plain(said)])) };
}
