import { MethodError } from "./errors.ts";
import {
  type Argument,
  BOOLEAN,
  ID,
  INT,
  list,
  OBJECT,
  optional,
  required,
  TEXT,
  type Type,
  UNSIGNED,
  withDefault,
} from "./types.ts";

const ANYTHING: Type<unknown> = { name: "Comparator", read: (value) => value };

/** The arguments of a standard /query: RFC 8620 §5.5. */
export const QUERY_ARGUMENTS: {
  readonly accountId: Argument<string>;
  readonly filter: Argument<Readonly<Record<string, unknown>> | undefined>;
  readonly sort: Argument<readonly unknown[] | undefined>;
  readonly position: Argument<number>;
  readonly anchor: Argument<string | undefined>;
  readonly anchorOffset: Argument<number>;
  readonly limit: Argument<number | undefined>;
  readonly calculateTotal: Argument<boolean>;
} = {
  accountId: required(ID),
  filter: optional(OBJECT),
  sort: optional(list(ANYTHING)),
  position: withDefault(INT, 0),
  anchor: optional(ID),
  anchorOffset: withDefault(INT, 0),
  limit: optional(UNSIGNED),
  calculateTotal: withDefault(BOOLEAN, false),
};

/** The arguments of a standard /queryChanges: RFC 8620 §5.6. */
export const QUERY_CHANGES_ARGUMENTS: {
  readonly accountId: Argument<string>;
  readonly filter: Argument<Readonly<Record<string, unknown>> | undefined>;
  readonly sort: Argument<readonly unknown[] | undefined>;
  readonly sinceQueryState: Argument<string>;
  readonly maxChanges: Argument<number | undefined>;
  readonly upToId: Argument<string | undefined>;
  readonly calculateTotal: Argument<boolean>;
} = {
  accountId: required(ID),
  filter: optional(OBJECT),
  sort: optional(list(ANYTHING)),
  sinceQueryState: required(TEXT),
  maxChanges: optional(UNSIGNED),
  upToId: optional(ID),
  calculateTotal: withDefault(BOOLEAN, false),
};

/** A result that was made anew, and what of it changed. `added`: those of `ids` that are new, or stand elsewhere. */
interface QueryChanges {
  readonly newQueryState: string;
  readonly ids: readonly string[];
  readonly removed: readonly string[];
  readonly added: ReadonlySet<string>;
}

/** The answer of a /queryChanges: RFC 8620 §5.6. Throws MethodError `tooManyChanges`. */
export function queryChangesAnswer(
  args: {
    readonly accountId: string;
    readonly sinceQueryState: string;
    readonly maxChanges?: number | undefined;
    readonly calculateTotal: boolean;
  },
  { newQueryState, ids, removed, added }: QueryChanges,
): Readonly<Record<string, unknown>> {
  const places = ids.flatMap((id, index) => (added.has(id) ? [{ id, index }] : []));
  if (args.maxChanges !== undefined && removed.length + places.length > args.maxChanges)
    throw new MethodError("tooManyChanges");
  return {
    accountId: args.accountId,
    oldQueryState: args.sinceQueryState,
    newQueryState,
    removed,
    added: places,
    ...(args.calculateTotal && { total: ids.length }),
  };
}

export interface PageArguments {
  readonly position: number;
  readonly anchor: string | undefined;
  readonly anchorOffset: number;
  readonly limit: number | undefined;
}

/** Where the page of a list of ids begins: RFC 8620 §5.5. Throws MethodError `anchorNotFound`. */
export function beginOf(ids: readonly string[], { position, anchor, anchorOffset }: PageArguments): number {
  if (anchor === undefined) return position >= 0 ? position : Math.max(0, ids.length + position);
  const at = ids.indexOf(anchor);
  if (at < 0) throw new MethodError("anchorNotFound");
  return Math.max(0, at + anchorOffset);
}
