import { expect, test } from "vitest";
import { position } from "../../bay/position.ts";
import { captureSource, memoryPages } from "../../testing/checkpoint-kit.ts";
import { bareEmail } from "../../testing/email-kit.ts";
import { World } from "../../testing/world-kit.ts";
import { asEmailRow, asRow, FIRST_EMAIL_ROW, FIRST_ROW } from "../numbers.ts";
import type { MailState } from "../state/state.ts";
import { captureMail, loadMail } from "./snapshot.ts";

const COVERS = position(9);
const idOf = (n: number): number[] => [7, n >> 8, n, ...Array<number>(13).fill(n)];

function add(world: World, from: number, count: number): void {
  const emails = Array.from({ length: count }, (_, n) => ({
    email: { ...bareEmail(idOf(from + n)), size: 100 + n },
    places: [{ mailbox: world.state.inbox.id, flags: n % 2 === 0 ? ["\\Seen", `k${n % 3}`] : [] }],
  }));
  world.apply({ kind: "add", emails, since: position(0), seconds: 1 });
}

async function reload(state: MailState, between: () => void = () => undefined): Promise<MailState> {
  const pages = memoryPages();
  const capture = captureMail(state, captureSource);
  between();
  return loadMail(await capture.write(pages), pages, COVERS);
}

test("each email and each membership is found again, in a chunk that is full and in one that is not", async () => {
  const world = new World();
  add(world, 0, 4100);
  const loaded = await reload(world.state);
  expect(loaded.heldEmails).toMatchObject({ bytes: world.state.heldEmails.bytes, count: 4100 });
  for (let row = FIRST_EMAIL_ROW; row < 4100; row++)
    expect(loaded.findEmail(world.state.emails.columns.id.getId(row))).toBe(row);
  for (let row = FIRST_ROW; row < 4100; row++) expect(loaded.findMembership(world.state.nameOf(row))).toBe(row);
  // A chunk that was taken over can be written to, and grows into the next.
  loaded.emails.columns.size.set(asEmailRow(5), 7);
  expect(loaded.emails.columns.size.get(asEmailRow(5))).toBe(7);
  const next = loaded.emails.add();
  expect([next, loaded.emails.columns.size.get(asEmailRow(next))]).toEqual([4100, 0]);
});

test("what comes between the capture and its writing is no part of it", async () => {
  const world = new World();
  add(world, 0, 10);
  const before = world.state.modSeq;
  const loaded = await reload(world.state, () => add(world, 10, 5));
  expect([loaded.memberships.rows, loaded.emails.rows, loaded.modSeq]).toEqual([10, 10, before]);
  expect(world.state.memberships.rows).toBe(15);
});

test.each<[string, (state: MailState) => void]>([
  ["an email that is not there", ({ memberships }) => memberships.columns.email.set(asRow(3), asEmailRow(10))],
  ["a mailbox that is not there", ({ memberships }) => memberships.columns.mailbox.set(asRow(3), 99)],
  ["a writer that is not there", ({ memberships }) => memberships.columns.writer.set(asRow(3), 99)],
  ["keywords that are not there", ({ memberships }) => memberships.columns.keywords.set(asRow(3), 99)],
])("a membership of %s is damage", async (_, spoil) => {
  const world = new World();
  add(world, 0, 10);
  spoil(world.state);
  await expect(reload(world.state)).rejects.toThrow(RangeError);
});
