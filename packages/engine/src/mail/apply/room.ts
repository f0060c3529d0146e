import { splitFlags } from "../state/flags.ts";
import type { ReadState } from "../state/read-state.ts";

/**
 * Room of an account for new messages and keywords, whatever command they come from. Counted are live things alone: the
 * dead, and sets of keywords that no message carries, may be missing from a checkpoint. They decide nothing, so that a
 * verdict is the same wherever the state was loaded from.
 */

/** Live messages of an account: each takes some 120 octets of memory. */
export const LIVE_MESSAGES_MAX = 1_000_000;
/** Keywords on one message, and keywords and combinations of them on all live messages of an account. */
export const KEYWORDS_PER_MESSAGE_MAX = 100;
export const KEYWORDS_MAX = 1_000;
export const KEYWORD_SETS_MAX = 5_000;

export interface RoomLimits {
  readonly messages: number;
  readonly keywordsPerMessage: number;
  readonly keywords: number;
  readonly keywordSets: number;
}

export const ROOM_LIMITS: RoomLimits = {
  messages: LIVE_MESSAGES_MAX,
  keywordsPerMessage: KEYWORDS_PER_MESSAGE_MAX,
  keywords: KEYWORDS_MAX,
  keywordSets: KEYWORD_SETS_MAX,
};

export function hasRoomForMessages(state: ReadState, more: number, limits: RoomLimits = ROOM_LIMITS): boolean {
  const { messages } = limits;
  // Live or dead: most accounts need no counting.
  if (state.memberships.rows + more <= messages) return true;
  return state.allMailboxes().reduce((sum, mailbox) => sum + mailbox.messages.length, more) <= messages;
}

/** `sets`: the keywords that messages would carry, of each message or each kind of them. */
export function hasRoomForKeywords(
  state: ReadState,
  sets: Iterable<readonly string[]>,
  limits: RoomLimits = ROOM_LIMITS,
): boolean {
  const more = new Map<string, readonly string[]>();
  for (const set of sets) {
    const folded = [...new Set(splitFlags(set).keywords.map((keyword) => keyword.toLowerCase()))].sort();
    if (folded.length > limits.keywordsPerMessage) return false;
    if (folded.length > 0) more.set(folded.join(" "), folded);
  }
  if (more.size === 0) return true;
  const inUse = new Set(state.allMailboxes().flatMap((mailbox) => [...mailbox.keywordSets.keys()]));
  const keywords = new Set<string>();
  for (const number of inUse) {
    const folded = state.keywords.get(number).map((keyword) => keyword.toLowerCase());
    for (const keyword of folded) keywords.add(keyword);
    more.delete(folded.sort().join(" "));
  }
  // Sets of keywords that messages carry already need no room, even where there are too many.
  if (more.size === 0) return true;
  for (const set of more.values()) for (const keyword of set) keywords.add(keyword);
  return keywords.size <= limits.keywords && inUse.size + more.size <= limits.keywordSets;
}
