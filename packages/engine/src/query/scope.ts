import { EngineError } from "../errors.ts";
import type { Message } from "../mail/mailbox-view.ts";
import type { Row } from "../mail/numbers.ts";
import { splitFlags } from "../mail/state/flags.ts";
import type { ReadState } from "../mail/state/read-state.ts";

type Is = (message: Message) => boolean;

/** Subject of a list's messages: memberships or emails, and so whose flags and mailboxes count. */
export interface Scope {
  keyword(keyword: string): Is;
  /** Throws EngineError `invalid` where there are no threads. */
  threadKeyword(keyword: string, by: "all" | "some"): Is;
  /** A test that is true if the message's membership fulfils `is`, or one of its memberships does. */
  membership(is: Is): Is;
}

/** One membership: IMAP's messages. */
export const MEMBERSHIPS: Scope = {
  keyword(keyword) {
    const has = flagTest(keyword);
    return ({ state, row }) => has(state, row);
  },
  threadKeyword() {
    throw new EngineError("invalid", "a membership has no thread");
  },
  membership: (is) => is,
};

/** A test for memberships that carry a flag or keyword. Keywords are compared once for each set of them. */
export function flagTest(name: string): (state: ReadState, row: Row) => boolean {
  const { bits } = splitFlags([name]);
  if (bits !== 0) return ({ memberships }, row) => (memberships.columns.flags.get(row) & bits) !== 0;
  const wanted = name.toLowerCase();
  let knownState: ReadState | undefined;
  let verdicts: boolean[] = [];
  return (state, row) => {
    if (knownState !== state) verdicts = [];
    knownState = state;
    const set = state.memberships.columns.keywords.get(row);
    verdicts[set] ??= state.keywords.get(set).some((keyword) => keyword.toLowerCase() === wanted);
    return verdicts[set];
  };
}
