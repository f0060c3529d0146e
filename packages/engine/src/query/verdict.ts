import { hexText } from "../bay/entry.ts";
import { DELETED, SYSTEM_FLAGS } from "../mail/state/flags.ts";
import { DEAD, type MailState } from "../mail/state/state.ts";
import type { Condition } from "./condition.ts";
import { fold } from "./needle.ts";

/** undefined: more has to be known. */
export type Verdict = boolean | undefined;

/** What was found in a message, as far as was looked. */
export interface Known {
  readonly hasAttachment?: boolean;
  /** Texts found in fields, by {@link fieldKey}; "" where there is such a field. */
  readonly fields?: ReadonlyMap<string, ReadonlySet<string>>;
  readonly header?: ReadonlySet<string>;
  readonly body?: ReadonlySet<string>;
}

/** Of a message, by the row of its membership (or of one of its memberships, where emails are asked for). */
export type Test = (row: number, known?: Known) => Verdict;

/** How those are known that a condition is asked of. */
export interface World {
  readonly state: MailState;
  /** Whether what stands at a row carries a flag. */
  carries(flag: string): (row: number) => boolean;
  isIn(mailbox: (ordinal: number) => boolean): (row: number) => boolean;
  /** How many emails of the thread of what stands at a row carry the flag. */
  inThread(flag: string): (row: number) => "all" | "some" | "none";
}

const DAY_MS = 86_400_000;

/** How a condition on a field is known among what was found. */
export function fieldKey(condition: Condition & { readonly kind: "header" | "address" }): string {
  return condition.kind === "address" ? `@${condition.field}` : condition.field;
}

/** A condition as a test of what is in `world`. Three-valued: what needs more than is known is undefined, and and, or and
 * not decide as soon as they can. */
export function compile(condition: Condition, world: World): Test {
  const { state } = world;
  switch (condition.kind) {
    case "all":
      return () => true;
    case "and":
      return every(condition.of.map((inner) => compile(inner, world)));
    case "or":
      return negate(every(condition.of.map((inner) => negate(compile(inner, world)))));
    case "not":
      return negate(compile(condition.of, world));
    case "flag":
      return world.carries(condition.flag);
    case "uids":
      return uidTest(state, condition.ranges);
    case "emails": {
      const { id } = state.emails.columns;
      return (row) => condition.ids.has(hexText(id.getId(state.emailOf(row))));
    }
    case "size": {
      const { from = 0, below = Number.POSITIVE_INFINITY } = condition;
      const { size } = state.emails.columns;
      const { email } = state.memberships.columns;
      return (row) => {
        const octets = size.get(email.get(row));
        return octets >= from && octets < below;
      };
    }
    case "time": {
      const { from = Number.NEGATIVE_INFINITY, below = Number.POSITIVE_INFINITY } = condition;
      const { [condition.of]: time } = state.emails.columns;
      const { email } = state.memberships.columns;
      return (row) => {
        const timeMs = time.get(email.get(row));
        return timeMs >= from && timeMs < below;
      };
    }
    case "day":
      return dayTest(state, condition);
    case "mailbox":
    case "elsewhere": {
      const ids: readonly string[] = condition.kind === "mailbox" ? condition.in : condition.than;
      const ordinals = new Set(ids.map((id) => state.mailboxes.findIndex((mailbox) => mailbox.id === id)));
      const isWanted = condition.kind === "mailbox";
      return world.isIn((ordinal) => ordinals.has(ordinal) === isWanted);
    }
    case "thread": {
      const carry = world.inThread(condition.flag);
      const { carry: wanted } = condition;
      // All of them is some of them.
      return (row) => {
        const carried = carry(row);
        return carried === wanted || (wanted === "some" && carried === "all");
      };
    }
    case "attachment":
      return (_row, known) => known?.hasAttachment;
    case "header":
    case "address": {
      const key = fieldKey(condition);
      const text = fold(condition.text);
      return (_row, known) => known?.fields?.get(key)?.has(text);
    }
    case "body":
    case "text":
      return textTest(fold(condition.text), condition.kind === "text");
  }
}

function every(tests: readonly Test[]): Test {
  if (tests.length === 1) return tests[0]!;
  return (row, known) => {
    let verdict: Verdict = true;
    for (const test of tests) {
      const one = test(row, known);
      if (one === false) return false;
      if (one === undefined) verdict = undefined;
    }
    return verdict;
  };
}

function negate(test: Test): Test {
  return (row, known) => {
    const verdict = test(row, known);
    return verdict === undefined ? undefined : !verdict;
  };
}

function uidTest(state: MailState, ranges: (Condition & { readonly kind: "uids" })["ranges"]): Test {
  const { uid } = state.memberships.columns;
  return (row) => {
    const number = uid.get(row);
    let low = 0;
    for (let high = ranges.length; low < high; ) {
      const middle = (low + high) >> 1;
      if (ranges[middle]!.last >= number) high = middle;
      else low = middle + 1;
    }
    return low < ranges.length && ranges[low]!.first <= number;
  };
}

function dayTest(state: MailState, { of, when, dayMs }: Condition & { readonly kind: "day" }): Test {
  const { email, saved } = state.memberships.columns;
  const { received, receivedZone, sent, sentZone } = state.emails.columns;
  const [time, zone] = of === "sent" ? [sent, sentZone] : [received, receivedZone];
  // A day holds what lies within it, as days are written there.
  const from = when === "before" ? Number.NEGATIVE_INFINITY : dayMs;
  const below = when === "since" ? Number.POSITIVE_INFINITY : when === "on" ? dayMs + DAY_MS : dayMs;
  return (row) => {
    const at = email.get(row);
    const written = of === "saved" ? saved.get(row) * 1000 : time.get(at) + zone.get(at) * 60_000;
    return written >= from && written < below;
  };
}

function textTest(text: string, headers: boolean): Test {
  return (_row, known) => {
    if (text === "") return true;
    if (headers && known?.header?.has(text)) return true;
    return known?.body?.has(text);
  };
}

const BIT_BY_FLAG: ReadonlyMap<string, number> = new Map(
  SYSTEM_FLAGS.map((name, bit) => [name.toLowerCase(), 1 << bit]),
);

/** What a membership's flags byte and keyword set must be for it to carry a flag: its bit, or the sets that hold it. */
export function flagLook(
  state: MailState,
  flag: string,
): { readonly bit: number; readonly isIn: (set: number) => boolean } {
  const wanted = flag.toLowerCase();
  const bit = BIT_BY_FLAG.get(wanted) ?? 0;
  // Each set's names are compared once. 1: it holds the keyword; 2: it does not.
  const verdicts: number[] = [];
  const isIn = (set: number): boolean => {
    verdicts[set] ??= state.keywords.get(set).some((keyword) => keyword.toLowerCase() === wanted) ? 1 : 2;
    return verdicts[set] === 1;
  };
  return { bit, isIn };
}

/** Each membership for itself, as IMAP knows them. */
export function memberships(state: MailState): World {
  const { flags, keywords, mailbox } = state.memberships.columns;
  return {
    state,
    carries(flag) {
      const { bit, isIn } = flagLook(state, flag);
      return bit === 0 ? (row) => isIn(keywords.get(row)) : (row) => (flags.get(row) & bit) !== 0;
    },
    isIn: (isWanted) => (row) => isWanted(mailbox.get(row)),
    inThread: () => {
      throw new RangeError("threads are asked of emails alone");
    },
  };
}

/** Whether a membership with these flags is there for who knows nothing of \Deleted. */
export function isShown(flags: number): boolean {
  return (flags & (DEAD | DELETED)) === 0;
}
