import { describe, expect, test, vi } from "vitest";
import { AccountStores, UNUSED_MS } from "./account-stores.ts";
import { objectStoreContract } from "./contract.ts";
import { MemoryPlace } from "./memory.ts";
import { StoreError } from "./object-store.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Settings are a place and, behind a space, its key. */
const compare = (one: string, other: string) => {
  if (one === other) return "same" as const;
  return one.split(" ")[0] === other.split(" ")[0] ? ("other-keys" as const) : ("elsewhere" as const);
};

/** Each account `n` of `accounts` has a place of its own; all others share one. */
function setUp(accounts: readonly string[]) {
  const common = new MemoryPlace();
  const own = new Map(accounts.map((account) => [account, new MemoryPlace()]));
  const opened: string[] = [];
  const stayed: string[] = [];
  const time = { now: 0 };
  let open = 0;
  const make = () => {
    const stores = new AccountStores<string>({
      common: common.open(),
      compare,
      now: () => time.now,
      onStay: (account) => stayed.push(account),
      async open(settings) {
        opened.push(settings);
        open++;
        const store = own.get(settings.split(" ")[0]!)!.open();
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
  return { common, own, opened, stayed, time, make, openCount: () => open };
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
    // Objects of an account in a place that is not its own are not seen.
    common.write("a/note/2", bytes("stray"));
    own.get("b")!.write("a/note/3", bytes("stray"));
    const names = async (prefix: string, after = "", limit = 100) =>
      (await store.list(prefix, { after, limit })).objects.map(({ name }) => name);
    expect(await names("")).toEqual(["a/log/1", "a/note/1", "b/log/1", "b/note/1", "c/log/1", "c/note/1"]);
    expect(await names("", "a/note/1", 2)).toEqual(["b/log/1", "b/note/1"]);
    expect(await names("a/note/")).toEqual(["a/note/1"]);
    await store.delete(["a/note/1", "b/note/1", "c/note/1"]);
    expect(await names("")).toEqual(["a/log/1", "b/log/1", "c/log/1"]);
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
      compare,
      now: () => 0,
      onStay: () => undefined,
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

  test("other keys to the same place count at once, for watches too; the store with the old ones is closed", async () => {
    const { own, opened, openCount, make } = setUp(["a"]);
    const store = make();
    const rung: (string | undefined)[] = [];
    const end = store.watch("a/note/", (name) => rung.push(name));
    await store.put("a/note/1", bytes("x"));
    for (let lookup = 0; lookup < 2; lookup++) store.assign("a", "a second-key");
    await store.put("a/note/2", bytes("x"));
    await vi.waitFor(() => expect(openCount()).toBe(1));
    await store.put("a/note/3", bytes("x"));
    expect(opened).toEqual(["a", "a second-key"]);
    expect(own.get("a")!.objects.size).toBe(3);
    await vi.waitFor(() => expect(rung).toContain("a/note/3"));
    end();
    await store.dispose();
    expect(openCount()).toBe(0);
  });

  test.each([
    { before: "a store of its own", settings: "a" },
    { before: "the common store", settings: undefined },
  ])("one in $before that is in use goes to no other place before it was left alone for long", async ({ settings }) => {
    const { common, own, stayed, time, make } = setUp(["a", "b"]);
    const store = make();
    const account = settings ?? "c";
    const place = settings ? own.get(settings)! : common;
    const other = own.get("b")!;
    const end = store.watch(`${account}/log/`, () => undefined);
    await store.put(`${account}/note/1`, bytes("x"));
    const putLater = async (ms: number, name: string): Promise<void> => {
      time.now += ms;
      for (let lookup = 0; lookup < 2; lookup++) store.assign(account, "b");
      await store.put(`${account}/note/${name}`, bytes("x"));
    };
    // Its owner is signed in, and watches.
    await putLater(UNUSED_MS, "2");
    end();
    await putLater(0, "3");
    await putLater(UNUSED_MS - 1, "4");
    expect([place.objects.size, other.objects.size]).toEqual([4, 0]);
    expect(stayed).toEqual([account]);
    await putLater(UNUSED_MS, "5");
    expect([place.objects.size, other.objects.size]).toEqual([4, 1]);
    await store.dispose();
  });

  test("what was said last counts for one that was not used yet", async () => {
    const { own, stayed, make } = setUp(["a", "b"]);
    const store = make();
    store.assign("a", "b");
    await store.put("a/note/1", bytes("x"));
    expect(own.get("b")!.objects.size).toBe(1);
    expect(stayed).toEqual([]);
    await store.dispose();
  });
});
