import { formatEmailId, idOfEmail, parseThreadId } from "@restante/engine";
import { MAIL } from "../core/capabilities.ts";
import { CHANGES_ARGUMENTS, changesAnswer, maxOf } from "../core/changes.ts";
import { invalidArguments } from "../core/errors.ts";
import { GET_ARGUMENTS, idsOf, pick, propertiesOf } from "../core/get.ts";
import { type Method, method } from "../core/method.ts";
import { parsePoint, stateOf } from "../core/states.ts";

export const THREAD_PROPERTIES = ["id", "emailIds"] as const;

/** RFC 8621 §3.1. Emails stand in the order in which they came. */
export const threadGet: Method = method("Thread/get", MAIL, GET_ARGUMENTS, async (args, context) => {
  const { session } = context;
  const properties = propertiesOf(args.properties, THREAD_PROPERTIES);
  // RFC 8620 §5.1: all of a type that is too large is refused.
  if (!args.ids) throw invalidArguments("ids: all threads can't be had at once");
  const ids = idsOf(args.ids, context);
  const lists = await session.lists(context);
  const { state } = lists;
  const list = [];
  const notFound = [];
  for (const id of ids) {
    const thread = parseThreadId(id);
    const number = thread && lists.findThread(thread);
    const emails = number === undefined ? [] : [...lists.threadOf(number)].sort((a, b) => lists.compareInThread(a, b));
    if (emails.length > 0)
      list.push(pick({ id, emailIds: emails.map((email) => formatEmailId(idOfEmail(state, email))) }, properties));
    else notFound.push(id);
  }
  return { accountId: args.accountId, state: stateOf(state, "Thread"), list, notFound };
});

/** RFC 8621 §3.2. */
export const threadChanges: Method = method("Thread/changes", MAIL, CHANGES_ARGUMENTS, async (args, context) => {
  const { session, pace, signal } = context;
  await session.lists(context);
  const since = parsePoint(args.sinceState, session.state, "Thread");
  const changes = await session.threadChanges(since, { pace, signal, max: maxOf(args) });
  return changesAnswer(args, session.state, changes, (id) => `t${id}`);
});
