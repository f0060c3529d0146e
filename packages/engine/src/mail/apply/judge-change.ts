import type { EmailRow, Row } from "../numbers.ts";
import type { MailboxId } from "../ops/names.ts";
import type { ChangeItem, OpOf, Targets } from "../ops/op.ts";
import type { ItemOutcome, Refusal } from "../ops/outcome.ts";
import { DELETED } from "../state/flags.ts";
import type { ReadState } from "../state/read-state.ts";
import { isEmail, keywordsOf, membershipsOf } from "./memberships.ts";
import { hasRoomForKeywords, hasRoomForMessages } from "./room.ts";
import { resolveTargets, runsOf } from "./target-rows.ts";
import { holdsClaim, refuse, type Verdict } from "./verdict.ts";

const NO_ITEM: ItemOutcome = { emails: [], added: [] };

/**
 * Each item by itself: it is refused, or narrowed to what passed. Emails that are shown in a mailbox which they are to
 * join need not: so an item may become several, each of emails that join the same.
 */
export function judgeChange(state: ReadState, op: OpOf<"change">): Verdict {
  if (!holdsClaim(state, op.ifState)) return refuse("changed");
  const items: ChangeItem[] = [];
  const outcomes = op.items.map((item, of): ItemOutcome => {
    const rows = rowsOf(state, item);
    const refusal = refusalOf(state, item, rows);
    if (refusal) return { ...NO_ITEM, refusal };
    for (const narrowed of narrow(state, item, rows)) items.push({ ...narrowed, of });
    return NO_ITEM;
  });
  return items.length > 0 ? { op: { ...op, items }, outcome: { items: outcomes } } : { outcome: { items: outcomes } };
}

function rowsOf(state: ReadState, { targets }: ChangeItem): Row[] {
  const rows: Row[] = [];
  for (const { mailbox: id, targets: runs } of targets) {
    const mailbox = state.findMailbox(id);
    if (mailbox) for (const row of resolveTargets(state, mailbox, runs).rows) rows.push(row);
  }
  return rows;
}

function refusalOf(state: ReadState, item: ChangeItem, rows: readonly Row[]): Refusal | undefined {
  if (rows.length === 0) return "gone";
  if (!rows.every((row) => isEmail(state, state.emailOf(row), item.ifEmail))) return "changed";
  if (item.join.some((id) => !state.findMailbox(id))) return "no-mailbox";
  if (!hasRoomForMessages(state, rows.length * item.join.length)) return "messages";
  return hasRoomForKeywords(state, keywordsOf(state, item.add, rows)) ? undefined : "keywords";
}

function narrow(state: ReadState, item: ChangeItem, rows: readonly Row[]): ChangeItem[] {
  if (item.join.length === 0) return [{ ...item, targets: targetsOf(state, rows) }];
  const memberships = membershipsOf(state, new Set(rows.map((row) => state.emailOf(row))));
  const isShownIn = (email: EmailRow, id: MailboxId): boolean =>
    memberships.get(email)!.some((row) => state.mailboxOf(row).id === id && (state.bitsOf(row) & DELETED) === 0);
  const joining = (row: Row): readonly MailboxId[] => item.join.filter((id) => !isShownIn(state.emailOf(row), id));
  const groups = Map.groupBy(rows, (row) => joining(row).join());
  return [...groups.values()].map((group) => ({
    ...item,
    targets: targetsOf(state, group),
    join: joining(group[0]!),
    // Mailboxes that the emails are to be in are not left.
    leave: item.leave === "all" ? leftOf(state, memberships, group, item.join) : item.leave,
  }));
}

/** The mailboxes that hold these rows' emails, but for those that they are to be in. */
function leftOf(
  state: ReadState,
  memberships: ReadonlyMap<EmailRow, readonly Row[]>,
  rows: readonly Row[],
  join: readonly MailboxId[],
): MailboxId[] {
  const held = rows.flatMap((row) => memberships.get(state.emailOf(row))!.map((other) => state.mailboxOf(other).id));
  return [...new Set(held)].filter((id) => !join.includes(id));
}

/** The same rows as targets. */
function targetsOf(state: ReadState, rows: readonly Row[]): Targets[] {
  const { uid } = state.memberships.columns;
  return [...Map.groupBy(rows, (row) => state.mailboxOf(row))].map(([mailbox, own]) => {
    const inOrder = [...new Set(own)].sort((a, b) => uid.get(a) - uid.get(b));
    return { mailbox: mailbox.id, targets: runsOf(state, mailbox, inOrder) };
  });
}
