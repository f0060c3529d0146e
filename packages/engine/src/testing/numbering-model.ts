/**
 * The numbering of docs/rules.md §1 as plainly as it can be said, for the fold to be compared with: sets and lists, all
 * computed anew for each set of ops, nothing shared with `block.ts` or `apply.ts`.
 *
 * A history is ops in their final order, each with the set of earlier ones that its author knew: every partial order
 * with every linear extension of it, so any number of writers and any skew of their clocks.
 */
export type Place = 0 | 1;
export type Event =
  | { readonly kind: "add"; readonly mailbox: Place; readonly count: number }
  /** `flag` sets a keyword of its own, `unflag` removes those of all ops. */
  | { readonly kind: "flag" | "unflag" | "expunge"; readonly entries: readonly Entry[] }
  | { readonly kind: "move" | "copy"; readonly entries: readonly Entry[]; readonly mailbox: Place };
/** A membership: the op that made it and its place there; and its mailbox. */
export interface Entry {
  readonly op: number;
  readonly index: number;
  readonly mailbox: Place;
}
export interface Step {
  readonly event: Event;
  /** Bit i: op i was known. */
  readonly knows: number;
}
export type History = readonly Step[];

export const has = (mask: number, op: number): boolean => (mask & (1 << op)) !== 0;
export const nameText = ({ op, index }: Omit<Entry, "mailbox">): string => `${op}.${index}`;

/** The account is begun by an op of its own. */
const MODSEQ_BEGUN = 1;

/** One mailbox as a client may see it; `vanished` tells of each uid when it went. */
export interface Seen {
  uidNext: number;
  readonly live: Map<number, { readonly name: string; readonly flags: string; readonly modSeq: number }>;
  readonly vanished: Map<number, number>;
}

/** Runs of the listed ops that no cut divides; a cut: every later op knows every earlier one. */
export function blocks(history: History, ops: readonly number[]): number[][] {
  const result: number[][] = [[]];
  for (const [place, op] of ops.entries()) {
    const isCut = ops.slice(place).every((later) => ops.slice(0, place).every((e) => has(history[later]!.knows, e)));
    if (isCut && place > 0) result.push([]);
    result.at(-1)!.push(op);
  }
  return result.filter((block) => block.length > 0);
}

export function opsOf(history: History, mask: number): number[] {
  return history.map((_, op) => op).filter((op) => has(mask, op));
}

/** Sets of ops that someone may have seen: with each op all that its author knew. */
export function closedSets(history: History): number[] {
  const sets: number[] = [];
  for (let mask = 0; mask < 1 << history.length; mask++)
    if (history.every(({ knows }, op) => !has(mask, op) || (knows & ~mask) === 0)) sets.push(mask);
  return sets;
}

interface Content {
  readonly entries: readonly Entry[];
  readonly flags: ReadonlyMap<string, ReadonlySet<string>>;
  /** By entry, the ops that took it: one is enough, and order does not matter. */
  readonly takers: ReadonlyMap<string, readonly number[]>;
  /** By entry, the ops that set its flags. */
  readonly flaggers: ReadonlyMap<string, readonly number[]>;
  readonly moved: ReadonlyMap<string, readonly Entry[]>;
}

export function contentOf(history: History, mask: number): Content {
  const entries: Entry[] = [];
  const flags = new Map<string, Set<string>>();
  const takers = new Map<string, number[]>();
  const flaggers = new Map<string, number[]>();
  const moved = new Map<string, Entry[]>();
  const put = <T>(map: Map<string, T[]>, name: string, item: T): void =>
    void map.set(name, [...(map.get(name) ?? []), item]);
  const add = (entry: Entry, set: ReadonlySet<string>): void => {
    entries.push(entry);
    flags.set(nameText(entry), new Set(set));
  };
  for (const op of opsOf(history, mask)) {
    const { event } = history[op]!;
    if (event.kind === "add") {
      for (let index = 0; index < event.count; index++) add({ op, index, mailbox: event.mailbox }, new Set());
      continue;
    }
    if (event.kind === "flag" || event.kind === "unflag") {
      // With all that moves made of it: those that the author knew he would have named himself.
      const family = [...event.entries];
      for (const entry of family) family.push(...(moved.get(nameText(entry)) ?? []));
      for (const entry of family) {
        if (event.kind === "flag") flags.get(nameText(entry))!.add(`k${op}`);
        else flags.get(nameText(entry))!.clear();
        put(flaggers, nameText(entry), op);
      }
      continue;
    }
    for (const [index, source] of event.entries.entries()) {
      if (event.kind === "move" || event.kind === "copy") {
        const entry = { op, index, mailbox: event.mailbox };
        add(entry, flags.get(nameText(source))!);
        if (event.kind === "move") put(moved, nameText(source), entry);
      }
      if (event.kind !== "copy") put(takers, nameText(source), op);
    }
  }
  return { entries, flags, takers, flaggers, moved };
}

/** The two mailboxes as a reader sees them who knows exactly these ops. */
export function expected(history: History, mask: number): readonly [Seen, Seen] {
  const ops = opsOf(history, mask);
  const content = contentOf(history, mask);
  const endOf = new Map<number, number>();
  let modSeq = MODSEQ_BEGUN;
  for (const block of blocks(history, ops)) {
    modSeq += block.length;
    for (const op of block) endOf.set(op, modSeq);
  }
  const latest = (touching: readonly number[]): number => Math.max(...touching.map((op) => endOf.get(op)!));
  const see = (mailbox: Place): Seen => {
    const seen: Seen = { uidNext: 1, live: new Map(), vanished: new Map() };
    const mine = content.entries.filter((entry) => entry.mailbox === mailbox);
    // Of the ops only those that add here: nothing else moves a uid.
    for (const block of blocks(history, [...new Set(mine.map(({ op }) => op))])) {
      const added = mine.filter(({ op }) => block.includes(op));
      const burnt = (block.length - 1) * added.length;
      for (let i = 0; i < burnt; i++) seen.vanished.set(seen.uidNext++, latest(block));
      for (const entry of added) {
        const name = nameText(entry);
        const uid = seen.uidNext++;
        const takers = content.takers.get(name);
        if (takers) seen.vanished.set(uid, latest(takers));
        else
          seen.live.set(uid, {
            name,
            flags: [...content.flags.get(name)!].sort().join(),
            modSeq: latest([entry.op, ...(content.flaggers.get(name) ?? [])]),
          });
      }
    }
    return seen;
  };
  return [see(0), see(1)];
}

/** I5: entries that are neither `live` nor expunged, and of which no move kept anything either. */
export function lostEntries(history: History, live: ReadonlySet<string>): Entry[] {
  const { entries, takers, moved } = contentOf(history, (1 << history.length) - 1);
  const isSafe = (entry: Entry): boolean => {
    const name = nameText(entry);
    if (live.has(name)) return true;
    const kept = moved.get(name) ?? [];
    // An expunge excuses the membership that it names; what a move made beside it must be there.
    return (kept.length > 0 || takers.get(name)?.length !== undefined) && kept.every(isSafe);
  };
  return entries.filter((entry) => !isSafe(entry));
}

/** Memberships of one mailbox that the author of an op with these dependencies sees, in uid order. */
export function entriesSeen(history: History, knows: number, mailbox: Place): Entry[] {
  const { entries, takers } = contentOf(history, knows);
  return entries.filter((entry) => entry.mailbox === mailbox && !takers.has(nameText(entry)));
}
