/** Long work in steps that others come between: the app that asks hands in how its own work takes turns. */
export interface Pace {
  /** True if it is time for others: `take` would wait. */
  readonly isOver: () => boolean;
  /** Between two steps: resolves at once, or when the others have had their turn. */
  readonly take: () => Promise<void>;
}
