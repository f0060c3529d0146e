import { EngineError } from "../errors.ts";
import type { Message } from "../mail/mailbox-view.ts";
import { splitFlags } from "../mail/state/flags.ts";
import type { ReadState } from "../mail/state/read-state.ts";

type Is = (message: Message) => boolean;

/** What a message of a list stands for, and so what its flags and mailboxes are. */
export interface Scope {
  keyword(keyword: string): Is;
  /** Throws EngineError `invalid` where there are no threads. */
  threadKeyword(keyword: string, by: "all" | "some"): Is;
  /** Whether its membership, or one of them, is such. */
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

/** Whether a membership carries a flag or keyword. Keywords are compared once for each set of them. */
export function flagTest(name: string): (state: ReadState, row: number) => boolean {
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
