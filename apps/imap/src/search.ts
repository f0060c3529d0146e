import type { Condition, MailboxView } from "@restante/engine";
import { positionRanges } from "./commands/message-set.ts";
import type { SearchKey } from "./wire/search-keys.ts";

const DAY_MS = 86_400_000;

/** SEARCH's words as a condition of the engine: RFC 9051 §6.4.4. `recent` are the view's \Recent uids, from `from` up to, not
 * including, `to`. Throws ImapSyntaxError for a sequence number that is not there. */
export function conditionOf(
  key: SearchKey,
  view: MailboxView,
  recent: readonly { readonly from: number; readonly to: number }[],
): Condition {
  const translate = (inner: SearchKey): Condition => conditionOf(inner, view, recent);
  const isRecent: Condition = { kind: "uids", ranges: recent.map(({ from, to }) => ({ first: from, last: to - 1 })) };
  switch (key.kind) {
    case "all":
    case "body":
    case "text":
    case "header":
    case "subject":
    case "from":
    case "to":
    case "cc":
    case "bcc":
      return key;
    case "and":
    case "or":
      return { kind: key.kind, of: key.keys.map(translate) };
    case "not":
      return not(translate(key.key));
    case "flag":
      return unless(!key.set, { kind: "keyword", keyword: key.flag });
    case "recent":
      return unless(!key.set, isRecent);
    case "new":
      return { kind: "and", of: [isRecent, not({ kind: "keyword", keyword: "\\Seen" })] };
    case "set": {
      const ranges = positionRanges(view, key.set, key.uid);
      return {
        kind: "uids",
        ranges: ranges.map(({ from, to }) => ({ first: view.uidAt(from), last: view.uidAt(to - 1) })),
      };
    }
    case "size":
      return key.than === "larger" ? { kind: "size", from: key.octets + 1 } : { kind: "size", before: key.octets };
    case "date": {
      const { dayMs, when } = key;
      return {
        kind: "date",
        of: key.of === "internal" ? "received" : "sent",
        // Days as they are written, "disregarding time and timezone".
        isLocal: true,
        ...(when === "before" ? {} : { from: dayMs }),
        ...(when === "since" ? {} : { before: when === "on" ? dayMs + DAY_MS : dayMs }),
      };
    }
  }
}

function not(of: Condition): Condition {
  return { kind: "not", of };
}

function unless(isNot: boolean, condition: Condition): Condition {
  return isNot ? not(condition) : condition;
}
