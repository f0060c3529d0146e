import type { Position } from "../../bay/position.ts";
import type { Author } from "../apply/block.ts";
import type { Op } from "./op.ts";

/** An op at its place in the log, as `apply` sees it. */
export interface PlacedOp extends Author {
  readonly op: Op;
  /** The log entry it came in and its place there. In linear mode its author had applied all lower ops. */
  readonly entry: Position;
  readonly place: number;
  /** Judged by its author already: merge mode. */
  readonly judged: boolean;
}
