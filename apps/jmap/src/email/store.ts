import {
  type AccountSession,
  type AddedMessage,
  type Addition,
  formatBlobId,
  formatEmailId,
  formatThreadId,
} from "@restante/engine";
import type { NewPlace } from "./new-place.ts";

/** The part of a session that new emails are stored by. */
export type StoringSession = Pick<AccountSession, "prepare" | "state">;

/** Seals and stores a message for `AccountSession.addMany`, which puts it into its mailboxes: RFC 8621 §4.6, §4.8. `receivedMs`
 * counts where the client gave no date; else it is now. Errors: `unavailable`, `over-quota`, `too-large`. */
export async function prepareEmail(
  session: StoringSession,
  message: AsyncIterable<Uint8Array>,
  place: NewPlace,
  receivedMs?: number,
): Promise<Addition> {
  const timeMs = place.receivedMs ?? receivedMs;
  const mailbox = session.state.findMailbox(place.mailboxes[0]!)?.path ?? "INBOX";
  const received = timeMs === undefined ? {} : { received: { timeMs, zoneMinutes: 0 } };
  const prepared = await session.prepare(message, { mailbox, flags: place.flags, ...received });
  return { prepared, mailboxes: place.mailboxes };
}

/** Properties of a new email for `created`: RFC 8621 §4.6, §4.8. */
export function tellCreated({
  id,
  thread,
  size,
}: AddedMessage): Readonly<Record<string, unknown>> & { readonly id: string } {
  return { id: formatEmailId(id), blobId: formatBlobId(id), threadId: formatThreadId(thread), size };
}
