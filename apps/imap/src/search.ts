import { asModSeq, type Condition, parseEmailId, parseThreadId, uidBefore } from "@restante/engine";
import { positionRanges } from "./commands/message-set.ts";
import type { Session } from "./session.ts";
import { ImapSyntaxError } from "./wire/parser.ts";
import type { SearchKey } from "./wire/search-keys.ts";

const DAY_MS = 86_400_000;

/** SEARCH's words as a condition of the engine: RFC 9051 §6.4.4. `nowMs` is the time that YOUNGER and OLDER count from. Throws
 * ImapSyntaxError for a sequence number where there are uids alone. */
export function conditionOf(key: SearchKey, session: Session, nowMs: number): Condition {
  const { view } = session;
  const recent = session.selected?.recent ?? [];
  const translate = (inner: SearchKey): Condition => conditionOf(inner, session, nowMs);
  const isRecent: Condition = {
    kind: "uids",
    ranges: recent.map(({ from, to }) => ({ first: from, last: uidBefore(to) })),
  };
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
      if (session.isUidOnly && !key.uid && !key.set.isSaved)
        throw new ImapSyntaxError("Only uids are taken", "UIDREQUIRED");
      const ranges = positionRanges(session, key.set, key.uid, true);
      return {
        kind: "uids",
        ranges: ranges.map(({ from, to }) => ({ first: view.uidAt(from), last: view.uidAt(to - 1) })),
      };
    }
    case "within": {
      const at = nowMs - key.seconds * 1000;
      const range = key.than === "older" ? { before: at + 1 } : { from: at };
      return { kind: "date", of: "received", isLocal: false, ...range };
    }
    case "modSeq":
      return { kind: "modSeq", from: asModSeq(key.from) };
    case "emailId": {
      const id = parseEmailId(key.id);
      return { kind: "emails", ids: new Set(id ? [hexOf(id)] : []) };
    }
    case "threadId": {
      const id = parseThreadId(key.id);
      return { kind: "threads", ids: new Set(id ? [hexOf(id)] : []) };
    }
    case "size":
      return key.than === "larger" ? { kind: "size", from: key.octets + 1 } : { kind: "size", before: key.octets };
    case "date": {
      const { dayMs, when } = key;
      return {
        kind: "date",
        of: key.of === "internal" ? "received" : key.of,
        // Days as they are written, "disregarding time and timezone".
        isLocal: true,
        ...(when === "before" ? {} : { from: dayMs }),
        ...(when === "since" ? {} : { before: when === "on" ? dayMs + DAY_MS : dayMs }),
      };
    }
  }
}

/** The same program whose sets name what they name now: RFC 5267 §4.3. */
export function withUids(key: SearchKey, session: Session): SearchKey {
  const translate = (inner: SearchKey): SearchKey => withUids(inner, session);
  switch (key.kind) {
    case "and":
      return { ...key, keys: key.keys.map(translate) };
    case "or":
      return { ...key, keys: [translate(key.keys[0]), translate(key.keys[1])] };
    case "not":
      return { ...key, key: translate(key.key) };
    case "set": {
      const { view } = session;
      const ranges = positionRanges(session, key.set, key.uid, true);
      const uids = ranges.map(({ from, to }) => ({ first: view.uidAt(from), last: view.uidAt(to - 1) }));
      return { kind: "set", set: { ranges: uids }, uid: true };
    }
    default:
      return key;
  }
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

function not(of: Condition): Condition {
  return { kind: "not", of };
}

function unless(isNot: boolean, condition: Condition): Condition {
  return isNot ? not(condition) : condition;
}
