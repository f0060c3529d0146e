import { type ObjectStore, StoreError } from "@restante/engine";
import type { Metrics } from "@restante/host";

/** The same store, of which each request is counted with the time that it took, and each failure by its code. */
export function meteredStore(store: ObjectStore, kind: string, metrics: Metrics | undefined): ObjectStore {
  if (!metrics) return store;
  const timed =
    <A extends readonly unknown[], R>(operation: string, ask: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      const startedAt = performance.now();
      const took = (): number => performance.now() - startedAt;
      try {
        const answer = await ask(...args);
        metrics.store(kind, operation, took());
        return answer;
      } catch (error) {
        metrics.store(kind, operation, took(), error instanceof StoreError ? error.code : "failed");
        throw error;
      }
    };
  return {
    put: timed("put", store.put.bind(store)),
    putIfAbsent: timed("create", store.putIfAbsent.bind(store)),
    get: timed("get", store.get.bind(store)),
    list: timed("list", store.list.bind(store)),
    delete: timed("delete", store.delete.bind(store)),
    watch: store.watch.bind(store),
    ...(store.freshen ? { freshen: store.freshen.bind(store) } : {}),
    dispose: store.dispose.bind(store),
  };
}
