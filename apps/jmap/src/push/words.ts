import type { PushWords } from "@restante/engine";
import type { DataType } from "../core/states.ts";
import { accountIdOf } from "../session-object.ts";
import { lockedState } from "./state-change.ts";

/** Types that may have changed when a note came, which is a mail or the report of one; and when the log got an entry. */
const OF_NOTE: readonly DataType[] = ["Email", "EmailDelivery", "Mailbox", "Thread", "Quota"];
const OF_ENTRY: readonly DataType[] = [
  ...(["Email", "Mailbox", "Thread", "EmailSubmission", "Identity", "VacationResponse", "Quota"] as const),
];
/** Types that a device is told of only if it names them. Whether an account has a quota is not known here. */
const ASKED_FOR: ReadonlySet<DataType> = new Set<DataType>(["Quota"]);

/** Texts of pushes to devices: RFC 8620 §7.1, §7.2.2. The process may not have the account's keys, so its states are only
 * names. */
export const PUSH_WORDS: PushWords = {
  verification: (pushSubscriptionId, verificationCode) => ({
    "@type": "PushVerification",
    pushSubscriptionId: formatPushId(pushSubscriptionId),
    verificationCode,
  }),
  change(account, { note, entry }, types) {
    const changed: Record<string, string> = {};
    const add = (of: readonly DataType[], name: string | undefined): void => {
      if (name === undefined) return;
      for (const type of of) if (types ? types.includes(type) : !ASKED_FOR.has(type)) changed[type] = lockedState(name);
    };
    add(OF_ENTRY, entry);
    add(OF_NOTE, note);
    if (Object.keys(changed).length === 0) return undefined;
    return { "@type": "StateChange", changed: { [accountIdOf({ account })]: changed } };
  },
};

export function formatPushId(id: string): string {
  return `w${id}`;
}

/** Undefined for what is no id of ours. */
export function parsePushId(id: string): string | undefined {
  return /^w([0-9a-f]{32})$/.exec(id)?.[1];
}
