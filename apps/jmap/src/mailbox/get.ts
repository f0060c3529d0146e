import { formatMailboxId, type parseMailboxId } from "@restante/engine";
import { MAIL } from "../core/capabilities.ts";
import { CHANGES_ARGUMENTS, changesAnswer, maxOf } from "../core/changes.ts";
import { GET_ARGUMENTS, idsOf, pick, propertiesOf } from "../core/get.ts";
import { type Method, method } from "../core/method.ts";
import { parsePoint, stateOf } from "../core/states.ts";
import { COUNT_PROPERTIES, MAILBOX_PROPERTIES, mailboxObject, placesOf } from "./mailbox.ts";

/** RFC 8621 §2.1. */
export const mailboxGet: Method = method("Mailbox/get", MAIL, GET_ARGUMENTS, async (args, context) => {
  const { session } = context;
  const properties = propertiesOf(args.properties, MAILBOX_PROPERTIES);
  const countsOf = await session.mailboxCounts(context);
  const { state } = session;
  const places = placesOf(state);
  const isReadOnly = session.barred !== undefined;
  const all = new Map(state.liveMailboxes().map((mailbox) => [formatMailboxId(mailbox.id), mailbox]));
  const ids = args.ids ? idsOf(args.ids, context) : [...all.keys()];
  const list = [];
  const notFound = [];
  for (const id of ids) {
    const mailbox = all.get(id);
    if (mailbox)
      list.push(
        pick(mailboxObject(state, mailbox, places.get(mailbox.id)!, countsOf(mailbox), isReadOnly), properties),
      );
    else notFound.push(id);
  }
  return { accountId: args.accountId, state: stateOf(state, "Mailbox"), list, notFound };
});

/** RFC 8621 §2.2. */
export const mailboxChanges: Method = method("Mailbox/changes", MAIL, CHANGES_ARGUMENTS, async (args, context) => {
  const { session, pace, signal } = context;
  await session.lists(context);
  const since = parsePoint(args.sinceState, session.state, "Mailbox");
  const changes = await session.mailboxListChanges(since, { pace, signal, max: maxOf(args) });
  const write = (id: string): string => formatMailboxId(id as NonNullable<ReturnType<typeof parseMailboxId>>);
  const answer = changesAnswer(args, session.state, changes, write);
  const isCountsOnly = changes!.countsOnly && changes!.updated.length > 0;
  return { ...answer, updatedProperties: isCountsOnly ? COUNT_PROPERTIES : null };
});
