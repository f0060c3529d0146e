import { expect, test } from "vitest";
import { encode } from "wbxml";
import { allOf, HeldFolder, mailText, openPhone, textOf } from "../activesync-kit.ts";
import { empty, group, leaf } from "../protocol/elements.ts";

// Marks of phones on a mail beside its flags.

const flagged = (...more: ReturnType<typeof leaf>[]) =>
  group("Email:Flag", leaf("Email:Status", 2), leaf("Email:FlagType", "for Follow Up"), ...more);
const change = (id: string, ...data: ReturnType<typeof leaf>[]) =>
  group("AirSync:Change", leaf("AirSync:ServerId", id), group("AirSync:ApplicationData", ...data));

async function twoPhones(mails: number) {
  const { phone, another } = await openPhone();
  for (let n = 0; n < mails; n++) await phone.append(mailText(n));
  const id = await phone.folder(2);
  const other = await another("other");
  const [held, copy] = [new HeldFolder(), new HeldFolder()];
  await phone.catchUp(id, held);
  await other.catchUp(id, copy);
  return { phone, other, id, held, copy };
}

test.each([
  ["of very many elements", flagged(...Array.from({ length: 20_000 }, () => empty("Tasks:Subject")))],
  ["of elements that are none of a flag", flagged(leaf("AirSync:SyncKey", 1))],
  ["of a very long text", flagged(leaf("Tasks:Subject", "x".repeat(60_000)))],
  ["of elements within elements", flagged(group("Tasks:Subject", leaf("Tasks:Subject", "x")))],
])("a Flag %s is 6, and no folder is stopped by it", async (_, flag) => {
  const { phone, other, id, held, copy } = await twoPhones(3);
  const commands = [...held.items.keys()].map((item) => change(item, flag));
  const answer = await phone.sync(id, held.key, { commands });
  expect(allOf(answer, "AirSync:Change").map((one) => textOf(one, "AirSync:Status"))).toEqual(["6", "6", "6"]);
  held.take(await phone.sync(id, held.key));
  await other.session.refresh();
  const told = await other.sync(id, copy.key);
  if (told) encode(told);
});

test("a flag that says more than before is told to other phones, and not to its maker", async () => {
  const { phone, other, id, held, copy } = await twoPhones(3);
  const [first] = [...held.items.keys()] as [string];
  held.take(await phone.sync(id, held.key, { commands: [change(first, flagged())] }));
  await other.session.refresh();
  await other.catchUp(id, copy);
  const said = flagged(leaf("Tasks:Subject", "Call"));
  const answer = await phone.sync(id, held.key, { commands: [change(first, said)] });
  expect(allOf(answer, "AirSync:Commands")).toEqual([]);
  held.take(answer);
  expect(await phone.sync(id, held.key)).toBeUndefined();
  await other.session.refresh();
  await other.catchUp(id, copy);
  expect(copy.items.get(first)!.get("Email:Flag")).toBe("(2,for Follow Up,Call)");
  expect(await other.sync(id, copy.key)).toBeUndefined();
  // Done, and no more: \Flagged says neither.
  const done = group(
    "Email:Flag",
    leaf("Email:Status", 1),
    leaf("Email:CompleteTime", "2026-03-01T09:30:00.000Z"),
    leaf("Tasks:DateCompleted", "2026-03-01T09:30:00.000Z"),
  );
  held.take(await phone.sync(id, held.key, { commands: [change(first, done)] }));
  held.take(await phone.sync(id, held.key, { commands: [change(first, empty("Email:Flag"))] }));
  await other.session.refresh();
  await other.catchUp(id, copy);
  expect(copy.items.get(first)!.get("Email:Flag")).toBe("");
});

test("what is said of many, among flags of others, comes in windows of one, and nothing is passed over", async () => {
  const { phone, other, id, held, copy } = await twoPhones(6);
  const items = [...held.items.keys()];
  const all = items.map((item) => change(item, flagged()));
  held.take(await phone.sync(id, held.key, { commands: all }));
  await other.session.refresh();
  await other.catchUp(id, copy);
  // Said of the last first, each by an op of its own; others change flags in between.
  for (const [at, item] of items.toReversed().entries()) {
    const said = [change(item, flagged(leaf("Tasks:Subject", `said ${at}`)))];
    held.take(await phone.sync(id, held.key, { commands: said }));
    const read = [change(items[at]!, leaf("Email:Read", 1))];
    held.take(await phone.sync(id, held.key, { commands: read }));
  }
  await other.session.refresh();
  await other.catchUp(id, copy, { window: 1 });
  for (const [at, item] of items.toReversed().entries()) {
    expect(copy.items.get(item)!.get("Email:Flag")).toBe(`(2,for Follow Up,said ${at})`);
    expect(copy.items.get(item)!.get("Email:Read")).toBe("1");
  }
  // Also those that were said of by one op.
  const commands = items.map((item) => change(item, flagged(leaf("Tasks:Subject", "at once"))));
  held.take(await phone.sync(id, held.key, { commands }));
  await other.session.refresh();
  await other.catchUp(id, copy, { window: 2 });
  expect(new Set([...copy.items.values()].map((item) => item.get("Email:Flag")))).toEqual(
    new Set(["(2,for Follow Up,at once)"]),
  );
});

test("a phone that does not hold a mail is not told what is said of it", async () => {
  const { phone, other, id, held, copy } = await twoPhones(2);
  const [first] = [...held.items.keys()] as [string];
  await phone.append(mailText(9));
  held.take(await phone.sync(id, held.key));
  const fresh = [...held.items.keys()].find((item) => !copy.items.has(item))!;
  const commands = [first, fresh].map((item) => change(item, flagged()));
  held.take(await phone.sync(id, held.key, { commands }));
  await other.session.refresh();
  const answer = await other.sync(id, copy.key);
  const told = (tag: string) => allOf(answer, tag).map((one) => textOf(one, "AirSync:ServerId"));
  expect([told("AirSync:Change"), told("AirSync:Add")]).toEqual([[first], [fresh]]);
  copy.take(answer);
});

test("what another phone said of a mail is told to one that changes something else of it", async () => {
  const { phone, other, id, held, copy } = await twoPhones(2);
  const [first] = [...held.items.keys()] as [string];
  held.take(await phone.sync(id, held.key, { commands: [change(first, flagged())] }));
  await other.session.refresh();
  await other.catchUp(id, copy);
  const said = [change(first, flagged(leaf("Tasks:Subject", "Call")))];
  await other.sync(id, copy.key, { commands: said });
  await phone.session.refresh();
  held.take(await phone.sync(id, held.key, { commands: [change(first, leaf("Email:Read", 1))] }));
  expect(held.items.get(first)!.get("Email:Flag")).toBe("(2,for Follow Up,Call)");
});
