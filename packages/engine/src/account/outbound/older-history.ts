import { orUndefinedIfDamaged } from "../../bay/store-failure.ts";
import { CLOCKS_DIFFER_MS } from "../../mail/state/note-streams.ts";
import type { Platform } from "../platform.ts";
import { type AsideReporter, setQueueAside } from "./after-restore.ts";
import type { OutboundQueue, QueuePlace } from "./queue.ts";

/** Keeper of the mails that ended on this host, outside the store. Those that it loses only mean that an older history of the
 * queue goes unseen. */
export interface EndedKeeper {
  /** `id`: 32 hex digits. */
  note(id: string): void;
  /** Those of these that ended, and when: milliseconds since 1970, the last time. */
  find(ids: ReadonlySet<string>): Promise<ReadonlyMap<string, number>>;
}

/**
 * Before anything is sent: a mail that ended here, and waits again in a store that does not know its end, tells that the store was
 * put back. Then nothing that waits there is sent, and its owners are told, as after a restore. Resolves with how many were set
 * aside. Errors: `unavailable`, `unknown-outcome`.
 */
export async function setOlderAside(
  queue: OutboundQueue,
  ended: EndedKeeper,
  reporter: AsideReporter,
  { log }: Pick<Platform, "log">,
): Promise<number> {
  const waiting = new Map<string, QueuePlace>();
  for await (const place of queue.list()) waiting.set(place.id, place);
  if (waiting.size === 0) return 0;
  const found = await ended.find(new Set(waiting.keys())).catch((error: unknown) => {
    // Ids that are lost only go unseen: nobody is kept from sending.
    log({ level: "error", event: "witness can't be read", error });
    return new Map<string, number>();
  });
  for (const [id, endedMs] of found) {
    // A list may be behind; an id may come again, but weeks later, however clocks differ; an end is known for a week.
    const opened = await orUndefinedIfDamaged(queue.open(waiting.get(id)!));
    if (!opened || opened.mail.madeMs > endedMs + CLOCKS_DIFFER_MS || (await queue.isDone(id))) continue;
    log({ level: "error", event: "what waits to be sent is of an older history: its owners have it", id });
    // The mails that tell of it go last: killed, the next look finds it again.
    return setQueueAside(queue, reporter, new Set(found.keys()));
  }
  return 0;
}
