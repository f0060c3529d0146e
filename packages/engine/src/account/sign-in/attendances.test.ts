import { expect, test, vi } from "vitest";
import { entryName } from "../../bay/entry.ts";
import { position } from "../../bay/position.ts";
import { MemoryPlace } from "../../storage/memory.ts";
import type { Ring, WatchOptions } from "../../storage/object-store.ts";
import { platform } from "../../testing/account-kit.ts";
import { settle } from "../../testing/hand-time.ts";
import type { Account } from "../account.ts";
import { Attendances, type News } from "./attendances.ts";

const PREFIX = "ada/";

/** A store that tells who watches what, and an account that counts who is in it. */
function setUp() {
  const place = new MemoryPlace();
  place.write(`${PREFIX}slot/app-1`, new Uint8Array(9));
  const store = place.open();
  const watched = new Map<string, WatchOptions | undefined>();
  const watch = store.watch.bind(store);
  store.watch = (prefix: string, ring: Ring, options?: WatchOptions) => {
    const stop = watch(prefix, ring, options);
    watched.set(prefix, options);
    return () => {
      watched.delete(prefix);
      stop();
    };
  };
  let sessions = 0;
  const listeners = new Set<() => void>();
  const account = {
    position: 7,
    ended: undefined,
    mail: { state: { slots: { names: ["slot/app-1"] } } },
    enter: () => {
      sessions++;
      return () => sessions--;
    },
    onChange: (listener: () => void) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  const attendances = new Attendances({ store, platform });
  const told: News[] = [];
  const ended = vi.fn();
  const leave = attendances.attend(
    PREFIX,
    { slot: "slot/app-1", terms: undefined },
    { changed: (news) => told.push(news), ended },
  );
  const change = (): void => {
    for (const listener of listeners) listener();
  };
  const open = (): void => attendances.opened(PREFIX, account as unknown as Account);
  return { place, attendances, account, watched, told, ended, leave, change, open, sessionsOf: () => sessions };
}

test("of an account that is locked one hears of notes and entries by their names in it, and of nothing else", async () => {
  const { place, told, watched, leave } = setUp();
  const note = "note/0190000000000000000000000000";
  place.write(PREFIX + note, new Uint8Array(1));
  place.write(PREFIX + entryName(position(3)), new Uint8Array(1));
  for (const name of ["page/1", "checkpoint/00", "body/1", "pack/2"]) place.write(PREFIX + name, new Uint8Array(1));
  place.write(`bob/${note}`, new Uint8Array(1));
  await settle();
  expect(told).toEqual([{ name: note }, { name: entryName(position(3)) }]);
  // No network store is asked more often for it.
  expect([...watched.values()].map((options) => options?.isUrgent?.())).toEqual([false, false]);
  leave();
  expect(watched.size).toBe(0);
});

test("while it is open its log alone tells, at once, and what is delivered is taken in as for one who waits", async () => {
  const { place, account, watched, told, change, open, sessionsOf, attendances } = setUp();
  open();
  expect([told.length, watched.size, sessionsOf()]).toEqual([1, 0, 1]);
  expect(told[0]).toEqual({ state: account.mail.state });
  open();
  expect([told.length, sessionsOf()]).toEqual([1, 1]);
  place.write(`${PREFIX}note/1`, new Uint8Array(1));
  await settle();
  expect(told).toHaveLength(1);
  change();
  expect(told).toHaveLength(2);
  attendances.closed(PREFIX);
  expect(sessionsOf()).toBe(0);
  change();
  expect(told).toHaveLength(2);
});

test("once it is locked its log is watched from where it was: nothing old is told", () => {
  const { watched, attendances, open } = setUp();
  open();
  attendances.closed(PREFIX);
  expect(watched.get(`${PREFIX}log/`)?.after).toBe(PREFIX + entryName(position(7)));
  expect(watched.has(`${PREFIX}note/`)).toBe(true);
});

test("a way in that went while the account was open, as nobody knew, is looked for when it is locked", async () => {
  const { place, attendances, open, ended, watched } = setUp();
  open();
  place.objects.delete(`${PREFIX}slot/app-1`);
  attendances.closed(PREFIX);
  await settle();
  expect(ended).toHaveBeenCalledTimes(1);
  expect(watched.size).toBe(0);
});
