import type { Row } from "../numbers.ts";
import type { FolderStep, OpOf, SpecialUse } from "../ops/op.ts";
import type { Outcome } from "../ops/outcome.ts";
import type { PlacedOp } from "../ops/placed-op.ts";
import type { Mailbox } from "../state/mailbox.ts";
import { type MailState, normalizeInbox } from "../state/state.ts";
import type { Block } from "./block.ts";
import { destroyMailbox, makeMailbox, writePath } from "./mailboxes.ts";

/** The steps of a `folders`, in order. A mailbox that a step makes is named by the step's place. */
export function performFolders(
  state: MailState,
  placed: PlacedOp,
  op: OpOf<"folders">,
  block: Block,
): Partial<Outcome> {
  const removed: Row[] = [];
  const made: Mailbox[] = [];
  const mailboxes = op.steps.map((step, place) => {
    if (step.do === "create") {
      const { path, type, sortOrder, subscribed } = step;
      const mailbox = makeMailbox(state, placed, place, { path, type }, block);
      mailbox.sortOrder = sortOrder;
      if (step.role) giveRole(state, mailbox, step.role, block);
      if (subscribed) state.subscriptions.add(normalizeInbox(path));
      made.push(mailbox);
      return mailbox.id;
    }
    const mailbox = state.findMailbox(step.mailbox);
    if (!mailbox) return undefined;
    if (step.do === "destroy") removed.push(...destroyMailbox(state, placed, mailbox, block));
    else setProperties(state, mailbox, step, block);
    return mailbox.id;
  });
  if (made.length > 0) block.number(made, op.seconds, placed);
  return { removed, mailboxes };
}

function setProperties(
  state: MailState,
  mailbox: Mailbox,
  step: FolderStep & { readonly do: "set" },
  block: Block,
): void {
  const { path, role, sortOrder, subscribed } = step;
  const before = mailbox.wantedPath;
  const now = path === undefined ? before : normalizeInbox(path);
  if (now !== before) writePath(mailbox, now, block);
  const isSubscribed = subscribed ?? state.subscriptions.has(before);
  if (now !== before) state.subscriptions.delete(before);
  if (isSubscribed !== state.subscriptions.has(now)) {
    if (isSubscribed) state.subscriptions.add(now);
    else state.subscriptions.delete(now);
    block.touchProps(mailbox);
  }
  if (sortOrder !== undefined && sortOrder !== mailbox.sortOrder) {
    mailbox.sortOrder = sortOrder;
    block.touchProps(mailbox);
  }
  if (role !== undefined) giveRole(state, mailbox, role, block);
}

/** One mailbox has a role: the last in order that it was given to. */
function giveRole(state: MailState, mailbox: Mailbox, role: SpecialUse | "none", block: Block): void {
  const given = role === "none" ? undefined : role;
  if (mailbox.specialUse === given) return;
  for (const other of state.allMailboxes())
    if (given !== undefined && other.specialUse === given) {
      other.specialUse = undefined;
      block.touchProps(other);
    }
  mailbox.specialUse = given;
  block.touchProps(mailbox);
}
