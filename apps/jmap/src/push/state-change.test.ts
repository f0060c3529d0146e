import { expect, test } from "vitest";
import { type StateChange, StateListener, type States } from "./state-change.ts";
import { PUSH_WORDS } from "./words.ts";

const NOW = Object.fromEntries(
  ["Email", "EmailDelivery", "Mailbox", "Thread", "EmailSubmission", "Identity", "VacationResponse", "Quota"].map(
    (type) => [type, "0.1"],
  ),
) as States;

function listen(types: readonly string[] | null, since?: string, hasQuota = true) {
  const told: { readonly change: StateChange; readonly id: string }[] = [];
  const account = { accountId: "a", hasQuota };
  const listener = new StateListener(account, types, NOW, since, (change, id) => told.push({ change, id }));
  return { listener, told };
}

test("who says what they knew last, and that can't be read, is told all: something may have been missed", () => {
  const { told } = listen(null, "of another day");
  expect(told.map(({ change }) => change.changed)).toEqual([{ a: NOW }]);
  expect(listen(null, told[0]!.id).told).toEqual([]);
  expect(listen(null).told).toEqual([]);
  expect(listen(["Mailbox"], "x").told[0]!.change.changed).toEqual({ a: { Mailbox: "0.1" } });
});

test("what is used of a quota changes with the emails: RFC 9425 §5. Who has none hears of none", () => {
  const { listener, told } = listen(["Quota"]);
  listener.hear({ state: undefined, name: "x" });
  expect(told.map(({ change }) => change.changed)).toEqual([{ a: { Quota: "nx" } }]);
  const other = listen(null, undefined, false);
  other.listener.hear({ state: undefined, name: "x" });
  expect(Object.keys(other.told[0]!.change.changed.a!)).not.toContain("Quota");
  const change = (types: readonly string[] | undefined) =>
    PUSH_WORDS.change("a", { note: "x", entry: undefined }, types);
  expect(JSON.stringify(change(["Quota"]))).toContain('"Quota":"nx"');
  expect(JSON.stringify(change(undefined))).not.toContain("Quota");
});
