import type { AccountSession } from "@restante/engine";
import { QUOTA } from "../core/capabilities.ts";
import { CHANGES_ARGUMENTS } from "../core/changes.ts";
import { MethodError } from "../core/errors.ts";
import { type FilterWords, orderBy, readCondition, readFilter, testWords } from "../core/filter.ts";
import { GET_ARGUMENTS, idsOf, pick, propertiesOf } from "../core/get.ts";
import { type Method, method } from "../core/method.ts";
import { beginOf, QUERY_ARGUMENTS, QUERY_CHANGES_ARGUMENTS, queryChangesAnswer } from "../core/query.ts";
import { parsePoint, stateOf } from "../core/states.ts";
import { list, TEXT, type Type } from "../core/types.ts";

/** The properties of a Quota: RFC 9425 §4. */
export const QUOTA_PROPERTIES = [
  "id",
  "resourceType",
  "used",
  "hardLimit",
  "warnLimit",
  "softLimit",
  "scope",
  "name",
  "description",
  "types",
] as const;

/** RFC 9425 §4. */
type Quota = Readonly<Record<(typeof QUOTA_PROPERTIES)[number], unknown>> & {
  readonly id: string;
  readonly used: number;
  readonly name: string;
  readonly scope: string;
  readonly resourceType: string;
  readonly types: readonly string[];
};

/** The account's quotas: one for each kind that has a limit. */
function quotasOf({ quota }: AccountSession): readonly Quota[] {
  const { bytes, messages, bytesMax, messagesMax } = quota;
  const common = { warnLimit: null, softLimit: null, scope: "account", description: null, types: ["Email"] };
  return [
    ...(bytesMax === undefined
      ? []
      : [{ id: "qoctets", resourceType: "octets", used: bytes, hardLimit: bytesMax, name: "Storage", ...common }]),
    ...(messagesMax === undefined
      ? []
      : [{ id: "qcount", resourceType: "count", used: messages, hardLimit: messagesMax, name: "Messages", ...common }]),
  ];
}

/** RFC 9425 §4.1. The use changes with the emails: their state is this one's. */
export const quotaGet: Method = method(
  "Quota/get",
  QUOTA,
  GET_ARGUMENTS,
  async ({ accountId, ids, properties }, context) => {
    const asked = propertiesOf(properties, QUOTA_PROPERTIES);
    const all = new Map(quotasOf(context.session).map((one) => [one.id, one]));
    const wanted = ids ? idsOf(ids, context) : [...all.keys()];
    const found = wanted.flatMap((id) => {
      const one = all.get(id);
      return one ? [pick(one, asked)] : [];
    });
    const state = stateOf(context.session.state, "Email");
    return { accountId, state, list: found, notFound: wanted.filter((id) => !all.has(id)) };
  },
);

/** RFC 9425 §4.2. */
export const quotaChanges: Method = method(
  "Quota/changes",
  QUOTA,
  CHANGES_ARGUMENTS,
  async ({ accountId, sinceState }, { session }) => {
    parsePoint(sinceState, session.state, "Email");
    const newState = stateOf(session.state, "Email");
    const updated = newState === sinceState ? [] : quotasOf(session).map(({ id }) => id);
    return {
      accountId,
      oldState: sinceState,
      newState,
      hasMoreChanges: false,
      created: [],
      updated,
      destroyed: [],
      updatedProperties: updated.length > 0 ? ["used"] : null,
    };
  },
);

/** RFC 9425 §4.3. */
export const quotaQuery: Method = method("Quota/query", QUOTA, QUERY_ARGUMENTS, async (args, { session }) => {
  const ids = query(args, session);
  const position = beginOf(ids, args);
  const end = args.limit === undefined ? ids.length : position + args.limit;
  return {
    accountId: args.accountId,
    queryState: stateOf(session.state, "Email"),
    canCalculateChanges: true,
    position: Math.min(position, ids.length),
    ids: ids.slice(position, end),
    ...(args.calculateTotal && { total: ids.length }),
  };
});

/** RFC 9425 §4.4. */
export const quotaQueryChanges: Method = method(
  "Quota/queryChanges",
  QUOTA,
  QUERY_CHANGES_ARGUMENTS,
  async (args, { session }) => {
    parsePoint(args.sinceQueryState, session.state, "Email");
    const newQueryState = stateOf(session.state, "Email");
    const ids = query(args, session);
    const isSame = newQueryState === args.sinceQueryState;
    // By what is used the order may be another.
    const removed = isSame ? [] : quotasOf(session).map(({ id }) => id);
    return queryChangesAnswer(args, { newQueryState, ids, removed, added: new Set(isSame ? [] : ids) });
  },
);

type Test = (one: Quota) => boolean;

function query(
  { filter, sort }: { readonly filter?: unknown; readonly sort?: readonly unknown[] | undefined },
  session: AccountSession,
): readonly string[] {
  const test = filter === undefined ? () => true : readFilter(filter, WORDS);
  const order = orderBy(sort, KEYS);
  return quotasOf(session)
    .filter(test)
    .toSorted(order)
    .map(({ id }) => id);
}

const KEYS: Readonly<Record<string, (one: Quota) => string | number>> = {
  name: ({ name }) => name,
  used: ({ used }) => used,
};

const WORDS: FilterWords<Test> = testWords(conditionOf);

/** RFC 9425 §4.3: `name` is looked for within, the others are the whole. */
function conditionOf(name: string, value: unknown): Test {
  const read = <T>(type: Type<T>): T => readCondition(name, value, type);
  switch (name) {
    case "name": {
      const part = read(TEXT).toLowerCase();
      return (one) => one.name.toLowerCase().includes(part);
    }
    case "scope": {
      const wanted = read(TEXT);
      return ({ scope }) => scope === wanted;
    }
    case "resourceType": {
      const wanted = read(TEXT);
      return ({ resourceType }) => resourceType === wanted;
    }
    case "type": {
      const wanted = read(TEXT);
      return ({ types }) => types.includes(wanted);
    }
    case "types": {
      const wanted = read(list(TEXT));
      return ({ types }) => types.some((type) => wanted.includes(type));
    }
    default:
      throw new MethodError("unsupportedFilter", "the filter has a condition that is not known here");
  }
}
