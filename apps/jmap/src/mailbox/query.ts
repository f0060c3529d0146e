import { formatMailboxId, parseMailboxId, type ReadMailbox, type ReadState } from "@restante/engine";
import { MAIL } from "../core/capabilities.ts";
import { invalidArguments, MethodError } from "../core/errors.ts";
import { type Comparator, readFilter, readSort, testWords } from "../core/filter.ts";
import { type Context, type Method, method, resolveId } from "../core/method.ts";
import { beginOf, QUERY_ARGUMENTS, QUERY_CHANGES_ARGUMENTS, queryChangesAnswer } from "../core/query.ts";
import { parsePoint, stateOf } from "../core/states.ts";
import { BOOLEAN, withDefault } from "../core/types.ts";
import { type Place, placesOf, type Role, roleOf } from "./mailbox.ts";

/** A mailbox, and what it is asked for. */
interface Entry {
  readonly id: string;
  readonly mailbox: ReadMailbox;
  readonly place: Place;
  readonly role: Role | null;
  readonly isSubscribed: boolean;
}
type Test = (entry: Entry) => boolean;

const TREE_ARGUMENTS = { sortAsTree: withDefault(BOOLEAN, false), filterAsTree: withDefault(BOOLEAN, false) };

interface Asked {
  readonly filter: Readonly<Record<string, unknown>> | undefined;
  readonly sort: readonly unknown[] | undefined;
  readonly sortAsTree: boolean;
  readonly filterAsTree: boolean;
}

/** RFC 8621 §2.3. */
export const mailboxQuery: Method = method(
  "Mailbox/query",
  MAIL,
  { ...QUERY_ARGUMENTS, ...TREE_ARGUMENTS },
  async (args, context) => {
    const { state } = context.session;
    const ids = queryMailboxes(state, args, context);
    const position = beginOf(ids, args);
    const end = args.limit === undefined ? ids.length : position + args.limit;
    return {
      accountId: args.accountId,
      queryState: stateOf(state, "Mailbox"),
      canCalculateChanges: true,
      position: Math.min(position, ids.length),
      ids: ids.slice(position, end),
      ...(args.calculateTotal && { total: ids.length }),
    };
  },
);

/** RFC 8621 §2.4. Where one stands depends on those above it, if it is sorted or filtered as a tree: then all are told that
 * may have moved. */
export const mailboxQueryChanges: Method = method(
  "Mailbox/queryChanges",
  MAIL,
  { ...QUERY_CHANGES_ARGUMENTS, ...TREE_ARGUMENTS },
  async (args, context) => {
    const { state } = context.session;
    const ids = queryMailboxes(state, args, context);
    const since = parsePoint(args.sinceQueryState, state, "Mailbox");
    const changed = state.mailboxes.filter(({ propsModSeq, type }) => type === "mail" && propsModSeq > since.modSeq);
    const isTree = args.sortAsTree || args.filterAsTree;
    const touched = changed.length > 0 && isTree ? state.mailboxes : changed;
    const removed = touched.filter(({ type, made }) => type === "mail" && made <= since.modSeq);
    return queryChangesAnswer(args, {
      newQueryState: stateOf(state, "Mailbox"),
      ids,
      removed: removed.map(({ id }) => formatMailboxId(id)),
      added: new Set(touched.map(({ id }) => formatMailboxId(id))),
    });
  },
);

function queryMailboxes(
  state: ReadState,
  { filter, sort, sortAsTree, filterAsTree }: Asked,
  context: Context,
): string[] {
  const test = filter
    ? readFilter(
        filter,
        testWords((name, value) => conditionOf(name, value, context)),
      )
    : () => true;
  const compare = compareBy(readSort(sort));
  const places = placesOf(state);
  const all = state.liveMailboxes().map((mailbox) => ({
    id: formatMailboxId(mailbox.id),
    mailbox,
    place: places.get(mailbox.id)!,
    role: roleOf(state, mailbox),
    isSubscribed: state.subscriptions.has(mailbox.path),
  }));
  const passing = all.filter(test);
  const found = new Set(filterAsTree ? withinTree(passing) : passing);
  const sorted = all.sort(compare);
  return (sortAsTree ? asTree(sorted) : sorted).filter((entry) => found.has(entry)).map(({ id }) => id);
}

function conditionOf(name: string, value: unknown, context: Context): Test {
  const wrong = (): MethodError => invalidArguments(`the filter's ${name} is of a wrong type`);
  switch (name) {
    case "parentId": {
      if (value !== null && typeof value !== "string") throw wrong();
      const parent = value === null ? undefined : parseMailboxId(resolveId(value, context));
      if (value !== null && parent === undefined) return () => false;
      return ({ place }) => place.parent?.id === parent;
    }
    case "name": {
      if (typeof value !== "string") throw wrong();
      const text = value.toLowerCase();
      return ({ place }) => place.name.toLowerCase().includes(text);
    }
    case "role":
      if (value !== null && typeof value !== "string") throw wrong();
      return ({ role }) => role === value;
    case "hasAnyRole":
      if (typeof value !== "boolean") throw wrong();
      return ({ role }) => (role !== null) === value;
    case "isSubscribed":
      if (typeof value !== "boolean") throw wrong();
      return ({ isSubscribed }) => isSubscribed === value;
    default:
      throw new MethodError("unsupportedFilter", "the filter has a condition that is not known here");
  }
}

/** As RFC 8621 §2.3 says by default: by sortOrder, then by name; where all is equal by id. */
function compareBy(comparators: readonly Comparator[]): (a: Entry, b: Entry) => number {
  const compares = comparators.map(({ property, isAscending }) => {
    const compare = COMPARES[property];
    if (!compare || !Object.hasOwn(COMPARES, property)) throw new MethodError("unsupportedSort");
    return (a: Entry, b: Entry) => (isAscending ? compare(a, b) : compare(b, a));
  });
  const tie = (a: Entry, b: Entry): number => compareTexts(a.id, b.id);
  const byDefault = [COMPARES.sortOrder!, COMPARES.name!];
  return (a, b) => {
    for (const compare of [...(compares.length > 0 ? compares : byDefault), tie]) {
      const order = compare(a, b);
      if (order !== 0) return order;
    }
    return 0;
  };
}

const COMPARES: Readonly<Record<string, (a: Entry, b: Entry) => number>> = {
  sortOrder: (a, b) => a.mailbox.sortOrder - b.mailbox.sortOrder,
  name: (a, b) => compareTexts(a.place.name.toLowerCase(), b.place.name.toLowerCase()),
  parentId: (a, b) => compareTexts(a.place.parent?.id ?? "", b.place.parent?.id ?? ""),
};

function compareTexts(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Entries all of whose parents pass too: RFC 8621 §2.3 (filterAsTree). */
function withinTree(passing: readonly Entry[]): Entry[] {
  const ids = new Map(passing.map((entry) => [entry.mailbox.id, entry]));
  const verdicts = new Map<Entry, boolean>();
  const isIn = (entry: Entry): boolean => {
    const known = verdicts.get(entry);
    if (known !== undefined) return known;
    const { parent } = entry.place;
    const above = parent && ids.get(parent.id);
    // No deeper than a path has levels.
    const verdict = parent === undefined || (above !== undefined && isIn(above));
    verdicts.set(entry, verdict);
    return verdict;
  };
  return passing.filter(isIn);
}

/** Each behind the one above it, whether that is in the result or not: RFC 8621 §2.3 (sortAsTree). `all` is in order. */
function asTree(all: readonly Entry[]): Entry[] {
  const children = Map.groupBy(all, ({ place }) => place.parent?.id);
  const sorted: Entry[] = [];
  const waiting = (children.get(undefined) ?? []).toReversed();
  while (waiting.length > 0) {
    const entry = waiting.pop()!;
    sorted.push(entry);
    waiting.push(...(children.get(entry.mailbox.id) ?? []).toReversed());
  }
  return sorted;
}
