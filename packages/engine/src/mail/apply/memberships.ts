import { equalBytes } from "../../crypto/primitives.ts";
import { type EmailRow, FIRST_ROW, type Row } from "../numbers.ts";
import { splitFlags } from "../state/flags.ts";
import type { ReadState } from "../state/read-state.ts";

// Lookups of memberships and their emails.

/** The live memberships of these emails. */
export function membershipsOf(state: ReadState, emails: ReadonlySet<EmailRow>): Map<EmailRow, Row[]> {
  const found = new Map<EmailRow, Row[]>([...emails].map((email) => [email, []]));
  const { email } = state.memberships.columns;
  for (let row = FIRST_ROW; row < state.memberships.rows; row++) {
    const rows = found.get(email.get(row));
    if (rows && state.isLive(row)) rows.push(row);
  }
  return found;
}

/** True if the email has this id, or if no id is asked for. */
export function isEmail(state: ReadState, email: EmailRow, id: Uint8Array | undefined): boolean {
  return id === undefined || equalBytes(state.emails.columns.id.getId(email), id);
}

/** Keyword sets that these messages carry once the flags are added. */
export function* keywordsOf(
  state: ReadState,
  flags: readonly string[],
  rows: readonly Row[],
): Generator<readonly string[]> {
  const { keywords } = splitFlags(flags);
  if (keywords.length === 0) return;
  const { keywords: column } = state.memberships.columns;
  for (const set of new Set(rows.map((row) => column.get(row)))) yield [...state.keywords.get(set), ...keywords];
}
