import type { EmailRow, ModSeq, Row, Uid } from "../mail/numbers.ts";
import type { ReadState } from "../mail/state/read-state.ts";

/** Facts of a membership or an email by its row, as the columns have them: apps ask here, and know no column. */

/** The id of the email that a membership holds: 16 bytes. */
export function emailIdOf(state: ReadState, row: Row): Uint8Array {
  return idOfEmail(state, state.emailOf(row));
}

export function idOfEmail({ emails }: ReadState, email: EmailRow): Uint8Array {
  return emails.columns.id.getId(email);
}

/** Octets of an email as it came. */
export function sizeOfEmail({ emails }: ReadState, email: EmailRow): number {
  return emails.columns.size.get(email);
}

export function uidOf({ memberships }: ReadState, row: Row): Uid {
  return memberships.columns.uid.get(row);
}

/** The modseq of a membership's last change. */
export function lastChangeOf({ memberships }: ReadState, row: Row): ModSeq {
  return memberships.columns.modSeq.get(row);
}

/** The modseq at which a membership's email was first shown. */
export function firstShownAt(state: ReadState, row: Row): ModSeq {
  return state.emails.columns.made.get(state.emailOf(row));
}

/** When a message was put into its mailbox, milliseconds since 1970: RFC 8514 §3. */
export function savedMsOf({ memberships }: ReadState, row: Row): number {
  return memberships.columns.saved.get(row) * 1000;
}
