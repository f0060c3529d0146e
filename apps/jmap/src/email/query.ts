import {
  type EmailQuery,
  EngineError,
  formatEmailId,
  parseEmailId,
  type SortKey,
  type SortProperty,
} from "@restante/engine";
import { MAIL } from "../core/capabilities.ts";
import { CHANGES_ARGUMENTS, changesAnswer, maxOf } from "../core/changes.ts";
import { invalidArguments, MethodError } from "../core/errors.ts";
import { type Comparator, readSort } from "../core/filter.ts";
import { QUERY_IDS_MAX } from "../core/limits.ts";
import { type Context, type Method, method, resolveId } from "../core/method.ts";
import { QUERY_ARGUMENTS, QUERY_CHANGES_ARGUMENTS } from "../core/query.ts";
import { formatPoint, parsePoint } from "../core/states.ts";
import { BOOLEAN, withDefault } from "../core/types.ts";
import { emailCondition } from "./filter.ts";
import { flagOf } from "./keywords.ts";

const COLLAPSE = { collapseThreads: withDefault(BOOLEAN, false) };

/** RFC 8621 §4.4. */
export const emailQuery: Method = method(
  "Email/query",
  MAIL,
  { ...QUERY_ARGUMENTS, ...COLLAPSE },
  async (args, context) => {
    const { session } = context;
    const { position, anchor, anchorOffset, limit = QUERY_IDS_MAX, collapseThreads } = args;
    const asked = queryOf(args, collapseThreads, context);
    const page = { position, limit: Math.min(limit, QUERY_IDS_MAX) };
    if (anchor === undefined) return answer(await session.queryEmails({ ...asked, page }, context));
    const at = parseEmailId(resolveId(anchor, context));
    if (at === undefined) throw new MethodError("anchorNotFound");
    try {
      return answer(await session.queryEmails({ ...asked, page: { ...page, anchor: at, anchorOffset } }, context));
    } catch (error) {
      if (error instanceof EngineError && error.code === "not-found") throw new MethodError("anchorNotFound");
      throw error;
    }

    function answer({ ids, position: begin, total, at: state }: Awaited<ReturnType<typeof session.queryEmails>>) {
      return {
        accountId: args.accountId,
        queryState: formatPoint(session.state, state),
        canCalculateChanges: true,
        position: Math.min(begin, total),
        ids: ids.map(formatEmailId),
        ...(args.calculateTotal && { total }),
      };
    }
  },
);

/** RFC 8621 §4.5. */
export const emailQueryChanges: Method = method(
  "Email/queryChanges",
  MAIL,
  { ...QUERY_CHANGES_ARGUMENTS, ...COLLAPSE },
  async (args, context) => {
    const { session } = context;
    const asked = queryOf(args, args.collapseThreads, context);
    const since = parsePoint(args.sinceQueryState, session.state, "Email");
    const { maxChanges, calculateTotal } = args;
    const upTo = args.upToId === undefined ? undefined : parseEmailId(resolveId(args.upToId, context));
    const changes = await session.queryChanges(asked, since, {
      ...context,
      maxChanges,
      upTo,
      withTotal: calculateTotal,
    });
    if (changes === "too-old") throw new MethodError("cannotCalculateChanges");
    if (changes === "too-many") throw new MethodError("tooManyChanges");
    return {
      accountId: args.accountId,
      oldQueryState: args.sinceQueryState,
      newQueryState: formatPoint(session.state, changes.at),
      removed: changes.removed.map(formatEmailId),
      added: changes.added.map(({ id, index }) => ({ id: formatEmailId(id), index })),
      ...(calculateTotal && { total: changes.total }),
    };
  },
);

/** RFC 8621 §4.3. */
export const emailChanges: Method = method("Email/changes", MAIL, CHANGES_ARGUMENTS, async (args, { session }) => {
  const { state } = session;
  const changes = session.emailChanges(parsePoint(args.sinceState, state, "Email"), maxOf(args));
  return changesAnswer(args, state, changes, (id) => `m${id}`);
});

interface Asked {
  readonly filter: Readonly<Record<string, unknown>> | undefined;
  readonly sort: readonly unknown[] | undefined;
}

function queryOf({ filter, sort }: Asked, collapseThreads: boolean, context: Context): Omit<EmailQuery, "page"> {
  const condition = emailCondition(filter, context.session.state, context);
  return { condition, sort: readSort(sort).map(sortKeyOf), collapseThreads };
}

/** Properties to sort emails by: RFC 8621 §4.4.2. */
const SORTS: Readonly<Record<string, SortProperty>> = {
  receivedAt: "received",
  sentAt: "sent",
  size: "size",
  from: "from-name",
  to: "to-name",
  subject: "subject",
};
const KEYWORD_SORTS: readonly string[] = ["hasKeyword", "allInThreadHaveKeyword", "someInThreadHaveKeyword"];
/** All of them, as the session object tells. */
export const SORT_PROPERTIES: readonly string[] = [...Object.keys(SORTS), ...KEYWORD_SORTS];

function sortKeyOf({ property, isAscending, given }: Comparator): SortKey {
  const descending = !isAscending;
  const by = Object.hasOwn(SORTS, property) ? SORTS[property] : undefined;
  if (by !== undefined) return { by, descending };
  if (!KEYWORD_SORTS.includes(property)) throw new MethodError("unsupportedSort");
  if (typeof given.keyword !== "string") throw invalidArguments("a comparator has no keyword");
  const keyword = flagOf(given.keyword) ?? given.keyword.toLowerCase();
  if (property === "hasKeyword") return { by: { keyword }, descending };
  return { by: { threadKeyword: keyword, of: property === "allInThreadHaveKeyword" ? "all" : "some" }, descending };
}
