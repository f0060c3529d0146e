import type { Op, StateClaim } from "../ops/op.ts";
import type { Outcome, Refusal } from "../ops/outcome.ts";
import type { ReadState } from "../state/read-state.ts";

/** The answer of `judge` on an op: docs/rules.md §2. */
export interface Verdict {
  /** The op narrowed to what passed; absent if void. */
  readonly op?: Op;
  readonly outcome?: Partial<Outcome>;
}

export const refuse = (refusal: Refusal): Verdict => ({ outcome: { refusal } });

/** True if nothing of the claim's type changed since the claim's modseq. */
export function holdsClaim(state: ReadState, claim: StateClaim | undefined): boolean {
  if (!claim) return true;
  const { changed, records } = state;
  const now = claim.type in changed ? changed[claim.type as keyof typeof changed] : records.changed(claim.type);
  return claim.epoch === state.epoch && now <= claim.modSeq;
}
