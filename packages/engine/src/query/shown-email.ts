import type { Message } from "../mail/mailbox-view.ts";
import type { EmailRow, Row } from "../mail/numbers.ts";
import type { Lists } from "./lists.ts";

/** An email that some mailbox shows. */
export interface ShownEmail {
  readonly id: Uint8Array;
  /** Its row in the state. */
  readonly email: EmailRow;
  /** By one of its memberships: what summaries, headers and the body are read by. */
  readonly message: Message;
  /** Rows of the memberships that show it: live, and without \Deleted. */
  readonly memberships: readonly Row[];
}

/** The email with this id (16 bytes); undefined if there is none, or nothing shows it: RFC 8621 §4.1.1. */
export function findShown(lists: Lists, id: Uint8Array): ShownEmail | undefined {
  const { state } = lists;
  const email = state.findEmail(id);
  if (email === undefined) return undefined;
  const memberships = [...lists.shownMemberships(email)];
  const [row] = memberships;
  return row === undefined ? undefined : { id, email, message: { position: 0, row, state }, memberships };
}
