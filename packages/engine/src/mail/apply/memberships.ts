import { equalBytes } from "../../crypto/primitives.ts";
import { splitFlags } from "../state/flags.ts";
import type { ReadState } from "../state/read-state.ts";

// Lookups of memberships and their emails.

/** The live memberships of these emails. */
export function membershipsOf(state: ReadState, emails: ReadonlySet<number>): Map<number, number[]> {
  const found = new Map<number, number[]>([...emails].map((email) => [email, []]));
  const { email } = state.memberships.columns;
  for (let row = 0; row < state.memberships.rows; row++) {
    const rows = found.get(email.get(row));
    if (rows && state.isLive(row)) rows.push(row);
  }
  return found;
}

/** True if the email has this id, or if no id is asked for. */
export function isEmail(state: ReadState, email: number, id: Uint8Array | undefined): boolean {
  return id === undefined || equalBytes(state.emails.columns.id.getId(email), id);
}

/** Keyword sets that these messages carry once the flags are added. */
export function* keywordsOf(
  state: ReadState,
  flags: readonly string[],
  rows: readonly number[],
): Generator<readonly string[]> {
  const { keywords } = splitFlags(flags);
  if (keywords.length === 0) return;
  const { keywords: column } = state.memberships.columns;
  for (const set of new Set(rows.map((row) => column.get(row)))) yield [...state.keywords.get(set), ...keywords];
}
