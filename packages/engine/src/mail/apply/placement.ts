import type { MailboxId } from "../ops/names.ts";
import type { Placement } from "../ops/op.ts";

/** A place that is left out, so that those behind it keep their names. */
export const NO_PLACE: Placement = { mailbox: "" as MailboxId, flags: [] };

export function isSomewhere({ mailbox }: Placement): boolean {
  return mailbox !== NO_PLACE.mailbox;
}
