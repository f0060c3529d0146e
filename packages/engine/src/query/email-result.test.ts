import { expect, test } from "vitest";
import { position } from "../bay/position.ts";
import { asEmailRow, type EmailRow } from "../mail/numbers.ts";
import { MailState } from "../mail/state/state.ts";
import { bareEmail } from "../testing/email-kit.ts";
import { EmailResult } from "./email-result.ts";
import { Lists } from "./lists.ts";

test("no more is walked over than is asked for", () => {
  const state = new MailState();
  for (let n = 0; n < 50; n++) {
    const thread = new Uint8Array(8).fill(n >> 1);
    state.addEmail({ ...bareEmail([n]), thread }, { entry: position(0), op: 0, index: 0 });
  }
  const lists = new Lists(state);
  lists.update();
  let furthest = -1;
  const order = {
    length: 50,
    at(place: number): EmailRow {
      furthest = Math.max(furthest, place);
      return asEmailRow(place);
    },
    placeOf: () => -1,
  };
  const result = new EmailResult(order, lists, 25);
  expect(result.total).toBe(25);
  expect(result.slice(3, 6)).toEqual([6, 8, 10]);
  expect(furthest).toBe(12);
  furthest = -1;
  expect(result.placesOf(new Set([8, 4].map(asEmailRow)))).toEqual([
    { email: 4, place: 2 },
    { email: 8, place: 4 },
  ]);
  expect(furthest).toBe(8);
  expect([result.placeOf(asEmailRow(10)), result.placeOf(asEmailRow(11))]).toEqual([5, -1]);
});
