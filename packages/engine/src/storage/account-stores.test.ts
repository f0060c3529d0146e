import { describe, expect, test } from "vitest";
import { AccountStores } from "./account-stores.ts";
import { objectStoreContract } from "./contract.ts";
import { MemoryPlace } from "./memory.ts";
import { StoreError } from "./object-store.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Each account `n` of `accounts` has a place of its own; all others share one. */
function setUp(accounts: readonly string[]) {
  const common = new MemoryPlace();
  const own = new Map(accounts.map((account) => [account, new MemoryPlace()]));
  const opened: string[] = [];
  let open = 0;
  const make = () => {
    const stores = new AccountStores<string>({
      common: common.open(),
      async open(account) {
        opened.push(account);
        open++;
        const store = own.get(account)!.open();
        const dispose = store.dispose.bind(store);
        return Object.assign(store, {
          async dispose() {
            open--;
            await dispose();
          },
        });
      },
    });
    for (const account of accounts) stores.assign(account, account);
    return stores;
  };
  return { common, own, opened, make, openCount: () => open };
}

objectStoreContract("stores by account", async () => {
  const { make } = setUp(["a"]);
  const [store, other] = [make(), make()];
  return {
    store,
    other,
    async dispose() {
      await Promise.all([store.dispose(), other.dispose()]);
    },
  };
});

describe("accounts with a store of their own", () => {
  test("have all they own there, and the rest have theirs in common", async () => {
    const { common, own, make } = setUp(["a", "b"]);
    const store = make();
    for (const account of ["a", "b", "c"]) {
      await store.put(`${account}/note/1`, bytes("x"));
      await store.putIfAbsent(`${account}/log/1`, bytes("x"));
    }
    expect([...own.get("a")!.objects.keys()].sort()).toEqual(["a/log/1", "a/note/1"]);
    expect([...own.get("b")!.objects.keys()].sort()).toEqual(["b/log/1", "b/note/1"]);
    expect([...common.objects.keys()].sort()).toEqual(["c/log/1", "c/note/1"]);
    // What a place holds of another's is nobody's.
    common.write("a/note/2", bytes("stray"));
    own.get("b")!.write("a/note/3", bytes("stray"));
    const names = async (prefix: string, after = "", limit = 100) =>
      (await store.list(prefix, { after, limit })).objects.map(({ name }) => name);
    expect(await names("")).toEqual(["a/log/1", "a/note/1", "b/log/1", "b/note/1", "c/log/1", "c/note/1"]);
    expect(await names("", "a/note/1", 2)).toEqual(["b/log/1", "b/note/1"]);
    expect(await names("a/note/")).toEqual(["a/note/1"]);
    await store.delete(["a/note/1", "b/note/1", "c/note/1"]);
    expect(await names("")).toEqual(["a/log/1", "b/log/1", "c/log/1"]);
    // What was said first stays.
    store.assign("a", "b");
    expect((await store.get("a/log/1")).found).toBe(true);
  });

  test("of many accounts' stores those that nobody uses are closed, and opened again when they are needed", async () => {
    const accounts = Array.from({ length: 400 }, (_, n) => `account${n}`);
    const { opened, openCount, make } = setUp(accounts);
    const store = make();
    const end = store.watch("account0/note/", () => undefined);
    for (const account of accounts) await store.put(`${account}/note/1`, bytes("x"));
    expect(openCount()).toBeLessThanOrEqual(257);
    for (const account of accounts) expect((await store.get(`${account}/note/1`)).found).toBe(true);
    // Watched, it was in use all the time.
    expect(opened.filter((account) => account === "account0")).toHaveLength(1);
    expect(opened.length).toBeGreaterThan(accounts.length);
    end();
    await store.dispose();
    expect(openCount()).toBe(0);
  });

  test("one that can't be opened is told to who asks, and opened anew the next time", async () => {
    const place = new MemoryPlace();
    let isAway = true;
    const store = new AccountStores({
      common: new MemoryPlace().open(),
      async open() {
        if (isAway) throw new StoreError("unavailable", "away");
        return place.open();
      },
    });
    store.assign("a", "");
    await expect(store.put("a/note/1", bytes("x"))).rejects.toMatchObject({ code: "unavailable" });
    expect((await store.get("b/note/1")).found).toBe(false);
    isAway = false;
    await store.put("a/note/1", bytes("x"));
    expect(place.objects.size).toBe(1);
    await store.dispose();
    await expect(store.get("a/note/1")).rejects.toMatchObject({ code: "closed" });
  });
});
