import { orUndefinedIfDamaged } from "../../bay/store-failure.ts";
import type { ReadState } from "../../mail/state/read-state.ts";
import { RESTORED } from "../restored-mark.ts";
import type { OutboundQueue, QueuePlace } from "./queue.ts";
import type { QueuedMail, Recipient, RecipientState } from "./queued.ts";
import type { Outcome } from "./sender.ts";
import type { Submission } from "./submission.ts";

/**
 * Mail that waited when a backup was made may have been sent since: after a restore none of it is sent, so that nothing goes a second
 * time. Its owner is told that nobody knows, has the mail, and sends it or does not.
 */

/** A recipient's reply then. */
export const FATE_UNKNOWN = "450 4.3.0 The server was brought back from a backup: this mail may have been sent before";

/** Tells owners of mail that was set aside. */
export interface AsideReporter {
  /** Errors: `unavailable`, `unknown-outcome`. */
  report(mail: QueuedMail, outcome: Outcome): Promise<void>;
  /** By a mail, with what was set aside. Errors: as {@link report}. */
  tellSetAside(mail: QueuedMail): Promise<void>;
}

/** Ends all that a restored queue holds, before any process sends of it; those of `last` after all others. Resolves with how many. Mail
 * that can't be read goes too: its owner hears of it by {@link isOfBefore}. Errors: `unavailable`, `unknown-outcome`. */
export async function setQueueAside(
  queue: OutboundQueue,
  reporter: AsideReporter,
  last: ReadonlySet<string> = new Set(),
): Promise<number> {
  let count = 0;
  const kept: QueuePlace[] = [];
  for await (const place of queue.list())
    if (last.has(place.id)) kept.push(place);
    else if (await setAside(place, queue, reporter)) count++;
  for (const place of kept) if (await setAside(place, queue, reporter)) count++;
  return count;
}

/** Resolves with whether its fate is unknown. */
async function setAside(place: QueuePlace, queue: OutboundQueue, reporter: AsideReporter): Promise<boolean> {
  const mail = (await orUndefinedIfDamaged(queue.open(place)))?.mail;
  if (!mail) {
    await queue.drop(place);
    return false;
  }
  const last = await orUndefinedIfDamaged(queue.lastClaim(place.id));
  const isCanceled = last?.claim.state === "canceled";
  const isOver = await queue.isDone(place.id);
  const isAside = !isCanceled && !isOver;
  if (isAside) {
    const waiting = ({ address }: Recipient): RecipientState => ({ address, state: "waiting", reply: "" });
    const known = last?.claim.recipients ?? [];
    const recipients = known.length > 0 ? known : mail.envelope.recipients.map(waiting);
    await reporter.report(mail, { state: "sent", recipients: recipients.map(unknown) });
    await reporter.tellSetAside(mail);
  } else if (isCanceled && !isOver)
    await reporter.report(mail, { state: "canceled", recipients: last.claim.recipients });
  await queue.end(place, isCanceled ? "canceled" : "sent");
  return isAside;
}

/** True for the submission with this id if history was restored since it was written last. */
export function isOfBefore({ records }: ReadState, type: string, id: string): boolean {
  const restored = Math.max(0, ...records.list(RESTORED).map(({ modSeq }) => modSeq));
  return (records.find(type, id)?.modSeq ?? 0) < restored;
}

/** The submission whose fate nobody knows. */
export function withUnknownFate(one: Submission): Submission {
  const recipients = one.recipients.map((recipient) =>
    recipient.state === "waiting" ? { ...recipient, ...unknown(recipient), delivered: "unknown" as const } : recipient,
  );
  return { ...one, undoStatus: "final", recipients, isHanded: true };
}

function unknown(one: RecipientState): RecipientState {
  const { address, state } = one;
  // The next server may have taken it: RFC 8621 §7 calls that unknown.
  return state === "waiting" ? { address, state: "sent", reply: FATE_UNKNOWN } : one;
}
