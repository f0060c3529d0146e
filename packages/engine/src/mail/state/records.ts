import type { Position } from "../../bay/position.ts";
import { higherOf, type ModSeq, NO_MODSEQ } from "../numbers.ts";

/**
 * Small things beside mail, each a register by type and id (the op `record`): identities, settings, what a phone said. The
 * last write in the order of ops counts. One that ended leaves a tombstone, so that who follows a type hears of it.
 */

/** Octets of a value that is kept in memory; a larger one stays where it was written. */
export const RESIDENT_BYTES_MAX = 1024;
/** Octets of a value, of a type's name and of an id, and records of one account that live: beyond these an op's author
 * refuses. */
export const VALUE_BYTES_MAX: number = 64 * 1024;
export const RECORD_NAME_BYTES_MAX = 256;
export const RECORDS_MAX = 100_000;
/** Ended records that are remembered, of all types. */
const RECORD_TOMBSTONES_MAX = 65_536;

/** Where a large value lies: in the op of a log entry, or in a page of its own. */
export type ValuePlace =
  | { readonly in: "entry"; readonly entry: Position; readonly op: number; readonly index: number }
  | { readonly in: "page"; readonly name: string };

/** A large value: its BLAKE2b-256, and where it lies. */
export interface StoredValue {
  readonly hash: Uint8Array;
  readonly place: ValuePlace;
}

export type RecordValue = { readonly bytes: Uint8Array } | StoredValue;

export interface StoredRecord {
  readonly type: string;
  readonly id: string;
  readonly modSeq: ModSeq;
  /** Undefined: it ended. */
  readonly value: RecordValue | undefined;
}

/** The page that holds a large value. */
export interface ValuePage {
  readonly type: string;
  readonly id: string;
  readonly modSeq: ModSeq;
  readonly name: string;
}

interface TypeRecords {
  readonly byId: Map<string, StoredRecord>;
  /** The highest modseq of a change, and what ended at or below `floor` is forgotten. */
  changed: ModSeq;
  floor: ModSeq;
}

export class Records {
  readonly #types = new Map<string, TypeRecords>();
  #live = 0;
  #ended = 0;

  /** How many there are. */
  get live(): number {
    return this.#live;
  }

  find(type: string, id: string): StoredRecord | undefined {
    return this.#types.get(type)?.byId.get(id);
  }

  /** The highest modseq at which a record of this type changed; 0 if none did. */
  changed(type: string): ModSeq {
    return this.#types.get(type)?.changed ?? NO_MODSEQ;
  }

  /** Ends at or below this modseq are forgotten. */
  floor(type: string): ModSeq {
    return this.#types.get(type)?.floor ?? NO_MODSEQ;
  }

  /** The records of a type that live, in order of id. */
  list(type: string): StoredRecord[] {
    const all = [...(this.#types.get(type)?.byId.values() ?? [])].filter(({ value }) => value !== undefined);
    return all.sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** Records of a type that changed or ended beyond a modseq, in no order. */
  *since(type: string, modSeq: ModSeq): Generator<StoredRecord> {
    if (this.changed(type) <= modSeq) return;
    for (const record of this.#types.get(type)!.byId.values()) if (record.modSeq > modSeq) yield record;
  }

  /** All, tombstones too, in an order that follows from what they are. */
  *all(): Generator<StoredRecord> {
    for (const [, { byId }] of this.#sorted()) yield* [...byId.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** Each type with the modseq of its last change and its floor. */
  types(): (readonly [string, ModSeq, ModSeq])[] {
    return this.#sorted().map(([type, { changed, floor }]) => [type, changed, floor] as const);
  }

  set(record: StoredRecord): void {
    const known = this.#typeOf(record.type);
    this.#count(known.byId.get(record.id), -1);
    // The one written last stands last: of tombstones the oldest go first.
    known.byId.delete(record.id);
    known.byId.set(record.id, record);
    this.#count(record, 1);
    known.changed = higherOf(known.changed, record.modSeq);
    if (this.#ended > RECORD_TOMBSTONES_MAX) this.#forgetEnded();
  }

  /** After a load. */
  setType(type: string, changed: ModSeq, floor: ModSeq): void {
    Object.assign(this.#typeOf(type), { changed, floor });
  }

  /** A checkpoint has put values into pages: those that are still the same lie there now. */
  adopt(pages: readonly ValuePage[]): void {
    for (const { type, id, modSeq, name } of pages) {
      const byId = this.#types.get(type)?.byId;
      const record = byId?.get(id);
      if (record?.modSeq !== modSeq || !record.value || "bytes" in record.value) continue;
      byId?.set(id, { ...record, value: { hash: record.value.hash, place: { in: "page", name } } });
    }
  }

  #typeOf(type: string): TypeRecords {
    const none = { byId: new Map<string, StoredRecord>(), changed: NO_MODSEQ, floor: NO_MODSEQ };
    const known = this.#types.get(type) ?? none;
    this.#types.set(type, known);
    return known;
  }

  #count(record: StoredRecord | undefined, by: 1 | -1): void {
    if (!record) return;
    if (record.value) this.#live += by;
    else this.#ended += by;
  }

  /** A quarter of the tombstones goes, the oldest: what is forgotten depends on nothing but what was written. */
  #forgetEnded(): void {
    const ended = [...this.all()].filter(({ value }) => value === undefined);
    ended.sort((a, b) => a.modSeq - b.modSeq || (a.id < b.id ? -1 : 1));
    for (const { type, id, modSeq } of ended.slice(0, ended.length >> 2)) {
      const known = this.#typeOf(type);
      known.byId.delete(id);
      known.floor = higherOf(known.floor, modSeq);
      this.#ended--;
    }
  }

  #sorted(): [string, TypeRecords][] {
    return [...this.#types].sort(([a], [b]) => (a < b ? -1 : 1));
  }
}
