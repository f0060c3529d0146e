import type { Changes, ReadState } from "@restante/engine";
import { MethodError } from "./errors.ts";
import { CHANGES_MAX } from "./limits.ts";
import { formatPoint } from "./states.ts";
import { type Argument, ID, optional, required, TEXT, type Type, UNSIGNED } from "./types.ts";

/** RFC 8620 §5.2: a positive number. */
const MAX_CHANGES: Type<number> = {
  name: "UnsignedInt, above 0",
  read(value) {
    const count = UNSIGNED.read(value);
    return count === 0 ? undefined : count;
  },
};

/** The arguments of a standard /changes: RFC 8620 §5.2. */
export const CHANGES_ARGUMENTS: {
  readonly accountId: Argument<string>;
  readonly sinceState: Argument<string>;
  readonly maxChanges: Argument<number | undefined>;
} = {
  accountId: required(ID),
  sinceState: required(TEXT),
  maxChanges: optional(MAX_CHANGES),
};

export function maxOf({ maxChanges }: { readonly maxChanges: number | undefined }): number {
  return Math.min(maxChanges ?? CHANGES_MAX, CHANGES_MAX);
}

/** The answer of a /changes. `write` makes ids of those that the engine gives. Throws MethodError `cannotCalculateChanges` where
 * the client's state lies too far back. */
export function changesAnswer(
  { accountId, sinceState }: { readonly accountId: string; readonly sinceState: string },
  state: ReadState,
  changes: Changes | undefined,
  write: (id: string) => string,
): Readonly<Record<string, unknown>> {
  if (!changes) throw new MethodError("cannotCalculateChanges");
  const { created, updated, destroyed, hasMore, next } = changes;
  return {
    accountId,
    oldState: sinceState,
    newState: formatPoint(state, next),
    hasMoreChanges: hasMore,
    created: created.map(write),
    updated: updated.map(write),
    destroyed: destroyed.map(write),
  };
}
