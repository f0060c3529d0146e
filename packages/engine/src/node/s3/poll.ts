import type { Listed, Ring, WatchOptions } from "../../storage/object-store.ts";
import { NAMES_AT_ONCE, type S3Limits } from "./settings.ts";

/** Looks between two that ask for everything anew: a name may come after one that sorts behind it. */
const LOOKS_BETWEEN_WHOLE = 20;

type List = (after: string, limit: number, signal: AbortSignal) => Promise<Listed>;

/**
 * A watch on a store that tells nothing by itself: one small list at a time of what sorts after the newest name seen.
 * Rings without a name at the first look, which finds where the names end if that is not known, and now and then, for
 * late names.
 */
export function poll(
  list: List,
  ring: Ring,
  limits: S3Limits,
  { isUrgent = () => true, after }: WatchOptions = {},
): () => void {
  const ended = new AbortController();
  const { signal } = ended;
  let last = after ?? "";
  let looks = after === undefined ? 0 : 1;

  async function look(): Promise<void> {
    const isFirst = looks === 0;
    for (let limit = isFirst ? NAMES_AT_ONCE : 1; ; limit = NAMES_AT_ONCE) {
      const { objects } = await list(last, limit, signal);
      if (signal.aborted || objects.length === 0) break;
      last = objects.at(-1)!.name;
      if (!isFirst) for (const { name } of objects) ring(name);
      // A list that was not full has shown all.
      if (objects.length < limit) break;
    }
    if (!signal.aborted && looks % LOOKS_BETWEEN_WHOLE === 0) ring();
    looks++;
  }

  async function pause(): Promise<void> {
    const begun = performance.now();
    while (!signal.aborted && performance.now() - begun < (isUrgent() ? limits.pollUrgentMs : limits.pollMs))
      await new Promise((resolve) => setTimeout(resolve, limits.pollUrgentMs).unref());
  }

  async function run(): Promise<void> {
    if (after !== undefined) await pause();
    while (!signal.aborted) {
      // A hint only: who needs to know asks by themselves and sees the error. The next look comes in any case.
      await look().catch(() => undefined);
      await pause();
    }
  }

  void run();
  return () => ended.abort();
}
