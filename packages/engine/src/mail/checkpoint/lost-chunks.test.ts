import { expect, test } from "vitest";
import type { WriterId } from "../../bay/writer.ts";
import { asEmailRow, asModSeq, asRow, asUid } from "../numbers.ts";
import { INBOX_ID } from "../ops/names.ts";
import { CHUNK_ROWS, type Column } from "../state/columns.ts";
import { MailState } from "../state/state.ts";
import { markLost } from "./lost-chunks.ts";

const ROWS = 3 * CHUNK_ROWS - 100;

/** Three chunks of emails with gaps in their numbers, each in a mailbox; the first is there twice. */
function filled(): MailState {
  const state = new MailState();
  state.keywords.number([]);
  const writer = state.writerNumber("0102030405060708" as WriterId);
  const inbox = state.addMailbox(INBOX_ID, "INBOX", {});
  inbox.uidValidity = state.uidValidity = 100;
  const { emails, memberships } = state;
  for (let n = 0; n < ROWS; n++) {
    const row = emails.add();
    emails.columns.number.set(row, 2 * row);
    emails.columns.id.setId(
      row,
      Uint8Array.from({ length: 16 }, (_, at) => (at < 4 ? row >> (8 * at) : 7)),
    );
  }
  for (let n = 0; n < ROWS; n++) {
    const row = memberships.add();
    const { columns } = memberships;
    columns.writer.set(row, writer);
    columns.sequence.set(row, row + 1);
    columns.uid.set(row, asUid(row + 1));
    columns.modSeq.set(row, asModSeq(row + 1));
    columns.email.set(row, asEmailRow(n === 1 ? 0 : n));
    emails.columns.held.set(columns.email.get(row), 1);
  }
  return state;
}

test("of a lost chunk of emails no message is shown, and all others are, each under its number", async () => {
  const state = filled();
  const { id, number } = state.emails.columns;
  for (let row = asEmailRow(CHUNK_ROWS); row < 2 * CHUNK_ROWS; row++) {
    number.set(row, 0);
    id.setId(row, new Uint8Array(16));
  }
  markLost(state, [false, false, false], [false, true, false]);
  await state.index(async () => undefined);
  const inbox = state.inbox;
  const { modSeq: modSeqs } = state.memberships.columns;
  expect([inbox.messages.length, inbox.uidValidity > 100 + 2 ** 20]).toEqual([ROWS - CHUNK_ROWS, true]);
  for (let row = 0; row < ROWS; row++) {
    const isLost = row >= CHUNK_ROWS && row < 2 * CHUNK_ROWS;
    const told = [state.findNumber(2 * row) === row, state.isLive(asRow(row)), modSeqs.get(asRow(row)) > 0];
    if (told.some((one) => one === isLost)) throw new Error(`row ${row}: ${told}`);
    const held = state.emails.columns.held.get(asEmailRow(row));
    if (held !== (row === 0 ? 2 : row === 1 || isLost ? 0 : 1)) throw new Error(`row ${row} is held by ${held}`);
  }
});

test("of a lost chunk of memberships none is shown, and the emails are held by nobody", async () => {
  const state = filled();
  for (const column of Object.values<Column>(state.memberships.columns))
    for (let row = CHUNK_ROWS; row < 2 * CHUNK_ROWS; row++) column.set(row, 0);
  markLost(state, [false, true, false], [false, false, false]);
  await state.index(async () => undefined);
  expect(state.inbox.messages.length).toBe(ROWS - CHUNK_ROWS);
  // Equal names would be walked one by one.
  const { index } = state.memberships.columns;
  expect(new Set(Array.from({ length: CHUNK_ROWS }, (_, at) => index.get(asRow(CHUNK_ROWS + at)))).size).toBe(
    CHUNK_ROWS,
  );
  expect(state.heldEmails.count).toBe(ROWS - CHUNK_ROWS - 1);
  for (const row of [0, 2, CHUNK_ROWS - 1, 2 * CHUNK_ROWS, ROWS - 1]) expect(state.isHeld(asEmailRow(row))).toBe(true);
  for (const row of [1, CHUNK_ROWS, 2 * CHUNK_ROWS - 1]) expect(state.isHeld(asEmailRow(row))).toBe(false);
});
