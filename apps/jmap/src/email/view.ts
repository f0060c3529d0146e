import {
  formatBlobId,
  formatEmailId,
  formatMailboxId,
  formatThreadId,
  type Row,
  type ShownEmail,
  sizeOfEmail,
} from "@restante/engine";
import { formatDate } from "./header-forms.ts";
import { keywordOf } from "./keywords.ts";
import type { MetadataProperty } from "./properties.ts";

type State = ShownEmail["message"]["state"];

/** Keywords that an email has only if all its memberships have them: an email that is unread in one mailbox is unread. */
const OF_ALL: ReadonlySet<string> = new Set(["$seen", "$draft"]);
/** Puts an email's metadata into `told`: RFC 8621 §4.1.1. It is that of the present state. */
export function tellMetadata(
  told: Record<string, unknown>,
  email: ShownEmail,
  properties: ReadonlySet<MetadataProperty>,
): void {
  const { state } = email.message;
  for (const property of properties) told[property] = METADATA[property](email, state);
}

const METADATA: Readonly<Record<MetadataProperty, (email: ShownEmail, state: State) => unknown>> = {
  id: ({ id }) => formatEmailId(id),
  blobId: ({ id }) => formatBlobId(id),
  threadId: ({ email }, state) => formatThreadId(state.threadOf(email)),
  mailboxIds: ({ memberships }, state) => mailboxIdsOf(state, memberships),
  keywords: ({ memberships }, state) => keywordsOf(state, memberships),
  size: ({ email }, state) => sizeOfEmail(state, email),
  receivedAt: ({ message: { row } }, state) => formatReceived(state.receivedOf(row).timeMs),
};

/** UTCDate: RFC 8620 §1.4. */
export function formatReceived(timeMs: number): string {
  return formatDate({ timeMs, zoneMinutes: 0 }) ?? "1970-01-01T00:00:00Z";
}

/** The mailboxes of the memberships that show an email, each once. */
export function mailboxIdsOf(state: State, memberships: readonly Row[]): Readonly<Record<string, true>> {
  return setOf(memberships.map((row) => formatMailboxId(state.mailboxOf(row).id)));
}

/** Keywords in lower case: `$seen` and `$draft` if all memberships that show the email have them, others if any has. */
export function keywordsOf(state: State, memberships: readonly Row[]): Readonly<Record<string, true>> {
  const [first] = memberships;
  if (first === undefined) return {};
  // Most emails are in one mailbox, or have the same flags in all.
  const number = state.flagsNumber(first);
  if (memberships.every((row) => state.flagsNumber(row) === number)) return setOf(keywordsIn(state, first));
  const counts = new Map<string, number>();
  for (const row of memberships)
    for (const keyword of new Set(keywordsIn(state, row))) counts.set(keyword, (counts.get(keyword) ?? 0) + 1);
  return setOf(
    [...counts]
      .filter(([keyword, count]) => !OF_ALL.has(keyword) || count === memberships.length)
      .map(([keyword]) => keyword),
  );
}

function keywordsIn(state: State, row: Row): string[] {
  return state.flagNames(row).flatMap((flag) => keywordOf(flag) ?? []);
}

/** Names of any spelling, `__proto__` too, become properties of their own. */
function setOf(names: readonly string[]): Readonly<Record<string, true>> {
  return Object.fromEntries(names.map((name) => [name, true as const]));
}
