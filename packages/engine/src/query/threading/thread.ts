import type { Condition } from "../condition.ts";
import { type Searched, type SearchTools, search } from "../filter.ts";
import { eachHeader, type HeaderTools } from "../kept-headers.ts";
import { type ThreadAlgorithm, type Threads, threadsOf } from "./threads.ts";

/** Threads of what of the list fulfils the condition: RFC 5256 §3 and §4. Headers are read of those messages alone that are not
 * known from before. Rejects with the signal's reason when it is aborted. Errors: `unavailable`, `corrupt`, `invalid`. */
export async function threadFound(
  list: Searched,
  algorithm: ThreadAlgorithm,
  condition: Condition,
  tools: SearchTools & HeaderTools,
): Promise<Threads> {
  const places = await search(list, condition, tools);
  const messages = places.map((place) => list.message(place));
  const { ids, keys } = tools.kept.threadIds(messages);
  const isMissing = (key: number): boolean => !ids.has(key);
  if (keys.some(isMissing)) {
    const end = await tools.scans.begin(tools.signal);
    try {
      const missing = [...messages.keys()].filter((at) => isMissing(keys[at]!));
      const read = missing.map((at) => messages[at]!);
      await eachHeader(read, tools, (header, nth) => {
        const key = keys[missing[nth]!]!;
        if (isMissing(key)) ids.add(key, header);
      });
    } finally {
      end();
    }
  }
  const sent = Float64Array.from(messages, ({ state, row }) => state.sentOf(row).timeMs);
  const received = Float64Array.from(messages, ({ state, row }) => state.receivedOf(row).timeMs);
  return threadsOf({ places, keys, ids, sent, received }, algorithm, tools.pace);
}
