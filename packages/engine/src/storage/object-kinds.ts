/** The kinds of an account's objects: `<account>/<kind>/<name>`. All code that differs by kind asks this table, so a new kind
 * is a row of it and nothing else. */
export interface ObjectKind {
  /** `once`: the object of a name never changes. `over`: the last put counts; such objects are copied last, and replaced. */
  readonly writes: "once" | "over";
  /** With the log, in a store that creates atomically and that a delivering process may read, or with the rest. */
  readonly lies: "with-log" | "with-rest";
  /** May be large: above a size the embedded store keeps it as a file, and a cache keeps it on disk. */
  readonly mayBeLarge: boolean;
  /** When a moving account's go over: what never changes first, then what the log's end makes final, ways in last. */
  readonly moves: "early" | "at-end" | "last";
  /** Deletion: `unnamed` by the collector when nothing names the object, `trimmed` with the log, `taken-in` by take-in,
   * `by-owner` at the owner's wish. */
  readonly ends: "unnamed" | "trimmed" | "taken-in" | "by-owner";
  /** Holds bodies that salvage reads; in the order in which it looks there. */
  readonly salvaged?: number;
}

export type ObjectKindName = "slot" | "log" | "checkpoint" | "note" | "body" | "pack" | "page" | "device" | "public";

export const OBJECT_KINDS: Readonly<Record<ObjectKindName, ObjectKind>> = {
  slot: { writes: "once", lies: "with-log", mayBeLarge: false, moves: "last", ends: "by-owner" },
  log: { writes: "once", lies: "with-log", mayBeLarge: false, moves: "at-end", ends: "trimmed", salvaged: 3 },
  checkpoint: { writes: "once", lies: "with-log", mayBeLarge: false, moves: "at-end", ends: "trimmed" },
  note: { writes: "once", lies: "with-rest", mayBeLarge: false, moves: "at-end", ends: "taken-in", salvaged: 4 },
  body: { writes: "once", lies: "with-rest", mayBeLarge: true, moves: "early", ends: "unnamed", salvaged: 2 },
  pack: { writes: "once", lies: "with-rest", mayBeLarge: true, moves: "early", ends: "unnamed", salvaged: 1 },
  page: { writes: "once", lies: "with-rest", mayBeLarge: true, moves: "early", ends: "unnamed" },
  /** States of phones: `account/devices/device-states.ts`. */
  device: { writes: "once", lies: "with-rest", mayBeLarge: false, moves: "at-end", ends: "by-owner" },
  /** Facts of an account for delivering processes, which have none of its keys: usage, limits. */
  public: { writes: "over", lies: "with-log", mayBeLarge: false, moves: "last", ends: "by-owner" },
};

const ALL = Object.entries(OBJECT_KINDS) as [ObjectKindName, ObjectKind][];

/** The kinds of which this holds, in the table's order. */
export function kindsOf(isWanted: (kind: ObjectKind) => boolean): ObjectKindName[] {
  return ALL.filter(([, kind]) => isWanted(kind)).map(([name]) => name);
}

/** Kinds whose bodies salvage reads, in the order in which it looks. */
export function salvagedKinds(): ObjectKindName[] {
  return ALL.filter(([, { salvaged }]) => salvaged !== undefined)
    .sort(([, a], [, b]) => a.salvaged! - b.salvaged!)
    .map(([name]) => name);
}

/** The beginning of a kind's names in their account. */
export function folderOf<K extends ObjectKindName>(kind: K): `${K}/` {
  return `${kind}/`;
}

/** The kind of an object by its name in its account; undefined for none of ours. */
export function kindIn(name: string): ObjectKindName | undefined {
  const kind = name.slice(0, Math.max(0, name.indexOf("/")));
  return kind in OBJECT_KINDS ? (kind as ObjectKindName) : undefined;
}

/** The same of a whole name, `<account>/<kind>/…`. */
export function kindOfObject(name: string): ObjectKindName | undefined {
  return kindIn(name.slice(name.indexOf("/") + 1));
}

/** Objects of no account: mail of all accounts that waits to be sent, and claims on it. */
const OUTBOUND = "outbound/";
export const OUTBOUND_MAIL = "outbound/mail/";
const OUTBOUND_OVER = ["outbound/claim/", "outbound/vacation/", "outbound/push/"];

/** True for the name of an object that lies in the store that creates atomically. `name` is the whole name. */
export function liesWithLog(name: string): boolean {
  if (name.startsWith(OUTBOUND)) return !name.startsWith(OUTBOUND_MAIL);
  const kind = kindOfObject(name);
  return kind !== undefined && OBJECT_KINDS[kind].lies === "with-log";
}

/** True for a name whose last put counts. `name` is the whole name. */
export function isWrittenOver(name: string): boolean {
  if (name.startsWith(OUTBOUND)) return OUTBOUND_OVER.some((folder) => name.startsWith(folder));
  const kind = kindOfObject(name);
  return kind !== undefined && OBJECT_KINDS[kind].writes === "over";
}
