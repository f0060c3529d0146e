import fc from "fast-check";
import { expect, test } from "vitest";
import type { PageStore } from "../../bay/snapshots.ts";
import { findEntry, findPage, idKey, keyBytes, ReferenceIndex } from "./reference-index.ts";

function pageStore(): PageStore & { readonly pages: Map<string, Uint8Array> } {
  const pages = new Map<string, Uint8Array>();
  return {
    pages,
    async write(_kind, content) {
      const name = String(pages.size);
      pages.set(name, content.slice());
      return name;
    },
    read: async (_kind, name) => pages.get(name)!,
    packName: () => "",
    putPack: async () => undefined,
  };
}

async function find(index: ReferenceIndex, store: PageStore, key: string): Promise<number | undefined> {
  for (const run of index.runs) {
    const page = findPage(run, keyBytes(key));
    const row = page && findEntry(await store.read("references", page.name), keyBytes(key));
    if (row !== undefined) return row;
  }
  return index.findRecent(key);
}

test("each id leads to its first email, through any checkpoints between", async () => {
  // Few distinct ids, so that they come again.
  const id = fc.integer({ min: 0, max: 300 }).map((number) => {
    const bytes = new Uint8Array(8).fill(number % 7);
    new DataView(bytes.buffer).setUint32(4, Math.imul(number, 0x9e3779b9));
    return bytes;
  });
  const emails = fc.array(fc.oneof(fc.array(id, { maxLength: 4 }), fc.constant("checkpoint" as const)), {
    maxLength: 200,
  });
  await fc.assert(
    fc.asyncProperty(emails, async (steps) => {
      const store = pageStore();
      const index = new ReferenceIndex();
      const model = new Map<string, number>();
      let rows = 0;
      for (const step of steps) {
        if (step === "checkpoint") index.adopt(await index.capture()(store), rows);
        else {
          const ids = new Uint8Array(step.length * 8);
          for (const [at, bytes] of step.entries()) ids.set(bytes, at * 8);
          index.add(ids, rows);
          for (let at = 0; at < ids.length; at += 8) if (!model.has(idKey(ids, at))) model.set(idKey(ids, at), rows);
          rows++;
        }
      }
      for (const [key, row] of model) expect(await find(index, store, key)).toBe(row);
      expect(await find(index, store, "\u00ffunknown")).toBeUndefined();
      // Each run is at least twice as long as the next.
      for (const [at, run] of index.runs.entries())
        if (at > 0) expect(index.runs[at - 1]!.entries).toBeGreaterThanOrEqual(2 * run.entries);
    }),
  );
});
