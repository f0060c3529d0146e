import fc from "fast-check";
import { expect, test } from "vitest";
import { asEmailRow, type EmailRow } from "../mail/numbers.ts";
import { EmailOrder } from "./email-order.ts";

test("an order holds what was put in and not taken out, wherever it belongs", () => {
  const oldestFirst = (a: EmailRow, b: EmailRow): number => (a % 7) - (b % 7) || a - b;
  const email = fc.nat(200).map(asEmailRow);
  const step = fc.record({
    come: fc.array(email, { maxLength: 60, size: "max" }),
    go: fc.array(email, { maxLength: 60, size: "max" }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 8 }), (steps) => {
      const order = new EmailOrder(oldestFirst);
      const naive = new Set<EmailRow>();
      for (const { come, go } of steps) {
        const removed = [...new Set(go)].filter((email) => naive.has(email));
        const added = [...new Set(come)].filter((email) => !naive.has(email));
        for (const email of removed) naive.delete(email);
        for (const email of added) naive.add(email);
        order.update(removed, added);
        const wanted = [...naive].sort(oldestFirst).reverse();
        expect([...order.newestFirst()]).toEqual(wanted);
        expect(wanted.map((email) => order.placeOf(email))).toEqual([...wanted.keys()]);
        expect(wanted.map((_email, place) => order.at(place))).toEqual(wanted);
        for (const email of removed) if (!naive.has(email)) expect(order.placeOf(email)).toBe(-1);
      }
    }),
    { numRuns: 200 },
  );
});
