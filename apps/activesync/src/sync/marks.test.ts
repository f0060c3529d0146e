import { expect, test } from "vitest";
import { encode } from "wbxml";
import { allOf, HeldFolder, mailText, openPhone, textOf } from "../activesync-kit.ts";
import { empty, group, leaf } from "../protocol/elements.ts";

// What phones say of a mail beside its flags.

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
