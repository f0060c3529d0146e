/** Does one piece of work after the other, in the order in which they are handed over. */
export function serial(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<void> = Promise.resolve();
  return (work) => {
    const result = last.then(work);
    // The caller that handed it over is told how it ended; the next piece only waits for it, and nothing of it is kept.
    last = result.then(nothing, nothing);
    return result;
  };
}

/** Does so many pieces of work at once, and the others in the order in which they are handed over. */
export function limited(atOnce: number): <T>(work: () => Promise<T>) => Promise<T> {
  let free = atOnce;
  const waiting: (() => void)[] = [];
  return async (work) => {
    if (free > 0) free--;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else free++;
    }
  };
}

function nothing(): void {}
