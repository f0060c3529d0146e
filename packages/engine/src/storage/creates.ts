import { type ObjectStore, StoreError } from "./object-store.ts";

/** A store's atomic create-if-absent is found out by trying. The verdict belongs to the bucket: it is written there at the
 * first opening and binds all processes, since a log that one process keeps by creates and another without would lose mail.
 * Creates must be raced: some stores refuse a second create when asked one after another, and have several winners when
 * asked at once. A race that goes well proves little, so a store that lies may pass now and then; it doesn't pass always,
 * and a process that sees it fail says so. */
const VERDICT_NAME = "store/creates";
const WRITERS = 16;
const ROUNDS = 3;

/** `atomic`: of any number who create a name at once, one wins. */
export type Verdict = "atomic" | "none";

/** Advice for an operator whose store has no creates. */
export const NO_CREATES: string =
  "the store has no atomic create-if-absent, so a log in it needs merge mode, which this version does not have: " +
  "nothing is written; keep the log in another store (storage.log_kind)";

/** Sixteen creates of one name at once, three times. Throws StoreError where the store does not answer. */
export async function probeCreates(store: ObjectStore, random: (bytes: number) => Uint8Array): Promise<Verdict> {
  const run = hex(random(8));
  const names = Array.from({ length: ROUNDS }, (_, round) => `store/probe/${run}-${round}`);
  try {
    for (const name of names) if (!(await isWonByOne(store, name, random))) return "none";
    return "atomic";
  } finally {
    await store.delete(names);
  }
}

async function isWonByOne(store: ObjectStore, name: string, random: (bytes: number) => Uint8Array): Promise<boolean> {
  const contents = Array.from({ length: WRITERS }, () => random(32));
  try {
    const outcomes = await Promise.all(
      contents.map(async (content) => (await store.putIfAbsent(name, content)).outcome),
    );
    const winners = contents.filter((_, at) => outcomes[at] === "stored");
    if (winners.length !== 1) return false;
    const got = await store.get(name);
    return got.found && hex(got.bytes) === hex(winners[0]!);
  } catch (error) {
    // The store's answer to a request that it does not know.
    if (error instanceof StoreError && error.code === "invalid") return false;
    throw error;
  }
}

/** The bucket's verdict, made at the first opening. Throws StoreError `invalid` where this process's own probe differs. */
export async function settleVerdict(store: ObjectStore, random: (bytes: number) => Uint8Array): Promise<Verdict> {
  const [own, written] = [await probeCreates(store, random), await readVerdict(store)];
  if (written === undefined) {
    const bytes = new TextEncoder().encode(`${JSON.stringify({ format: 1, creates: own })}\n`);
    if (own === "atomic") await store.putIfAbsent(VERDICT_NAME, bytes);
    else await store.put(VERDICT_NAME, bytes);
  }
  // Another process may have been first.
  const binding = written ?? (await readVerdict(store));
  if (binding === own) return own;
  throw new StoreError(
    "invalid",
    `this process finds create-if-absent of the store to be "${own}", and the bucket was found to be ` +
      `"${binding}" before (${VERDICT_NAME}): another store, another proxy before it, or one that is not always atomic`,
  );
}

async function readVerdict(store: ObjectStore): Promise<Verdict | undefined> {
  const got = await store.get(VERDICT_NAME);
  if (!got.found) return undefined;
  const text = new TextDecoder().decode(got.bytes);
  if (/^\{"format":1,"creates":"atomic"\}\s*$/.test(text)) return "atomic";
  if (/^\{"format":1,"creates":"none"\}\s*$/.test(text)) return "none";
  throw new StoreError("invalid", `the bucket's verdict (${VERDICT_NAME}) can't be read`);
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
