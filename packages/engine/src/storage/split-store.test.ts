import { describe, expect, test } from "vitest";
import { objectStoreContract } from "./contract.ts";
import { MemoryPlace } from "./memory.ts";
import { SplitStore } from "./split-store.ts";

objectStoreContract("a store of two", async () => {
  let now = 1;
  const [log, rest] = [new MemoryPlace(() => now++), new MemoryPlace(() => now++)];
  const [store, other] = [new SplitStore(log.open(), rest.open()), new SplitStore(log.open(), rest.open())];
  return {
    store,
    other,
    async dispose() {
      await Promise.all([store.dispose(), other.dispose()]);
    },
  };
});

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

describe("the log apart from the rest", () => {
  test("what needs creates, or is read by who only delivers, lies in the log's store", async () => {
    const [log, rest] = [new MemoryPlace(), new MemoryPlace()];
    const store = new SplitStore(log.open(), rest.open());
    for (const name of ["a/log/00000000000001", "a/slot/password-000001", "a/checkpoint/00000000000001"])
      await store.putIfAbsent(name, bytes("x"));
    for (const name of ["a/public/usage", "a/note/1", "a/body/1", "a/pack/1", "a/page/1"])
      await store.put(name, bytes("x"));
    expect([...log.objects.keys()].sort()).toEqual([
      "a/checkpoint/00000000000001",
      "a/log/00000000000001",
      "a/public/usage",
      "a/slot/password-000001",
    ]);
    expect([...rest.objects.keys()].sort()).toEqual(["a/body/1", "a/note/1", "a/pack/1", "a/page/1"]);
    expect((await store.list("a/", { after: "a/body/1", limit: 3 })).objects.map(({ name }) => name)).toEqual([
      "a/checkpoint/00000000000001",
      "a/log/00000000000001",
      "a/note/1",
    ]);
    await store.delete(["a/log/00000000000001", "a/note/1"]);
    expect([log.objects.size, rest.objects.size]).toEqual([3, 3]);
  });

  test("what each holds of the other's to hold is passed over, and never ends a list", async () => {
    const [log, rest] = [new MemoryPlace(), new MemoryPlace()];
    const store = new SplitStore(log.open(), rest.open());
    for (let n = 0; n < 10; n++) {
      log.write(`a/body/${n}`, bytes("stray"));
      rest.write(`a/log/0000000000000${n}`, bytes("stray"));
      log.write(`a/slot/${n}`, bytes("x"));
      rest.write(`a/page/${n}`, bytes("x"));
    }
    const found: string[] = [];
    for (let after = ""; ; ) {
      const { objects } = await store.list("a/", { after, limit: 3 });
      found.push(...objects.map(({ name }) => name));
      if (objects.length < 3) break;
      after = found.at(-1)!;
    }
    expect(found).toEqual(["page", "slot"].flatMap((kind) => Array.from({ length: 10 }, (_, n) => `a/${kind}/${n}`)));
  });

  test("the rest's store is never asked to create", async () => {
    const rest = new MemoryPlace();
    const store = new SplitStore(new MemoryPlace().open(), rest.open());
    await expect(store.putIfAbsent("a/note/1", bytes("x"))).rejects.toMatchObject({ code: "invalid" });
    expect(rest.counts.putIfAbsent).toBe(0);
  });

  test("an age never comes out too large: dates of a list over both are the earlier store's", async () => {
    const [log, rest] = [new MemoryPlace(() => 5_000), new MemoryPlace(() => 9_000)];
    const store = new SplitStore(log.open(), rest.open());
    await store.put("a/log/1", bytes("x"));
    await store.put("a/note/1", bytes("x"));
    expect((await store.list("a/")).now).toBe(5_000);
    expect((await store.list("a/note/")).now).toBe(9_000);
  });

  test("what lies in the wrong store from before is not shown", async () => {
    const [log, rest] = [new MemoryPlace(), new MemoryPlace()];
    await rest.open().put("a/log/00000000000001", bytes("old"));
    const store = new SplitStore(log.open(), rest.open());
    expect((await store.list("")).objects).toEqual([]);
    expect((await store.get("a/log/00000000000001")).found).toBe(false);
  });
});
