import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type AccountSession,
  type EngineError,
  type ObjectStore,
  type Platform,
  type PublicRecord,
  rotateAccount,
  VouchedUsers,
} from "@restante/engine";
import {
  MemoryPlace,
  openEmbeddedStore,
  openS3Store,
  rebuildEmbeddedStore,
  SplitStore,
  settleEmbeddedStore,
} from "@restante/engine/node";
import {
  dropbox,
  FIRST,
  isSameRecord,
  mailText,
  makeRing,
  publicRecord,
  S3Double,
  setUpAda,
  stream,
} from "@restante/engine/testing";
import { beforeAll, expect, test } from "vitest";
import { look, makeScene, type Scene, type Sight } from "../kit/sabotaged-account.ts";

/**
 * Whoever has the store does to each kind of object whatever can be done to it. Nothing is shown wrongly, and what is seen
 * of it, by whom and in which words, is the table in docs/threat-model.md. RESTANTE_WRITE_TABLE=1 writes it.
 */
const DOC = join(import.meta.dirname, "../../docs/threat-model.md");
const [BEGIN, END] = ["<!-- saboteur: made by test:faults -->\n", "<!-- /saboteur -->"];
const PAGE_BYTES = 4096;
/** Each so many-th page of a database, and so many places of a pack, are enough. */
const DATABASE_STEP = 5;
const PLACES_IN_PACK = 24;
const KINDS = ["slot", "log", "checkpoint", "note", "body", "pack", "page"] as const;
type Kind = (typeof KINDS)[number];

interface Target {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** Another object of its kind. */
  readonly other: { readonly name: string; readonly bytes: Uint8Array } | undefined;
  /** One of its kind of an account that another owner has: sealed, and signed, with other keys. */
  readonly foreign: Uint8Array;
}
type Deed = (store: ObjectStore, target: Target) => Promise<unknown>;
const changed = (change: (bytes: Uint8Array) => Uint8Array): Deed => {
  return (store, { name, bytes }) => store.put(name, change(bytes.slice()));
};
const flippedAt = (share: number): Deed =>
  changed((bytes) => {
    bytes[Math.floor(bytes.length * share)]! ^= 1;
    return bytes;
  });
const DEEDS: Readonly<Record<string, Deed>> = {
  deleted: (store, { name }) => store.delete([name]),
  cut: changed((bytes) => bytes.subarray(0, bytes.length >> 1)),
  "one octet flipped": flippedAt(0.5),
  zeroed: changed((bytes) => bytes.fill(0)),
  forged: changed((bytes) => bytes.map((_, at) => (at * 7919 + 13) & 0xff)),
  "another account's": (store, { name, foreign }) => store.put(name, foreign),
  swapped: async (store, { name, bytes, other }) => {
    if (!other) return;
    await store.put(name, other.bytes);
    await store.put(other.name, bytes);
  },
};

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

/** Rows of public records that the users folder, or a directory, shows beside an address: told to a host that delivered
 * there before, and to its owner. */
async function recordRows(): Promise<Row[]> {
  const rows: Row[] = [];
  const deeds: Record<string, (mine: PublicRecord, first: PublicRecord, crypto: Platform["crypto"]) => PublicRecord> = {
    "another's key, signed by nobody": (mine, _, crypto) => ({
      ...mine,
      kemPublicKey: publicRecord(makeRing(crypto)).kemPublicKey,
      proof: undefined,
    }),
    "another's key, signed by other keys": ({ account }, _, crypto) => publicRecord({ ...makeRing(crypto), account }),
    "another's key, under the owner's signature": (mine, _, crypto) => ({
      ...mine,
      kemPublicKey: publicRecord(makeRing(crypto)).kemPublicKey,
    }),
    "the owner's own of before new keys": (_, first) => first,
    "its signatures taken away": (mine) => ({ ...mine, proof: undefined }),
  };
  for (const [what, deed] of Object.entries(deeds)) {
    const { tools, users, user, accounts, place } = await setUpAda();
    const first = user().record;
    await rotateAccount(tools, user(), FIRST);
    const box = dropbox(place, user());
    await box.deliver(new Uint8Array(0), stream(mailText(1)));
    const seen = Object.assign(Object.create(users), { users: [user()] }) as typeof users;
    const mine = user().record;
    users.users = [{ ...user(), record: deed(mine, first, tools.platform.crypto) }];
    const words = { delivery: [] as string[], opening: [] as string[] };
    const vouched = new VouchedUsers(users, seen, () => undefined);
    await vouched.find(user().address).catch((error: EngineError) => words.delivery.push(error.message));
    const server = accounts();
    const session = await server.login("ada", FIRST, "");
    await session.refresh();
    for (const text of await textsOfInbox(session)) {
      const subject = /^Subject: (Your address .*)\r$/m.exec(text)?.[1];
      if (subject !== undefined) words.opening.push(`message: ${subject}`);
    }
    await server.dispose();
    // It is the owner's again, and delivered to.
    expect(isSameRecord(user().record, mine), what).toBe(true);
    await new VouchedUsers(users, seen, () => undefined).find(user().address);
    const told = Object.entries(words).flatMap(([who, said]) => said.map((text) => `${who}: ${text}`));
    rows.push(["public record", what, told.length > 0 ? told.join("; ") : "not seen", "all"]);
  }
  return rows;
}

async function textsOfInbox(session: AccountSession): Promise<string[]> {
  const view = session.openView(session.getMailbox("INBOX").id, { readOnly: true });
  const texts: string[] = [];
  for (let position = 0; position < view.length; position++) {
    const body = await session.openBody(view.message(position));
    const pieces: Buffer[] = [];
    for await (const piece of body.read(0, body.size)) pieces.push(Buffer.from(piece));
    texts.push(Buffer.concat(pieces).toString("latin1"));
  }
  return texts;
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
  rows.push(...(await recordRows()), ...(await databaseRows()));
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
