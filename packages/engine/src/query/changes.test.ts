import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { position } from "../bay/position.ts";
import { ready } from "../crypto/index.ts";
import { runsOf } from "../mail/apply/target-rows.ts";
import { asModSeq, NO_MODSEQ } from "../mail/numbers.ts";
import type { MailboxId } from "../mail/ops/names.ts";
import { bareEmail } from "../testing/email-kit.ts";
import { extent } from "../testing/extent.ts";
import { Follower, feeds, fresh, listsOf } from "../testing/feed-kit.ts";
import { rowsOf, step, World } from "../testing/world-kit.ts";
import { emailChanges, mailboxListChanges, type Point, recordChanges, threadChanges } from "./changes.ts";

await ready;

describe.each(Object.keys(feeds))("a follower of %s that reads in pages", (name) => {
  test("holds what a fresh one gets, whenever it was told all", async () => {
    let [complete, restarts] = [0, 0];
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 60 }), async (steps) => {
        const world = new World();
        const follower = new Follower(name);
        for (const one of steps) {
          world.do(one);
          if (one.shrinks) await world.shrink();
          if (!follower.follow(world.state, one.pages, one.max)) continue;
          complete++;
          expect(follower.held).toEqual(fresh[name]!(world.state));
        }
        restarts += follower.restarts;
      }),
      { numRuns: extent(60, 15) },
    );
    expect(complete).toBeGreaterThan(300);
    if (name === "emails") expect(restarts).toBeGreaterThan(0);
  });
});

test("an op that changes thousands at one modseq is told in pages, each once", () => {
  const world = new World();
  const { inbox } = world.state;
  const emails = Array.from({ length: 3000 }, (_, n) => {
    const id = new Uint8Array(16);
    new DataView(id.buffer).setUint32(4, Math.imul(n + 1, 0x9e3779b1) >>> 0);
    return { email: bareEmail([...id]), places: [{ mailbox: inbox.id, flags: [] }] };
  });
  world.apply({ kind: "add", emails, since: position(1), seconds: 1 });
  const seen = { modSeq: world.state.modSeq };
  const targets = { mailbox: inbox.id, targets: runsOf(world.state, inbox, rowsOf(inbox)) };
  world.apply({ kind: "flags", ...targets, change: { mode: "add", flags: ["\\Seen"] } });
  const told: string[] = [];
  let pages = 0;
  for (let point: Point = seen, more = true; more; pages++) {
    const changes = emailChanges(world.state, point, 50)!;
    told.push(...changes.updated);
    expect(changes.created).toEqual([]);
    [point, more] = [changes.next, changes.hasMore];
  }
  expect([pages, told.length, new Set(told).size]).toEqual([60, 3000, 3000]);
});

test("what is hidden is told as destroyed, and as created when it is shown again", () => {
  const world = new World();
  world.do({ kind: "add", at: 0, to: 0, choice: 0, pages: 0, max: 1, shrinks: false });
  const point = (): Point => ({ modSeq: world.state.changed.email });
  const flag = (mode: "add" | "remove"): void => {
    const { inbox } = world.state;
    const targets = { mailbox: inbox.id, targets: runsOf(world.state, inbox, rowsOf(inbox)) };
    world.apply({ kind: "flags", ...targets, change: { mode, flags: ["\\Deleted"] } });
  };
  const first = point();
  flag("add");
  const hidden = emailChanges(world.state, first)!;
  expect([hidden.created.length, hidden.updated.length, hidden.destroyed.length]).toEqual([0, 0, 1]);
  const second = point();
  flag("remove");
  const shown = emailChanges(world.state, second)!;
  expect([shown.created, shown.updated, shown.destroyed]).toEqual([hidden.destroyed, [], []]);
});

test("a mailbox that was told on one page and goes before the next is told as gone", () => {
  const world = new World();
  const start = { modSeq: world.state.modSeq };
  for (const path of ["M1", "M2", "M3"]) world.apply({ kind: "create", path, seconds: 1 });
  const first = mailboxListChanges(listsOf(world.state), start, 1)!;
  const [told] = first.created;
  world.apply({ kind: "delete", mailbox: told as MailboxId });
  const rest = mailboxListChanges(listsOf(world.state), first.next)!;
  expect([rest.created.length, rest.updated, rest.destroyed]).toEqual([2, [], [told]]);
});

test("of a type of records it is told that what ended is forgotten, on the first page and between two", () => {
  const world = new World();
  const { records } = world.state;
  records.set({ type: "identity", id: "a", modSeq: asModSeq(8), value: { bytes: Uint8Array.of(1) } });
  records.setType("identity", asModSeq(8), asModSeq(5));
  const at = (modSeq: number, within?: Point["within"]): boolean =>
    recordChanges(world.state, "identity", { modSeq: asModSeq(modSeq), ...(within && { within }) }) !== undefined;
  expect([at(4), at(5)]).toEqual([false, true]);
  // A removal at the floor itself may come after the last one told.
  const within = { id: "0", base: asModSeq(1) };
  expect([at(5, within), at(6, within)]).toEqual([false, true]);
});

test("that counts alone changed is said of what changed since the first page", () => {
  const world = new World();
  const start = { modSeq: world.state.modSeq };
  const { inbox } = world.state;
  // Two mailboxes change, at one modseq each: the first by its name, and both by a mail.
  const other = world.state.findPath("A")!;
  world.apply({ kind: "rename", paths: [{ mailbox: other.id, path: "Other" }] });
  const emails = [{ email: bareEmail([1]), places: [inbox, other].map(({ id }) => ({ mailbox: id, flags: [] })) }];
  world.apply({ kind: "add", emails, since: position(0), seconds: 1 });
  const told = [mailboxListChanges(listsOf(world.state), start, 1)!];
  told.push(mailboxListChanges(listsOf(world.state), told[0]!.next, 1)!);
  const counts = new Map(told.map(({ updated, countsOnly }) => [updated[0], countsOnly]));
  expect([counts.get(inbox.id), counts.get(other.id)]).toEqual([true, false]);
});

test("a point that nobody was given is answered, and so is who asks for nothing", () => {
  const world = new World();
  world.do({ kind: "add", at: 0, to: 0, choice: 3, pages: 0, max: 1, shrinks: false });
  const { modSeq } = world.state;
  for (const id of ["zz", "", "0", "ffff"]) {
    const changes = emailChanges(world.state, { modSeq, within: { id, base: NO_MODSEQ } });
    expect(changes?.created.every((one) => one > id)).toBe(true);
    expect(threadChanges(listsOf(world.state), { modSeq, within: { id, base: NO_MODSEQ } })).toBeDefined();
  }
  expect(emailChanges(world.state, { modSeq: NO_MODSEQ }, 0)).toMatchObject({
    created: [],
    updated: [],
    destroyed: [],
    hasMore: true,
  });
});
