import {
  type Changes,
  formatEmailId,
  formatThreadId,
  recordChanges,
  SUBMISSION,
  type Submission,
} from "@restante/engine";
import { SUBMISSION_CAPABILITY } from "../core/capabilities.ts";
import { CHANGES_ARGUMENTS, changesAnswer, maxOf } from "../core/changes.ts";
import { MethodError } from "../core/errors.ts";
import { type FilterWords, orderBy, readCondition, readFilter, testWords } from "../core/filter.ts";
import { GET_ARGUMENTS, idsOf, pick, propertiesOf } from "../core/get.ts";
import { type Context, type Method, method } from "../core/method.ts";
import { beginOf, QUERY_ARGUMENTS, QUERY_CHANGES_ARGUMENTS, queryChangesAnswer } from "../core/query.ts";
import { parsePoint, stateOf } from "../core/states.ts";
import { list, TEXT, type Type, UTC_DATE } from "../core/types.ts";
import { formatSubmissionId, isShown, parseSubmissionId, SUBMISSION_PROPERTIES, submissionObject } from "./object.ts";

/** RFC 8621 §7.1. */
export const submissionGet: Method = method(
  "EmailSubmission/get",
  SUBMISSION_CAPABILITY,
  GET_ARGUMENTS,
  async ({ accountId, ids, properties }, context) => {
    const { session } = context;
    const asked = propertiesOf(properties, SUBMISSION_PROPERTIES);
    const state = stateOf(session.state, "EmailSubmission");
    const wanted = ids
      ? idsOf(ids, context)
      : (await shownSubmissions(context)).map(({ id }) => formatSubmissionId(id));
    const found = [];
    const notFound = [];
    for (const id of wanted) {
      const known = parseSubmissionId(id);
      const one = known === undefined ? undefined : await session.findSubmission(known);
      if (one && isShown(one)) found.push(pick(submissionObject(one), asked));
      else notFound.push(id);
    }
    return { accountId, state, list: found, notFound };
  },
);

async function shownSubmissions({ session }: Context): Promise<readonly Submission[]> {
  return (await session.submissions()).filter(isShown);
}

/** RFC 8621 §7.2. */
export const submissionChanges: Method = method(
  "EmailSubmission/changes",
  SUBMISSION_CAPABILITY,
  CHANGES_ARGUMENTS,
  async (args, context) => {
    const { state } = context.session;
    const since = parsePoint(args.sinceState, state, "EmailSubmission");
    const changes = recordChanges(state, SUBMISSION, since, maxOf(args));
    return changesAnswer(args, state, changes && (await withoutHidden(changes, context)), formatSubmissionId);
  },
);

/** Changes without submissions that JMAP doesn't show. Of those that are destroyed all ids are told, also of hidden ones:
 * with the record went what it was hidden by. An id says nothing of its mail, and a client that never heard of it has
 * nothing to remove: RFC 8620 §5.2. */
async function withoutHidden(changes: Changes, { session }: Context): Promise<Changes> {
  const shown = async (ids: readonly string[]): Promise<string[]> => {
    const kept: string[] = [];
    for (const id of ids) {
      const one = await session.findSubmission(id);
      if (!one || isShown(one)) kept.push(id);
    }
    return kept;
  };
  return { ...changes, created: await shown(changes.created), updated: await shown(changes.updated) };
}

/** RFC 8621 §7.3. */
export const submissionQuery: Method = method(
  "EmailSubmission/query",
  SUBMISSION_CAPABILITY,
  QUERY_ARGUMENTS,
  async (args, context) => {
    const queryState = stateOf(context.session.state, "EmailSubmission");
    const ids = await query(args, context);
    const position = beginOf(ids, args);
    const end = args.limit === undefined ? ids.length : position + args.limit;
    return {
      accountId: args.accountId,
      queryState,
      canCalculateChanges: true,
      position: Math.min(position, ids.length),
      ids: ids.slice(position, end),
      ...(args.calculateTotal && { total: ids.length }),
    };
  },
);

/** RFC 8621 §7.4. */
export const submissionQueryChanges: Method = method(
  "EmailSubmission/queryChanges",
  SUBMISSION_CAPABILITY,
  QUERY_CHANGES_ARGUMENTS,
  async (args, context) => {
    const { state } = context.session;
    const since = parsePoint(args.sinceQueryState, state, "EmailSubmission");
    const changes = recordChanges(state, SUBMISSION, since);
    if (!changes) throw new MethodError("cannotCalculateChanges");
    const newQueryState = stateOf(state, "EmailSubmission");
    const ids = await query(args, context);
    const added = new Set([...changes.created, ...changes.updated].map(formatSubmissionId));
    const removed = [...added, ...changes.destroyed.map(formatSubmissionId)];
    return queryChangesAnswer(args, { newQueryState, ids, removed, added });
  },
);

type Test = (one: Submission) => boolean;

async function query(
  { filter, sort }: { readonly filter?: unknown; readonly sort?: readonly unknown[] | undefined },
  context: Context,
): Promise<readonly string[]> {
  const test = filter === undefined ? () => true : readFilter(filter, WORDS);
  const order = orderBy(sort, KEYS);
  const found = (await shownSubmissions(context)).filter(test).toSorted(order);
  return found.map(({ id }) => formatSubmissionId(id));
}

const KEYS: Readonly<Record<string, (one: Submission) => string | number>> = {
  emailId: ({ email }) => (email ? formatEmailId(email) : ""),
  threadId: ({ thread }) => (thread ? formatThreadId(thread) : ""),
  sentAt: ({ sendAtMs }) => sendAtMs,
};

const WORDS: FilterWords<Test> = testWords(conditionOf);

function conditionOf(name: string, value: unknown): Test {
  const read = <T>(type: Type<T>): T => readCondition(name, value, type);
  const among = (key: (one: Submission) => string | number): Test => {
    const wanted = new Set<string | number>(read(list(TEXT)));
    return (one) => wanted.has(key(one));
  };
  switch (name) {
    case "identityIds":
      return among(({ identity }) => identity);
    case "emailIds":
      return among(KEYS.emailId!);
    case "threadIds":
      return among(KEYS.threadId!);
    case "undoStatus": {
      const wanted = read(TEXT);
      return ({ undoStatus }) => undoStatus === wanted;
    }
    case "before": {
      const ms = read(UTC_DATE);
      return ({ sendAtMs }) => sendAtMs < ms;
    }
    case "after": {
      const ms = read(UTC_DATE);
      return ({ sendAtMs }) => sendAtMs >= ms;
    }
    default:
      throw new MethodError("unsupportedFilter", "the filter has a condition that is not known here");
  }
}
