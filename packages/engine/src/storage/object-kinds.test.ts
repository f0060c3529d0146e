import { expect, test } from "vitest";
import { isWrittenOver, liesWithLog } from "./object-kinds.ts";

test("what is no account's lies where one create wins, but for octets; what its holder writes anew is no object of one content", () => {
  const id = "0".repeat(32);
  const names = ["queue", "mail", "claim", "done", "request", "seen", "push", "vacation"].map(
    (kind) => `outbound/${kind}/${id}`,
  );
  expect(names.filter((name) => !liesWithLog(name))).toEqual([`outbound/mail/${id}`]);
  expect(names.filter(isWrittenOver)).toEqual(["claim", "push", "vacation"].map((kind) => `outbound/${kind}/${id}`));
});
