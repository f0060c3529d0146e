/** Milliseconds of one round of the event loop that long work may take, whoever does it. */
export const TURN_MS = 8;

/**
 * Long work in steps: all connections share one thread, and one round of its event loop has {@link TURN_MS} for whoever
 * works in it, however many they are. Work that comes to a step's end when that is over waits, and of all that wait one goes
 * on each round, in the order in which they came.
 */
const waiting: (() => void)[] = [];
let roundBegan: number | undefined;

/** True if it is time for others: {@link takeTurn} would wait. For work whose steps are shorter than a promise. */
export function isTurnOver(): boolean {
  if (roundBegan === undefined) beginRound();
  return performance.now() - roundBegan! >= TURN_MS;
}

/** Between two steps: resolves at once, or when the others have had their turn. */
export async function takeTurn(): Promise<void> {
  if (isTurnOver()) await new Promise<void>((resolve) => waiting.push(resolve));
}

/** All long work of the process takes its turns together: {@link isTurnOver} and {@link takeTurn}, for work that is given its
 * pace. */
export const PACE: { readonly isOver: () => boolean; readonly take: () => Promise<void> } = {
  isOver: isTurnOver,
  take: takeTurn,
};

function beginRound(): void {
  roundBegan = performance.now();
  setImmediate(() => {
    roundBegan = undefined;
    const goOn = waiting.shift();
    if (!goOn) return;
    beginRound();
    goOn();
  });
}
