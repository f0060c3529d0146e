import { expect, test } from "vitest";
import { position } from "../bay/position.ts";
import { asEmailRow } from "../mail/numbers.ts";
import type { NewEmail } from "../mail/ops/email.ts";
import { MailState } from "../mail/state/state.ts";
import { bareEmail } from "../testing/email-kit.ts";
import { CurrentLists } from "./current-lists.ts";

const pace = { isOver: () => false, take: async () => undefined };

function email(n: number, high: number, low: number): NewEmail {
  const thread = new Uint8Array(8);
  new DataView(thread.buffer).setUint32(0, high);
  new DataView(thread.buffer).setUint32(4, low);
  return { ...bareEmail([n >> 8, n & 255]), receivedMs: (n * 37) % 50, thread };
}

test("threads are told apart by all of their ids, and many emails are in one order", async () => {
  const state = new MailState();
  const lists = new CurrentLists(() => state);
  const count = 5000;
  for (let n = 0; n < count; n++) {
    state.addEmail(email(n, n % 2, (n % 500) >> 1), { entry: position(0), op: 0, index: 0 });
    // Some are looked at early, the rest in more than one step.
    if (n === 10) await lists.get(pace);
  }
  const made = await lists.get(pace);
  const numbers = Array.from({ length: count }, (_, row) => made.threadNumber(asEmailRow(row)));
  for (let row = 500; row < count; row++) expect(numbers[row]).toBe(numbers[row - 500]);
  expect(new Set(numbers).size).toBe(500);
  const naive = Array.from({ length: count }, (_, row) => row).sort(
    (a, b) => ((b * 37) % 50) - ((a * 37) % 50) || a - b,
  );
  expect(Array.from(made.newestFirst())).toEqual(naive);
});
