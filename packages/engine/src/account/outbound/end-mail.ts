import { hexText } from "../../bay/entry.ts";
import { orUndefinedIfDamaged } from "../../bay/store-failure.ts";
import type { OutboundQueue } from "./queue.ts";

/** Ends all mail of accounts that were deleted: nothing of it is sent, and nobody is told. Mail that is just handed on goes when that
 * is over, by its sender. `accounts`: ids in hex. Errors: `unavailable`, `unknown-outcome`. */
export async function endMail(queue: OutboundQueue, accounts: ReadonlySet<string>): Promise<void> {
  for await (const place of queue.list()) {
    const opened = await orUndefinedIfDamaged(queue.open(place));
    if (!opened || !accounts.has(hexText(opened.mail.account))) continue;
    const seized = await orUndefinedIfDamaged(queue.seize(place.id, "canceled"));
    if (seized !== "busy") await queue.end(place, "canceled");
  }
}
