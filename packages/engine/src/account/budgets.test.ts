import { beforeAll, describe, expect, test } from "vitest";
import { openView } from "../mail/mailbox-view.ts";
import { MemoryPlace, type Operation } from "../storage/memory.ts";
import {
  bytes,
  clock,
  dropbox,
  MemoryUsers,
  mailText,
  makeAccount,
  open,
  platform,
  signer,
  stream,
  unlessConflict,
} from "../test-kit.ts";
import type { Account } from "./account.ts";
import { Accounts } from "./accounts.ts";
import { signUp } from "./sign-up.ts";
import type { User } from "./users.ts";

/**
 * Requests an operation: STORAGE rules §12. A place whose requests take one tick of a clock that moves when nothing else
 * does, so that ticks are round trips in sequence.
 */
class CountedPlace extends MemoryPlace {
  #waiting: (() => void)[] = [];
  ticks = 0;

  override open() {
    const store = super.open();
    const tick = (): Promise<void> =>
      new Promise((resolve) => {
        this.#waiting.push(resolve);
        if (this.#waiting.length === 1) setTimeout(() => this.#advance(), 2);
      });
    for (const name of ["put", "putIfAbsent", "get", "list", "delete"] as const) {
      const request = store[name].bind(store) as (...args: unknown[]) => Promise<unknown>;
      Object.assign(store, {
        [name]: async (...args: unknown[]) => {
          await tick();
          return request(...args);
        },
      });
    }
    return store;
  }

  #advance(): void {
    this.ticks++;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }

  async count(run: () => Promise<unknown>): Promise<{ trips: number } & Partial<Record<Operation, number>>> {
    const before = { ...this.counts };
    const { ticks } = this;
    await run();
    const requests = Object.entries(this.counts)
      .map(([kind, count]) => [kind, count - before[kind as Operation]] as const)
      .filter(([, count]) => count > 0);
    return { trips: this.ticks - ticks, ...Object.fromEntries(requests) };
  }
}

describe("requests an operation, on a store that is asked over a network", () => {
  const place = new CountedPlace(() => clock.now++);
  let account: Account;
  let user: User;
  beforeAll(async () => {
    const made = await makeAccount(place);
    user = made.user;
    account = await open(place, made.ring());
    const many = await Promise.all(
      Array.from({ length: 1000 }, (_, n) => account.prepare(stream(mailText(n, 1)), { mailbox: "INBOX", flags: [] })),
    );
    await Promise.all(many.map((prepared) => account.append("INBOX", prepared)));
    await account.upkeep.checkpoint();
    await account.upkeep.checkpoint().catch(unlessConflict);
    await account.refresh();
  });

  test("STORE on a thousand messages, COPY, MOVE and EXPUNGE of a hundred are one write each", async () => {
    const view = openView(account.mail, "INBOX", { readOnly: false });
    const all = Array.from({ length: 1000 }, (_, at) => at);
    const flagged = { mode: "add", flags: ["\\Flagged"] } as const;
    expect(await place.count(() => view.setFlags(all, flagged))).toEqual({ trips: 1, putIfAbsent: 1 });
    const some = all.slice(0, 100);
    expect(await place.count(() => view.transfer("copy", some, "Archive"))).toEqual({ trips: 1, putIfAbsent: 1 });
    expect(await place.count(() => view.transfer("move", some, "Trash"))).toEqual({ trips: 1, putIfAbsent: 1 });
    view.sync({ expunges: true });
    await view.setFlags(some, { mode: "add", flags: ["\\Deleted"] });
    expect(await place.count(() => view.expunge())).toEqual({ trips: 1, putIfAbsent: 1 });
  });

  test("APPEND is one write up to 16 KB, else two; LMTP the same a recipient", async () => {
    const append = async (size: number): Promise<void> => {
      await account.append("Sent", await account.prepare(stream(mailText(1, size)), { mailbox: "Sent", flags: [] }));
    };
    // Looks up its thread in a page of the reference index, once.
    await append(1);
    expect(await place.count(() => append(10))).toEqual({ trips: 1, putIfAbsent: 1 });
    expect(await place.count(() => append(10_000))).toEqual({ trips: 2, put: 1, putIfAbsent: 1 });
    const elsewhere = new CountedPlace(() => clock.now++);
    const box = dropbox(elsewhere, user);
    const deliver = (size: number) => box.deliver(bytes("Return-Path: <>\r\n"), stream(mailText(1, size)));
    expect(await elsewhere.count(() => deliver(10))).toEqual({ trips: 1, put: 1 });
    expect(await elsewhere.count(() => deliver(10_000))).toEqual({ trips: 2, put: 2 });
  });

  test("FETCH of anything but body text asks nothing when warm; one wave of pages when cold", async () => {
    const view = openView(account.mail, "INBOX", { readOnly: true });
    const messages = view.messages(Array.from({ length: view.length }, (_, at) => at));
    const lists = () => Promise.all([account.contents.readSummaries(messages), account.contents.readHeaders(messages)]);
    expect((await place.count(lists)).trips).toBeLessThanOrEqual(1);
    expect(await place.count(lists)).toEqual({ trips: 0 });
  });

  test("an idle user costs two small reads each look", async () => {
    expect(await place.count(() => account.refresh())).toEqual({ trips: 1, get: 1, list: 1 });
  });

  test("one look serves all commands that had come before it, and none that came later", async () => {
    clock.now++;
    const arrived = clock.now;
    clock.now++;
    expect(await place.count(() => account.refresh(arrived))).toEqual({ trips: 1, get: 1, list: 1 });
    expect(await place.count(() => account.refresh(arrived))).toEqual({ trips: 0 });
    clock.now++;
    expect(await place.count(() => account.refresh(clock.now))).toEqual({ trips: 1, get: 1, list: 1 });
  });
});

test("signing in to an account that is not open takes three round trips, and its first SELECT one more at most", async () => {
  const place = new CountedPlace(() => clock.now++);
  const { store, ...tools } = { store: place.open(), users: new MemoryUsers(), platform, pepper: undefined };
  await signUp({ store, ...tools }, "a@x", "correct horse battery");
  const make = () => new Accounts({ store: place.open(), ...tools, trustedHosts: [signer.publicKey] });
  const first = make();
  const session = await first.login("a@x", "correct horse battery", "::1");
  for (let n = 0; n < 40; n++)
    await session.append("INBOX", await session.prepare(stream(mailText(n)), { mailbox: "INBOX", flags: [] }));
  session.close();
  await first.dispose();
  const second = make();
  let opened = session;
  const login = await place.count(async () => {
    opened = await second.login("a@x", "correct horse battery", "::1");
  });
  expect(login.trips).toBeLessThanOrEqual(4);
  expect((await place.count(() => opened.refresh())).trips).toBeLessThanOrEqual(1);
  expect(opened.getMailbox("INBOX").messages.length).toBe(40);
  opened.close();
  await second.dispose();
});
