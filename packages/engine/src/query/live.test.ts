import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { hexText } from "../bay/entry.ts";
import { position } from "../bay/position.ts";
import { ready } from "../crypto/index.ts";
import { runsOf } from "../mail/apply/target-rows.ts";
import { NO_MODSEQ } from "../mail/numbers.ts";
import { bareEmail } from "../testing/email-kit.ts";
import { extent } from "../testing/extent.ts";
import { rowsOf, step, World } from "../testing/world-kit.ts";
import type { Point } from "./changes.ts";
import type { Condition } from "./condition.ts";
import { CurrentLists } from "./current-lists.ts";
import { KeptHeaders } from "./kept-headers.ts";
import { type QueryChangesOptions, queryChanges } from "./live.ts";
import { type EmailQuery, queryEmails } from "./query-emails.ts";
import { Scans } from "./scans.ts";
import type { SortKey } from "./sort.ts";

await ready;

const unread = (): never => {
  throw new Error("these queries read nothing");
};
const contents = {
  readHeaders: unread,
  readHeadersOf: unread,
  readTexts: unread,
  readIds: unread,
  losePage: unread,
  threadFacts: unread,
  readSummaries: unread,
  readFullSummaries: unread,
  openBody: unread,
};

const never = (): Promise<void> => new Promise(() => undefined);
type Query = Omit<EmailQuery, "page">;

/** A world, and who asks of it. `during` happens between the steps of what is asked, once. */
class Asked extends World {
  readonly lists: CurrentLists = new CurrentLists(() => this.state);
  during: (() => unknown) | undefined;
  readonly #tools = {
    contents,
    scans: new Scans(),
    kept: new KeptHeaders(() => this.state, never),
    pace: {
      isOver: () => this.during !== undefined,
      take: async () => {
        const { during } = this;
        this.during = undefined;
        await during?.();
      },
    },
  };

  async ids(
    query: EmailQuery,
  ): Promise<{ readonly ids: readonly string[]; readonly at: Point; readonly total: number }> {
    const { ids, at, total } = await queryEmails(query, this.lists, this.#tools);
    return { ids: ids.map(hexText), at, total };
  }

  changes(query: Query, since: Point, options: QueryChangesOptions = {}) {
    return queryChanges(query, since, this.lists, this.#tools, options);
  }
}

/** A follower that holds the beginning of a result, up to `held` emails at first, as RFC 8620 §5.6 tells clients to. */
class Follower {
  ids: string[] = [];
  isWhole = false;
  #at: Point = { modSeq: NO_MODSEQ };
  readonly #query: Query;
  readonly #first: number;
  told = 0;

  constructor(query: Query, first: number) {
    this.#query = query;
    this.#first = first;
  }

  async begin(world: Asked): Promise<void> {
    const { ids, at, total } = await world.ids({ ...this.#query, page: { limit: this.#first } });
    [this.ids, this.#at, this.isWhole] = [[...ids], at, ids.length === total];
  }

  async follow(world: Asked, maxChanges: number): Promise<void> {
    const last = this.ids.at(-1);
    const upTo = this.isWhole || last === undefined ? undefined : Buffer.from(last, "hex");
    const changes = await world.changes(this.#query, this.#at, { maxChanges, upTo, withTotal: true });
    if (typeof changes === "string") return this.begin(world);
    this.told++;
    const { removed, added, total } = changes;
    expect(removed.length + added.length).toBeLessThanOrEqual(maxChanges);
    const gone = new Set(removed.map(hexText));
    expect(gone.size).toBe(removed.length);
    // Of what was not held nothing is known: it lies behind.
    this.ids = this.ids.filter((id) => !gone.has(id));
    for (const { id, index } of added) {
      if (index > this.ids.length) break;
      expect(this.ids).not.toContain(hexText(id));
      this.ids.splice(index, 0, hexText(id));
    }
    if (this.isWhole) expect(this.ids.length).toBe(total);
    this.#at = changes.at;
  }
}

const keyword = fc.constantFrom("\\Seen", "x");
const condition = (world: Asked): fc.Arbitrary<Condition> => {
  const mailbox = fc.constantFrom(
    ...world.state.liveMailboxes().map(({ id }) => ({ kind: "mailbox" as const, mailbox: id })),
  );
  const leaf: fc.Arbitrary<Condition> = fc.oneof(
    fc.constant({ kind: "all" as const }),
    mailbox,
    keyword.map((one) => ({ kind: "keyword" as const, keyword: one })),
    fc.record({
      kind: fc.constant("thread-keyword" as const),
      keyword,
      by: fc.constantFrom("all" as const, "some" as const),
    }),
    fc.constant({ kind: "size" as const, from: 2 }),
  );
  return fc.oneof(
    leaf,
    leaf.map((of) => ({ kind: "not" as const, of })),
    fc.tuple(leaf, leaf).map((of) => ({ kind: "and" as const, of })),
    fc.tuple(mailbox, leaf).map((of) => ({ kind: "or" as const, of })),
  );
};
const sortKey: fc.Arbitrary<SortKey> = fc.record({
  by: fc.oneof(
    fc.constantFrom("received" as const, "size" as const),
    keyword.map((one) => ({ keyword: one })),
    fc.record({ threadKeyword: keyword, of: fc.constantFrom("all" as const, "some" as const) }),
  ),
  descending: fc.boolean(),
});

describe("a follower of a query", () => {
  test("holds what a fresh one gets, all of it or its beginning, after whatever was done", async () => {
    let told = 0;
    const query = fc.record({
      condition: condition(new Asked()),
      sort: fc.array(sortKey, { maxLength: 2 }),
      collapseThreads: fc.boolean(),
    });
    const followed = fc.record({ query, first: fc.constantFrom(1, 3, 6, 1000) });
    const steps = fc.array(fc.record({ step, during: fc.option(step) }), { minLength: 10, maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(steps, fc.array(followed, { minLength: 1, maxLength: 5 }), async (all, wanted) => {
        const world = new Asked();
        const followers = wanted.map(({ query, first }) => ({ query, one: new Follower(query, first) }));
        for (const { one } of followers) await one.begin(world);
        for (const { step: now, during } of all) {
          world.do(now);
          if (now.shrinks) await world.shrink();
          if (now.pages === 0) continue;
          for (const { query, one } of followers) {
            if (during) world.during = () => world.do(during);
            await one.follow(world, now.max * 10);
            // Changes within the query may be told the next time.
            world.during = undefined;
            await one.follow(world, 1000);
            const { ids } = await world.ids(query);
            expect(one.ids).toEqual(ids.slice(0, one.ids.length));
            if (one.isWhole) expect(one.ids.length).toBe(ids.length);
          }
        }
        told += followers.reduce((sum, { one }) => sum + one.told, 0);
      }),
      { numRuns: extent(150, 25) },
    );
    expect(told).toBeGreaterThan(1000);
  });
});

/** Emails that came in this order, each with the number of its thread. */
function scene(...threads: readonly number[]) {
  const world = new Asked();
  const { inbox } = world.state;
  const emails = threads.map((thread, at) => ({
    email: { ...bareEmail([at + 1]), receivedMs: at, thread: new Uint8Array(8).fill(thread) },
    places: [{ mailbox: inbox.id, flags: [] }],
  }));
  world.apply({ kind: "add", emails, since: position(1), seconds: 1 });
  const targets = (...at: readonly number[]) => {
    const rows = rowsOf(inbox);
    const named = at.map((one) => rows[one]!);
    return { mailbox: inbox.id, targets: runsOf(world.state, inbox, named) };
  };
  return { world, inbox, at: { modSeq: world.state.modSeq }, targets };
}
const first = ({ id }: { readonly id: Uint8Array }): number => id[0]!;

test("when the newest of a thread leaves, the next one comes in where it stands", async () => {
  const { world, inbox, at, targets } = scene(7, 8, 7);
  const query: Query = { condition: { kind: "mailbox", mailbox: inbox.id }, collapseThreads: true };
  const to = world.state.findPath("A")!.id;
  world.apply({ kind: "move", ...targets(2), to, seconds: 1 });
  const changes = await world.changes(query, at);
  if (typeof changes === "string") throw new Error(changes);
  expect(changes.added.map(({ id, index }) => [id[0], index])).toEqual([[1, 1]]);
  expect(changes.removed.map((id) => id[0])).toContain(3);
});

test("what never moves is not told: flags where nothing asks for them, and what comes behind the last that is held", async () => {
  const { world, at, targets } = scene(1, 2, 3, 4);
  const query: Query = { condition: { kind: "size", from: 1 }, sort: [{ by: "received" }] };
  world.apply({ kind: "flags", ...targets(0, 1), change: { mode: "add", flags: ["\\Seen"] } });
  expect(await world.changes(query, at)).toMatchObject({ removed: [], added: [] });
  const emails = [
    { email: { ...bareEmail([9]), receivedMs: 9 }, places: [{ mailbox: world.state.inbox.id, flags: [] }] },
  ];
  world.apply({ kind: "add", emails, since: position(1), seconds: 1 });
  const upTo = bareEmail([2]).id;
  expect(await world.changes(query, at, { upTo })).toMatchObject({ removed: [], added: [] });
  const all = await world.changes(query, at, { upTo: bareEmail([200]).id });
  if (typeof all === "string") throw new Error(all);
  expect(all.added.map(first)).toEqual([9]);
  // A query on properties that may change tells all of its changes.
  const unseen: Query = { ...query, condition: { kind: "not", of: { kind: "keyword", keyword: "\\Seen" } } };
  const told = await world.changes(unseen, at, { upTo: bareEmail([3]).id });
  if (typeof told === "string") throw new Error(told);
  expect(told.added.map(first)).toEqual([9]);
  expect(told.removed.map((id) => id[0]).sort()).toEqual([1, 2]);
});

test("the last that is held is told where it stands, if it was away", async () => {
  const { world, at, targets } = scene(1, 2, 3);
  for (const mode of ["add", "remove"] as const)
    world.apply({ kind: "flags", ...targets(1), change: { mode, flags: ["\\Deleted"] } });
  const query: Query = { condition: { kind: "all" }, sort: [{ by: "received" }] };
  const changes = await world.changes(query, at, { upTo: bareEmail([2]).id });
  if (typeof changes === "string") throw new Error(changes);
  expect([changes.removed.map((id) => id[0]), changes.added.map(first)]).toEqual([[2], [2]]);
});

test("what was never shown is not told to be gone", async () => {
  const { world, at } = scene(1);
  const emails = [{ email: bareEmail([9]), places: [{ mailbox: world.state.inbox.id, flags: ["\\Deleted"] }] }];
  world.apply({ kind: "add", emails, since: position(1), seconds: 1 });
  const now = { modSeq: world.state.modSeq };
  expect(await world.changes({ condition: { kind: "all" } }, at)).toMatchObject({ removed: [], added: [] });
  expect(await world.changes({ condition: { kind: "all" }, collapseThreads: true }, now)).toMatchObject({
    removed: [],
  });
});

test("a point from which on not all is known any more is too old, also when that comes to be while it is asked", async () => {
  const { world, at, targets } = scene(1, 1, 1, 1, 1, 1, 1, 1);
  const to = world.state.findPath("A")!.id;
  for (const _ of [1, 2, 3, 4, 5, 6, 7, 8]) world.apply({ kind: "move", ...targets(0), to, seconds: 1 });
  const query: Query = { condition: { kind: "mailbox", mailbox: world.state.findPath("B")!.id } };
  expect(await world.changes(query, at)).toMatchObject({ removed: [] });
  world.during = () => world.shrink();
  expect(await world.changes({ condition: { kind: "keyword", keyword: "x" } }, at)).toBe("too-old");
  expect(world.during).toBe(undefined);
  expect(await world.changes(query, at)).toBe("too-old");
});

test("what happens in another mailbox is not told, and more than is wanted is refused", async () => {
  const { world, inbox, at, targets } = scene(1, 2, 3);
  const other = world.state.findPath("A")!;
  const inInbox: Condition = { kind: "mailbox", mailbox: inbox.id };
  const inOther: Condition = { kind: "mailbox", mailbox: other.id };
  world.apply({ kind: "flags", ...targets(0, 1, 2), change: { mode: "add", flags: ["x"] } });
  expect(await world.changes({ condition: inOther }, at, { withTotal: true })).toMatchObject({
    removed: [],
    added: [],
    total: 0,
  });
  expect(await world.changes({ condition: inInbox }, at, { maxChanges: 5 })).toBe("too-many");
  expect(await world.changes({ condition: inInbox }, at, { maxChanges: 6 })).toMatchObject({ total: undefined });
  // A query with too many changes is refused before any body is read.
  const body: Condition = { kind: "and", of: [inInbox, { kind: "body", text: "x" }] };
  expect(await world.changes({ condition: body }, at, { maxChanges: 2 })).toBe("too-many");
  const now = { modSeq: world.state.modSeq };
  expect(await world.changes({ condition: inInbox }, now)).toEqual({
    removed: [],
    added: [],
    total: undefined,
    at: now,
  });
});
