import { hexText } from "../bay/entry.ts";
import { EngineError } from "../errors.ts";
import { fold, foldField } from "../mail/contents/fold.ts";
import type { Message } from "../mail/mailbox-view.ts";
import type { Uid } from "../mail/numbers.ts";
import type { Condition, DateCondition, Range, UidRange } from "./condition.ts";
import type { Found } from "./list-texts.ts";
import type { Scope } from "./scope.ts";

/** Texts that were found in a message, by place and folded; "" where the message has the place. */
export type Known = Map<string, ReadonlySet<string>>;

/** Undefined: it needs what is not known yet. */
export type Verdict = boolean | undefined;
export type Test = (message: Message, known?: Known) => Verdict;

/** Where the texts of these conditions are looked for; undefined for others. */
export function placeOf(condition: Condition): string | undefined {
  switch (condition.kind) {
    case "header":
      return `field ${condition.field}`;
    case "subject":
      return "field subject";
    case "from":
    case "to":
    case "cc":
    case "bcc":
      return `addresses ${condition.kind}`;
    default:
      return undefined;
  }
}

/** A tree as a function of a message. `found` tells of texts without the message's own. Throws EngineError `invalid` for what the scope does not know. */
export function compile(condition: Condition, scope: Scope, found?: Found): Test {
  switch (condition.kind) {
    case "all":
      return () => true;
    case "and":
      return every(condition.of.map((inner) => compile(inner, scope, found)));
    case "or":
      return some(condition.of.map((inner) => compile(inner, scope, found)));
    case "not":
      return negate(compile(condition.of, scope, found));
    case "keyword":
      return scope.keyword(condition.keyword);
    case "thread-keyword":
      return scope.threadKeyword(condition.keyword, condition.by);
    case "mailbox": {
      const { mailbox } = condition;
      return scope.membership(({ state, row }) => state.mailboxOf(row).id === mailbox);
    }
    case "uids": {
      const isIn = rangeTest(condition.ranges);
      return scope.membership(({ state, row }) => isIn(state.memberships.columns.uid.get(row)));
    }
    case "emails": {
      const { ids } = condition;
      return ({ state, row }) => ids.has(hexText(state.emails.columns.id.getId(state.emailOf(row))));
    }
    case "threads": {
      const { ids } = condition;
      const halves = new Set([...ids].map((id) => Number.parseInt(id.slice(0, 8), 16)));
      return ({ state, row }) => {
        const email = state.emailOf(row);
        // Most emails are of none: told by half of the id, without a text for each.
        return halves.has(state.emails.columns.threadHigh.get(email)) && ids.has(hexText(state.threadOf(email)));
      };
    }
    case "modSeq":
      return scope.membership(({ state, row }) => isWithin(condition, state.memberships.columns.modSeq.get(row)));
    case "size": {
      return ({ state, row }) => isWithin(condition, state.sizeOf(row));
    }
    case "date":
      return dateTest(condition, scope);
    case "header":
    case "subject":
    case "from":
    case "to":
    case "cc":
    case "bcc":
      return textTest(placeOf(condition)!, foldField(condition.text), found);
    case "body":
    case "text": {
      const text = fold(condition.text);
      if (text === "") return () => true;
      const inBody = textTest("body", text);
      if (condition.kind === "body") return inBody;
      const inHeaders = ["header", "parts"].map((place) => textTest(place, foldField(condition.text)));
      return some([...inHeaders, inBody]);
    }
    case "attachment":
      return textTest("attachment", "");
  }
}

function every(tests: readonly Test[]): Test {
  return (message, known) => {
    let verdict: Verdict = true;
    for (const test of tests) {
      const one = test(message, known);
      if (one === false) return false;
      if (one === undefined) verdict = undefined;
    }
    return verdict;
  };
}

function some(tests: readonly Test[]): Test {
  return negate(every(tests.map(negate)));
}

function negate(test: Test): Test {
  return (message, known) => {
    const verdict = test(message, known);
    return verdict === undefined ? undefined : !verdict;
  };
}

function textTest(place: string, text: string, found?: Found): Test {
  const inLists = found?.(place, text);
  if (!inLists) return (_message, known) => known?.get(place)?.has(text);
  return (message, known) => known?.get(place)?.has(text) ?? inLists(message);
}

function isWithin({ from, before }: Range, value: number): boolean {
  return (from === undefined || value >= from) && (before === undefined || value < before);
}

function dateTest(condition: DateCondition, scope: Scope): Test {
  const isIn = ({ timeMs, zoneMinutes }: { readonly timeMs: number; readonly zoneMinutes: number }): boolean =>
    isWithin(condition, condition.isLocal ? timeMs + zoneMinutes * 60_000 : timeMs);
  switch (condition.of) {
    case "received":
      return ({ state, row }) => isIn(state.receivedOf(row));
    case "sent":
      return sentTest(isIn);
    case "saved":
      return scope.membership(({ state, row }) =>
        isIn({ timeMs: state.memberships.columns.saved.get(row) * 1000, zoneMinutes: 0 }),
      );
  }
}

/** RFC 9051 §6.4.4 asks for the Date field. Where that is missing, or no date, the state has the time of receipt in its place:
 * where both are equal the header tells. */
function sentTest(isIn: (sent: { readonly timeMs: number; readonly zoneMinutes: number }) => boolean): Test {
  return ({ state, row }, known) => {
    const sent = state.sentOf(row);
    if (!isIn(sent)) return false;
    if (sent.zoneMinutes !== 0 || sent.timeMs !== state.receivedOf(row).timeMs) return true;
    return known?.get("date")?.has("");
  };
}

/** True for a uid within one of the ranges. Many ranges cost no more than few. Throws EngineError `invalid` for ranges out of
 * order. */
function rangeTest(ranges: readonly UidRange[]): (uid: Uid) => boolean {
  for (const [at, { first, last }] of ranges.entries())
    if (first > last || (at > 0 && first <= ranges[at - 1]!.last))
      throw new EngineError("invalid", "ranges of uids are out of order");
  return (uid) => {
    let low = 0;
    for (let high = ranges.length; low < high; ) {
      const middle = (low + high) >> 1;
      if (ranges[middle]!.last >= uid) high = middle;
      else low = middle + 1;
    }
    return low < ranges.length && ranges[low]!.first <= uid;
  };
}
