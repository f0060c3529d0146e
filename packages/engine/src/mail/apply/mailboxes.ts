import type { Row } from "../numbers.ts";
import { mailboxId } from "../ops/names.ts";
import type { PlacedOp } from "../ops/placed-op.ts";
import type { Mailbox, MailboxOptions } from "../state/mailbox.ts";
import { type MailState, normalizeInbox } from "../state/state.ts";
import type { Block } from "./block.ts";
import { takeRows } from "./rows.ts";
import { rowsKnown } from "./target-rows.ts";

// Ops' changes of mailboxes.

/** `place`: which of the mailboxes that its op makes. */
export function makeMailbox(
  state: MailState,
  placed: PlacedOp,
  place: number,
  { path, ...options }: MailboxOptions & { readonly path: string },
  block: Block,
): Mailbox {
  const mailbox = state.addMailbox(mailboxId(placed.writer, placed.sequence, place), path, options);
  mailbox.made = block.modSeq;
  writePath(mailbox, path, block);
  return mailbox;
}

export function writePath(mailbox: Mailbox, path: string, block: Block): void {
  mailbox.wantedPath = normalizeInbox(path);
  mailbox.pathWritten = block.nextPathOrder();
  block.touchProps(mailbox);
}

/** Takes what its author knew out of a mailbox; whether that is gone the block says. */
export function destroyMailbox(state: MailState, placed: PlacedOp, mailbox: Mailbox, block: Block): readonly Row[] {
  const removed = takeRows(state, placed, mailbox, rowsKnown(state, placed, mailbox, block), block);
  block.touchProps(mailbox);
  block.delete(mailbox, placed);
  return removed;
}
