import { equalBytes } from "../crypto/index.ts";
import { EngineError } from "../errors.ts";
import type { PageStore } from "./snapshots.ts";

/**
 * Hashes of a log's entries, which a checkpoint keeps so that a witness of long ago can be compared when the entry itself is
 * gone (docs/rules.md §4): of the last 65,536 entries, and of each 1,024th before. Sixteen bytes of each: who could make
 * another entry of such a hash would need 2^128 tries.
 */
const HASH_BYTES = 16;
/** Entries of one page: page k has entries k * 1,024 + 1 to (k + 1) * 1,024. */
const PAGE_ENTRIES = 1024;
export const PAGES_MAX = 64;

/** Hashes as a manifest names them. */
export interface KeptHashes {
  /** Which pages there are, from the first that is kept on. */
  readonly firstPage: number;
  readonly pages: readonly string[];
  /** The last hash of each page before those. */
  readonly sparse: Uint8Array;
}

export const NO_HASHES: KeptHashes = { firstPage: 0, pages: [], sparse: new Uint8Array(0) };

/** Hashes of the entries after `after`, in order. */
interface NewHashes {
  readonly after: number;
  readonly hashes: readonly Uint8Array[];
}

/** Hashes of the entries that were applied: those that the newest checkpoint keeps, and those since. */
export class EntryHashes {
  readonly #kept: KeptHashes;
  readonly #after: number;
  readonly #since: Uint8Array[];

  /** Of a checkpoint that keeps `kept` and covers entries up to `after`. */
  constructor(kept: KeptHashes = NO_HASHES, after = 0, since: Uint8Array[] = []) {
    this.#kept = kept;
    this.#after = after;
    this.#since = since;
  }

  /** The next entry was applied. */
  add(hash: Uint8Array): void {
    this.#since.push(hash.slice(0, HASH_BYTES));
  }

  /** The same, over another checkpoint of this log that was passed. An older one is no gain. */
  upon({ covers, hashes }: { readonly covers: number; readonly hashes: KeptHashes }): EntryHashes {
    return covers < this.#after ? this : new EntryHashes(hashes, covers, this.#since.slice(covers - this.#after));
  }

  /** True if entry `entry` had this hash; undefined if its hash is not kept any more. False if the page that keeps it is
   * damaged: a store that is set back could have that page spoilt too. Errors: `unavailable`. */
  async had(entry: number, hash: Uint8Array, pages: PageStore): Promise<boolean | undefined> {
    if (entry > this.#after) return isSame(this.#since[entry - this.#after - 1], hash);
    return findHash(this.#kept, entry, pages).then((known) => isSame(known, hash), isFalseWhereDamaged);
  }

  /** A copy of the hashes for a checkpoint of now. The function writes it. */
  capture(): (pages: PageStore) => Promise<KeptHashes> {
    const added = { after: this.#after, hashes: [...this.#since] };
    return (pages) => keepHashes(this.#kept, added, pages);
  }
}

/** Writes what a checkpoint keeps: `known`, which goes up to entry `added.after`, and what came since. Errors: those of
 * `pages`. */
export async function keepHashes(known: KeptHashes, added: NewHashes, pages: PageStore): Promise<KeptHashes> {
  const names = [...known.pages];
  const contents = new Map<number, Uint8Array>();
  const firstPage = known.pages.length > 0 ? known.firstPage : pageOf(added.after + 1);
  for (const [at, hash] of added.hashes.entries()) {
    const entry = added.after + 1 + at;
    const page = pageOf(entry);
    let content = contents.get(page);
    if (!content) {
      content = new Uint8Array(PAGE_ENTRIES * HASH_BYTES);
      const name = names[page - firstPage];
      if (name) content.set(await readWhole(name, pages));
      contents.set(page, content);
    }
    content.set(hash.subarray(0, HASH_BYTES), offsetOf(entry));
  }
  const end = added.after + added.hashes.length;
  for (const [page, content] of contents) {
    const length = page === pageOf(end) ? offsetOf(end) + HASH_BYTES : content.length;
    names[page - firstPage] = await pages.write("hashes", content.subarray(0, length));
  }
  return shorten({ firstPage, pages: names, sparse: sparseFor(known, firstPage) }, pages);
}

/** Of too many pages the oldest keep their last hash alone. */
async function shorten(kept: KeptHashes, pages: PageStore): Promise<KeptHashes> {
  const extra = Math.max(0, kept.pages.length - PAGES_MAX);
  if (extra === 0) return kept;
  const sparse = new Uint8Array((kept.firstPage + extra) * HASH_BYTES);
  sparse.set(kept.sparse);
  for (let at = 0; at < extra; at++) {
    const content = await readWhole(kept.pages[at]!, pages);
    sparse.set(content.subarray(-HASH_BYTES), (kept.firstPage + at) * HASH_BYTES);
  }
  return { firstPage: kept.firstPage + extra, pages: kept.pages.slice(extra), sparse };
}

/** Entries of which nothing is known have zeros. */
function sparseFor({ sparse }: KeptHashes, firstPage: number): Uint8Array {
  const room = new Uint8Array(firstPage * HASH_BYTES);
  room.set(sparse.subarray(0, room.length));
  return room;
}

/** A page's content. Errors: `corrupt`, `unavailable`. */
async function readPage(name: string, pages: PageStore): Promise<Uint8Array> {
  const content = await pages.read("hashes", name);
  if (content.length > PAGE_ENTRIES * HASH_BYTES) throw new EngineError("corrupt", "a page of hashes is too long");
  return content;
}

/** The same to write on upon: empty if it is damaged, so that one is lost and not each checkpoint to come. */
function readWhole(name: string, pages: PageStore): Promise<Uint8Array> {
  return readPage(name, pages).catch((error: unknown) => {
    isFalseWhereDamaged(error);
    return new Uint8Array(0);
  });
}

/** All other errors are thrown on. */
function isFalseWhereDamaged(error: unknown): false {
  if (error instanceof EngineError && error.code === "corrupt") return false;
  throw error;
}

function isSame(known: Uint8Array | undefined, hash: Uint8Array): boolean | undefined {
  return known && equalBytes(known, hash.slice(0, HASH_BYTES));
}

/** The hash of an entry, if it is kept. Errors: `corrupt` where it is kept in a page that can't be read, `unavailable`. */
export async function findHash(kept: KeptHashes, entry: number, pages: PageStore): Promise<Uint8Array | undefined> {
  const page = pageOf(entry);
  const name = kept.pages[page - kept.firstPage];
  const isLast = entry % PAGE_ENTRIES === 0;
  const [bytes, at] = name
    ? [await readPage(name, pages), offsetOf(entry)]
    : [isLast && page < kept.firstPage ? kept.sparse : new Uint8Array(0), page * HASH_BYTES];
  const hash = bytes.slice(at, at + HASH_BYTES);
  return hash.some((byte) => byte !== 0) ? hash : undefined;
}

function pageOf(entry: number): number {
  return Math.floor((entry - 1) / PAGE_ENTRIES);
}

function offsetOf(entry: number): number {
  return ((entry - 1) % PAGE_ENTRIES) * HASH_BYTES;
}
