import { asEmailRow, type EmailRow, FIRST_EMAIL_ROW, FIRST_ROW, NO_MODSEQ, type Row } from "../numbers.ts";
import { CHUNK_ROWS } from "../state/columns.ts";
import { DEAD, type MailState } from "../state/state.ts";

/** Seconds that UIDVALIDITY goes ahead of all that was given, so that mailboxes made since get others too. */
const AHEAD: number = 2 ** 24;

/**
 * A state of which some chunks of columns are lost, before it is indexed: their rows are zeros. A membership of a lost
 * chunk, or whose email is in one, is shown no more. Every UIDVALIDITY is another: a mail program must not take what is
 * lost for expunged, and delete the last copy that there is.
 */
export function markLost(state: MailState, memberships: readonly boolean[], emails: readonly boolean[]): void {
  const { flags, modSeq, index, email } = state.memberships.columns;
  const { id, number, held } = state.emails.columns;
  const isLost = (lost: readonly boolean[], row: Row | EmailRow): boolean =>
    lost[Math.floor(row / CHUNK_ROWS)] === true;
  for (let row = FIRST_EMAIL_ROW; row < state.emails.rows; row++) {
    held.set(row, 0);
    if (!isLost(emails, row)) continue;
    // Of a name that no other has, so that it is found quickly; and numbers ascend.
    const name = new Uint8Array(16);
    new DataView(name.buffer).setUint32(12, row);
    id.setId(row, name);
    if (row > 0) number.set(row, number.get(asEmailRow(row - 1)));
  }
  for (let row = FIRST_ROW; row < state.memberships.rows; row++) {
    const isGone = isLost(memberships, row);
    if (isGone) index.set(row, row);
    if (isGone || isLost(emails, email.get(row))) {
      flags.set(row, flags.get(row) | DEAD);
      modSeq.set(row, NO_MODSEQ);
    } else if ((flags.get(row) & DEAD) === 0) held.set(email.get(row), held.get(email.get(row)) + 1);
  }
  state.uidValidity += AHEAD;
  for (const mailbox of state.mailboxes) mailbox.uidValidity = ++state.uidValidity;
}
