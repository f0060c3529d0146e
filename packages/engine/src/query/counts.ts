import type { Mailbox } from "../mail/state/mailbox.ts";
import { keywordTest } from "./email-scope.ts";
import type { Lists } from "./lists.ts";
import type { Pace } from "./pace.ts";

/** What a mailbox has of emails and threads: RFC 8621 §2. */
export interface EmailCounts {
  readonly totalEmails: number;
  /** Without \Seen and without \Draft. */
  readonly unreadEmails: number;
  readonly totalThreads: number;
  /** Threads with an email in the mailbox, and with an unread one anywhere but in the trash; in the trash those of which it
   * holds an unread one. */
  readonly unreadThreads: number;
}

/** Emails that are counted between two looks whether it is the others' turn. */
const COUNTED_AT_ONCE = 512;

/** Counts one mailbox, in steps; each email once, however many memberships hold it there. */
export async function countEmails(lists: Lists, mailbox: Mailbox, pace: Pace): Promise<EmailCounts> {
  const { state } = lists;
  const isUnread = unreadTest(lists);
  const emails = new Set<number>();
  // Which of its threads are unread.
  const threads = new Map<number, boolean>();
  let unreadEmails = 0;
  const { messages } = mailbox;
  const { length } = messages;
  for (let at = 0; at < length; at++) {
    if (at % COUNTED_AT_ONCE === 0 && pace.isOver()) await pace.take();
    const row = messages.at(at);
    const email = state.emailOf(row);
    if (!state.isLive(row) || state.isDeleted(row) || emails.has(email)) continue;
    emails.add(email);
    if (isUnread(email)) unreadEmails++;
    const thread = lists.threadNumber(email);
    if (isTrash(mailbox)) threads.set(thread, (threads.get(thread) ?? false) || isUnread(email));
    else if (!threads.has(thread)) threads.set(thread, hasUnreadOutsideTrash(lists, email, isUnread));
  }
  const unreadThreads = [...threads.values()].filter((unread) => unread).length;
  return { totalEmails: emails.size, unreadEmails, totalThreads: threads.size, unreadThreads };
}

function isTrash({ specialUse }: Mailbox): boolean {
  return specialUse === "\\Trash";
}

function unreadTest(lists: Lists): (email: number) => boolean {
  const isSeen = keywordTest(lists, "\\Seen");
  const isDraft = keywordTest(lists, "\\Draft");
  return (email) => !isSeen(email) && !isDraft(email);
}

function hasUnreadOutsideTrash(lists: Lists, email: number, isUnread: (email: number) => boolean): boolean {
  for (const one of lists.threadOf(email)) {
    if (!isUnread(one)) continue;
    for (const row of lists.shownMemberships(one)) if (!isTrash(lists.state.mailboxOf(row))) return true;
  }
  return false;
}
