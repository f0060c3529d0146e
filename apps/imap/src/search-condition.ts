import type { Condition, MailboxView } from "@restante/engine";
import { positionRanges } from "./commands/message-set.ts";
import type { SearchKey } from "./wire/search-keys.ts";

/** Uids, from `first` up to and including `last`. */
interface UidRange {
  readonly first: number;
  readonly last: number;
}

export interface Searched {
  readonly view: MailboxView;
  /** Uids that are \Recent to the session, ascending, none touching another. */
  readonly recent: readonly UidRange[];
}

/** What a search key asks of messages: RFC 9051 §6.4.4, and RFC 3501's \Recent keys. */
export function toCondition(key: SearchKey, searched: Searched): Condition {
  switch (key.kind) {
    case "and":
    case "or":
      return { kind: key.kind, of: key.keys.map((inner) => toCondition(inner, searched)) };
    case "not":
      return { kind: "not", of: toCondition(key.key, searched) };
    case "flag":
      return unless(!key.set, { kind: "flag", flag: key.flag });
    case "recent":
      return unless(!key.set, { kind: "uids", ranges: searched.recent });
    case "new":
      return {
        kind: "and",
        of: [{ kind: "uids", ranges: searched.recent }, unless(true, { kind: "flag", flag: "\\Seen" })],
      };
    case "set":
      return { kind: "uids", ranges: uidsOf(searched.view, key) };
    case "size":
      return key.than === "larger" ? { kind: "size", from: key.octets + 1 } : { kind: "size", below: key.octets };
    case "date":
      return { kind: "day", of: key.of === "internal" ? "received" : "sent", when: key.when, dayMs: key.dayMs };
    case "header":
    case "address":
    case "all":
    case "body":
    case "text":
      return key;
  }
}

function unless(not: boolean, condition: Condition): Condition {
  return not ? { kind: "not", of: condition } : condition;
}

/** A set's messages by their uids, which no message shares. */
function uidsOf(view: MailboxView, { set, uid }: SearchKey & { readonly kind: "set" }): UidRange[] {
  return positionRanges(view, set, uid).map(({ from, to }) => ({ first: view.uidAt(from), last: view.uidAt(to - 1) }));
}
