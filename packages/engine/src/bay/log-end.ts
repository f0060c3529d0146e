import { utf8 } from "../crypto/index.ts";
import { EngineError } from "../errors.ts";
import { entryName } from "./entry.ts";
import { LIST_ENTRIES_MAX, type LogPlace, listCheckpoints, listEntries } from "./log-objects.ts";
import { END_NUMBER, manifestName } from "./manifest.ts";
import { after, NOWHERE, type Position } from "./position.ts";
import { asStoreFailure } from "./store-failure.ts";

/**
 * How a log ends for good. An entry behind the last one tells processes that stand at the head; where the account is gone,
 * so does a checkpoint that sorts before all others, for those that are behind or have slept. They stay for ever.
 *
 * The bytes are not sealed: who ends an account needs none of its keys. `openEnd` reads them and says whether they are
 * believed, for everybody with the store can write such objects too. An end that is not believed cuts the log off where it
 * stands: what was before it is read, and nothing is written on either side of it.
 */
export const END_CHECKPOINT: string = manifestName(END_NUMBER);

/** Why a log was ended: the account lies in another store now, or is gone. */
export type EndReason = "moved" | "deleted";

/** In place of an entry's number: the log ended, whatever its last entry is. */
export const ANY_ENTRY: Position = NOWHERE;

/** Content of one of the two objects that end a log. */
export interface LogEnd {
  readonly reason: EndReason;
  /** The number of the entry that it is, or {@link ANY_ENTRY}. */
  readonly entry: Position;
  /** The hash of the entry before; all zeros if that is gone from the log. */
  readonly previous: Uint8Array;
}

/** An error that ends the reading of an open log for ever: the log is opened anew or not at all. */
export abstract class ReadingEnded extends EngineError {}

/** An account was moved or deleted: it is done with here. */
export class LogEnded extends ReadingEnded {
  readonly reason: EndReason;
  constructor(reason: EndReason) {
    super(
      reason === "moved" ? "unavailable" : "not-found",
      reason === "moved" ? "the account lies in another store now" : "the account was deleted",
    );
    this.name = "LogEnded";
    this.reason = reason;
  }
}

/** The first bytes of every end; no other entry's head is empty. */
export const END_MAGIC: Uint8Array = utf8("\0\0\0\0restante: ");

/** True for the bytes of an end, whoever wrote them. */
export function isEnd(bytes: Uint8Array): boolean {
  return END_MAGIC.every((byte, at) => bytes[at] === byte);
}

/** How often the log's end is looked for anew because it was trimmed meanwhile. */
const TRIES = 5;
/** How many entries of others may be faster than the one that ends the log. */
const RACES_MAX = 1000;

type Place = Pick<LogPlace, "store" | "prefix">;

/** The entry that ends a log, and when that was, by the store's date. */
export interface StoredEnd {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly created: number;
}

/** The entry that ends the log, if one does. Errors: `unavailable`; `not-found` where there is no log. */
export async function findEnd(place: Place): Promise<StoredEnd | undefined> {
  const entry = await entryAt(place, await findHead(place));
  return entry && isEnd(entry.bytes) ? entry : undefined;
}

/**
 * Ends the log, unless it has ended. `makeEnd` gives the bytes for an entry of this number behind one of these bytes
 * (none if that is gone). Errors: `unavailable`, `unknown-outcome` (both: call again), `not-found` where there is no log.
 */
export async function endLog(
  place: Place,
  makeEnd: (entry: Position, before: Uint8Array | undefined) => Uint8Array,
): Promise<StoredEnd> {
  for (let tries = 1; ; tries++) {
    const head = await findHead(place);
    const last = await entryAt(place, head);
    if (last && isEnd(last.bytes)) return last;
    const name = place.prefix + entryName(after(head));
    const bytes = makeEnd(after(head), last?.bytes);
    const { outcome, now } = await asStoreFailure(place.store.putIfAbsent(name, bytes, { essential: true }));
    if (outcome === "stored") return { name, bytes, created: now };
    // Another entry was faster.
    if (tries === RACES_MAX) throw new EngineError("unavailable", "the account is written to without end");
  }
}

async function entryAt({ store, prefix }: Place, entry: Position): Promise<StoredEnd | undefined> {
  const name = prefix + entryName(entry);
  const got = await asStoreFailure(store.get(name));
  return got.found ? { name, bytes: got.bytes, created: got.created } : undefined;
}

/** The number of the log's last entry. Errors: `unavailable`; `not-found` where there is no log. */
export async function findHead(place: Place): Promise<Position> {
  for (let tries = 1; ; tries++) {
    const { covers } = await listCheckpoints(place, 1);
    let head = covers[0] ?? NOWHERE;
    for (;;) {
      const entries = await listEntries(place, head);
      head = entries.at(-1) ?? head;
      if (entries.length < LIST_ENTRIES_MAX) break;
    }
    if (head > 0) return head;
    if (tries === TRIES) throw new EngineError("not-found", "there is no such account in the store");
  }
}
