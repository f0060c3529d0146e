import type { Listed, ListOptions, ObjectStore } from "./object-store.ts";

/** A list of a store's objects of which only some count, as if the others were not there: `limit` is of those that do. */
export async function listOurs(
  store: ObjectStore,
  prefix: string,
  options: ListOptions,
  isOurs: (name: string) => boolean,
): Promise<Listed> {
  const { limit = Number.POSITIVE_INFINITY } = options;
  const ours: Listed["objects"][number][] = [];
  for (let { after = "" } = options; ; ) {
    const { objects, now } = await store.list(prefix, { ...options, after });
    ours.push(...objects.filter(({ name }) => isOurs(name)));
    const isEnd = objects.length < limit;
    if (isEnd || ours.length >= limit) return { objects: ours.slice(0, limit), now };
    after = objects.at(-1)!.name;
  }
}

/** Lists of several stores as one, in order. The earliest `now` stands for all: no age comes out too large. */
export function mergeLists(lists: readonly Listed[], limit: number | undefined): Listed {
  const objects = lists.flatMap((list) => list.objects).sort((a, b) => (a.name < b.name ? -1 : 1));
  return { objects: objects.slice(0, limit), now: Math.min(...lists.map(({ now }) => now)) };
}
