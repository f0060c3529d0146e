/**
 * Reads one thing after the other, up to `ahead` of them before their turn comes, so that the store is not waited for
 * while there is something to work on. Each call of what is returned gives the next item's value.
 */
export function readAhead<T, V>(items: readonly T[], ahead: number, read: (item: T) => Promise<V>): () => Promise<V> {
  const underWay: Promise<V>[] = [];
  let next = 0;
  const begin = (): void => {
    if (next >= items.length) return;
    const value = read(items[next++]!);
    // One before it may fail first: then nobody waits for this one.
    value.catch(() => undefined);
    underWay.push(value);
  };
  return () => {
    while (underWay.length <= ahead && next < items.length) begin();
    const value = underWay.shift();
    if (!value) throw new RangeError("read beyond the last item");
    return value;
  };
}
