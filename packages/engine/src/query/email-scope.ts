import type { Message } from "../mail/mailbox-view.ts";
import type { EmailRow } from "../mail/numbers.ts";
import { splitFlags } from "../mail/state/flags.ts";
import type { Lists } from "./lists.ts";
import { flagTest, type Scope } from "./scope.ts";

/** Flags that an email has only where all of its memberships have them: what was not seen in one place is not seen. */
const OF_ALL = new Set(["\\seen", "\\draft"]);

/** Whole emails, each once, however many memberships hold it: RFC 8621 §4.1.1. Memberships with \Deleted don't count. */
export function emailScope(lists: Lists): Scope {
  return {
    keyword(keyword) {
      const has = keywordTest(lists, keyword);
      return ({ state, row }) => has(state.emailOf(row));
    },
    threadKeyword(keyword, by) {
      const has = keywordTest(lists, keyword);
      const byThread = new Map<EmailRow, boolean>();
      return ({ state, row }) => {
        const email = state.emailOf(row);
        const thread = lists.threadNumber(email);
        let verdict = byThread.get(thread);
        if (verdict === undefined) {
          verdict = ofThread(lists, thread, by === "all", has);
          byThread.set(thread, verdict);
        }
        return verdict;
      };
    },
    membership(is) {
      return ({ position, state, row }: Message) => {
        for (const one of lists.shownMemberships(state.emailOf(row)))
          if (is({ position, state, row: one })) return true;
        return false;
      };
    },
  };
}

/** A test for emails that have a flag or keyword. */
export function keywordTest(lists: Lists, keyword: string): (email: EmailRow) => boolean {
  const has = flagTest(keyword);
  const ofAll = splitFlags([keyword]).bits !== 0 && OF_ALL.has(keyword.toLowerCase());
  const { state, membershipRows } = lists;
  return (email) => {
    let isAny = false;
    for (let row = membershipRows.last(email); row >= 0; row = membershipRows.before(row)) {
      if (!state.isLive(row) || state.isDeleted(row)) continue;
      if (has(state, row) !== ofAll) return !ofAll;
      isAny = true;
    }
    return ofAll && isAny;
  };
}

/** True if all shown emails of a thread fulfil `is`, or one does. */
function ofThread(lists: Lists, thread: EmailRow, all: boolean, is: (email: EmailRow) => boolean): boolean {
  const { state, threadEmails } = lists;
  let isAny = false;
  for (let email = threadEmails.last(thread); email >= 0; email = threadEmails.before(email)) {
    if (!state.isShown(email)) continue;
    if (is(email) !== all) return !all;
    isAny = true;
  }
  return all && isAny;
}
