import type { Row } from "../numbers.ts";
import type { NewEmail } from "../ops/email.ts";
import type { MembershipName } from "../ops/names.ts";
import type { Placement } from "../ops/op.ts";
import type { PlacedOp } from "../ops/placed-op.ts";
import { splitFlags } from "../state/flags.ts";
import type { Mailbox } from "../state/mailbox.ts";
import type { MailState } from "../state/state.ts";
import type { Block, OpIdentity } from "./block.ts";
import { isSomewhere } from "./placement.ts";

// Ops' changes of memberships.

/** Adds an email at `at` of its op, and puts it into its places; the first of them has the name at `index`. Returns the
 * rows of its memberships. */
export function putEmail(
  state: MailState,
  placed: PlacedOp,
  block: Block,
  { email, places }: { readonly email: NewEmail; readonly places: readonly Placement[] },
  { at, index, seconds }: { readonly at: number; readonly index: number; readonly seconds: number },
): Row[] {
  if (!places.some(isSomewhere)) return [];
  const row = state.addEmail(email, { entry: placed.entry, op: placed.place, index: at });
  return places.flatMap(({ mailbox: to, flags }, place) => {
    if (!isSomewhere(places[place]!)) return [];
    const mailbox = state.findMailbox(to) ?? state.inbox;
    const { bits, keywords } = splitFlags(flags);
    return state.addMembership(nameAt(placed, index + place), mailbox, {
      uid: block.nextUid(mailbox, placed),
      modSeq: block.modSeq,
      flags: bits,
      keywords: state.keywords.number(keywords),
      email: row,
      saved: seconds,
    });
  });
}

/** Takes rows out of their mailbox. Returns those that were there: others took the rest, not knowing of this. */
export function takeRows(
  state: MailState,
  placed: PlacedOp,
  mailbox: Mailbox,
  rows: readonly Row[],
  block: Block,
): readonly Row[] {
  const removed = rows.filter((row) => state.isLive(row));
  if (removed.length > 0) {
    state.removeMemberships(mailbox, removed, block.modSeq);
    state.sweep.noteRemoval(placed.entry);
    block.touch(mailbox);
  }
  if (placed.judged) block.take(rows, placed);
  return removed;
}

/** The name of what an op makes at `index`. */
export function nameAt(placed: OpIdentity, index: number): MembershipName {
  return { writer: placed.writer, sequence: placed.sequence, index };
}
