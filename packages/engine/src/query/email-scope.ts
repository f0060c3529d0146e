import type { Message } from "../mail/mailbox-view.ts";
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
      const byThread = new Map<number, boolean>();
      return ({ state, row }) => {
        const email = state.emailOf(row);
        const thread = lists.threadNumber(email);
        let verdict = byThread.get(thread);
        if (verdict === undefined) {
          verdict = combine(lists.threadOf(email), by === "all", has);
          byThread.set(thread, verdict);
        }
        return verdict;
      };
    },
    membership(is) {
      return ({ position, state, row }: Message) =>
        combine(lists.shownMemberships(state.emailOf(row)), false, (one) => is({ position, state, row: one }));
    },
  };
}

/** Whether an email has a flag or keyword. */
export function keywordTest(lists: Lists, keyword: string): (email: number) => boolean {
  const has = flagTest(keyword);
  const ofAll = splitFlags([keyword]).bits !== 0 && OF_ALL.has(keyword.toLowerCase());
  return (email) => combine(lists.shownMemberships(email), ofAll, (row) => has(lists.state, row));
}

/** Whether all are such, or one is. All of none are not. */
function combine(rows: Iterable<number>, all: boolean, is: (row: number) => boolean): boolean {
  let isAny = false;
  for (const row of rows) {
    const one = is(row);
    if (one !== all) return one;
    isAny = true;
  }
  return all && isAny;
}
