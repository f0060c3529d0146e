import type { Position } from "../../bay/position.ts";
import type { Author } from "../apply/block.ts";
import type { Op } from "./op.ts";

/** An op at its place in the log, as `apply` sees it. */
export interface PlacedOp extends Author {
  readonly op: Op;
  /** The log entry it came in and its place there. What its author had applied is, in linear mode, all that is lower. */
  readonly entry: Position;
  readonly place: number;
  /** Judged by its author already: merge mode. */
  readonly judged: boolean;
}
