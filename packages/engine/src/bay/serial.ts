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

function nothing(): void {}
