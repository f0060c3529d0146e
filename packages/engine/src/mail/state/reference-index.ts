import type { PageStore } from "../../bay/snapshots.ts";
import { concat, hash } from "../../crypto/primitives.ts";

/**
 * Message-ids, by hash, to the first email that has or names them: what threads are found by. It is not resident: what
 * checkpoints cover lies in *runs*, read only when mail is taken in; what came since is a small map.
 *
 * A run is a list of (hash 8, email number 4), ascending by hash, cut into pages. Each checkpoint adds one; runs that are
 * not at least twice as long as the next are merged with it. So there are few, and an entry is written again only when
 * its run doubles.
 */
export const ENTRY_BYTES = 12;
const HASH_BYTES = 8;
const PAGE_ENTRIES_MAX = 4096;

export interface Run {
  readonly entries: number;
  readonly pages: readonly RunPage[];
}
export interface RunPage {
  readonly name: string;
  /** The lowest hash in it. */
  readonly first: Uint8Array;
}

export class ReferenceIndex {
  /** Oldest first, so longest first. */
  runs: readonly Run[] = [];
  readonly #recent = new Map<string, number>();

  /** Notes the ids (hashes, 8 bytes each) of an email; those known already keep their first. */
  add(ids: Uint8Array, number: number): void {
    for (let at = 0; at + HASH_BYTES <= ids.length; at += HASH_BYTES) {
      const key = idKey(ids, at);
      if (!this.#recent.has(key)) this.#recent.set(key, number);
    }
  }

  findRecent(key: string): number | undefined {
    return this.#recent.get(key);
  }

  /** Emails of lasting numbers below `start` are in `runs` now. */
  adopt(runs: readonly Run[], start: number): void {
    this.runs = runs;
    for (const [key, number] of this.#recent) if (number < start) this.#recent.delete(key);
  }

  /** A copy of the present index for a checkpoint. The function writes it, and resolves with the runs that hold all up to
   * now. */
  capture(): (pages: PageStore) => Promise<Run[]> {
    const fresh = encodeEntries(this.#recent);
    const known = [...this.runs];
    return async (pages) => {
      if (fresh.length === 0) return known;
      let entries = fresh;
      while (known.length > 0 && known.at(-1)!.entries < 2 * (entries.length / ENTRY_BYTES)) {
        const older = await Promise.all(known.pop()!.pages.map(({ name }) => pages.read("references", name)));
        entries = mergeEntries(older, entries);
      }
      return [...known, await writeRun(entries, pages)];
    };
  }
}

/**
 * Keys by which an email's thread is found: each of its ids together with its base subject, since an answer with another
 * subject begins another conversation (RFC 8621 §3). Emails of older releases have no subject here: their bare ids.
 */
export function threadKeys({ ids, subject }: { readonly ids: Uint8Array; readonly subject: Uint8Array }): Uint8Array {
  if (subject.length === 0) return ids;
  const keys = new Uint8Array(ids.length - (ids.length % HASH_BYTES));
  for (let at = 0; at < keys.length; at += HASH_BYTES)
    keys.set(hash(concat(ids.subarray(at, at + HASH_BYTES), subject)).subarray(0, HASH_BYTES), at);
  return keys;
}

/** The page of `run` that would hold a hash. */
export function findPage({ pages }: Run, hash: Uint8Array): RunPage | undefined {
  let low = 0;
  let high = pages.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareBytes(pages[middle]!.first, hash) <= 0) low = middle + 1;
    else high = middle;
  }
  return pages[low - 1];
}

/** The email number that a page gives for a hash. */
export function findEntry(page: Uint8Array, hash: Uint8Array): number | undefined {
  let low = 0;
  let high = Math.floor(page.length / ENTRY_BYTES);
  while (low < high) {
    const middle = (low + high) >>> 1;
    const order = compareBytes(page.subarray(middle * ENTRY_BYTES, middle * ENTRY_BYTES + HASH_BYTES), hash);
    if (order === 0)
      return new DataView(page.buffer, page.byteOffset + middle * ENTRY_BYTES + HASH_BYTES, 4).getUint32(0);
    if (order < 0) low = middle + 1;
    else high = middle;
  }
  return undefined;
}

/** A hash of 8 bytes as a map's key: one character a byte, so that keys sort as bytes do. */
export function idKey(ids: Uint8Array, at: number): string {
  return String.fromCharCode(...ids.subarray(at, at + HASH_BYTES));
}

export function keyBytes(key: string): Uint8Array {
  return Uint8Array.from(key, (char) => char.charCodeAt(0));
}

function encodeEntries(recent: ReadonlyMap<string, number>): Uint8Array {
  const bytes = new Uint8Array(recent.size * ENTRY_BYTES);
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const key of [...recent.keys()].sort()) {
    for (let i = 0; i < HASH_BYTES; i++) bytes[at + i] = key.charCodeAt(i);
    view.setUint32(at + HASH_BYTES, recent.get(key)!);
    at += ENTRY_BYTES;
  }
  return bytes;
}

/** Joins ascending entries; of equal hashes the older one stays. */
function mergeEntries(older: readonly Uint8Array[], newer: Uint8Array): Uint8Array {
  const merged = new Uint8Array(older.reduce((sum, page) => sum + page.length, newer.length));
  let to = 0;
  let from = 0;
  const take = (bytes: Uint8Array, at: number): void => {
    merged.set(bytes.subarray(at, at + ENTRY_BYTES), to);
    to += ENTRY_BYTES;
  };
  for (const page of older)
    for (let at = 0; at + ENTRY_BYTES <= page.length; at += ENTRY_BYTES) {
      const hash = page.subarray(at, at + HASH_BYTES);
      let order = -1;
      for (; from < newer.length; from += ENTRY_BYTES) {
        order = compareBytes(newer.subarray(from, from + HASH_BYTES), hash);
        if (order >= 0) break;
        take(newer, from);
      }
      if (order === 0) from += ENTRY_BYTES;
      take(page, at);
    }
  for (; from < newer.length; from += ENTRY_BYTES) take(newer, from);
  return merged.subarray(0, to);
}

async function writeRun(entries: Uint8Array, pages: PageStore): Promise<Run> {
  const written: RunPage[] = [];
  for (let at = 0; at < entries.length; at += PAGE_ENTRIES_MAX * ENTRY_BYTES) {
    const content = entries.subarray(at, at + PAGE_ENTRIES_MAX * ENTRY_BYTES);
    written.push({ name: await pages.write("references", content), first: content.slice(0, HASH_BYTES) });
  }
  return { entries: entries.length / ENTRY_BYTES, pages: written };
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < HASH_BYTES; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return 0;
}
