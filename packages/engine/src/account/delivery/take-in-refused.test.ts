import { expect, test, vi } from "vitest";
import { MemoryPlace } from "../../storage/memory.ts";
import { clock, dropbox, mailText, makeAccount, open, stream, textsOf } from "../../testing/account-kit.ts";

// The fold's answer to those who take mail in is wrong for a while.
const fold = vi.hoisted(() => ({ times: 0, condemns: false, asked: 0 }));
vi.mock("../../mail/apply/judge.ts", async (original) => {
  const { judge } = await original<typeof import("../../mail/apply/judge.ts")>();
  return {
    judge: (...[state, op]: Parameters<typeof judge>): ReturnType<typeof judge> => {
      if (op.kind !== "take-in" || fold.asked >= fold.times) return judge(state, op);
      fold.asked++;
      // Each that is made again is refused.
      if (fold.condemns && fold.asked % 2 === 1) return { outcome: { condemned: op.notes.map(({ note }) => note) } };
      return { outcome: { refusal: "stale" } };
    },
  };
});

/** Bodies of a mail's: within its note, beside it. */
const LINES = { within: 10, beside: 60_000 };

test.each([
  { condemns: false, lines: LINES.within },
  { condemns: true, lines: LINES.beside },
])(
  "ops that are refused time and again end with an error, and the mail is taken in once they are not: %o",
  async ({ condemns, lines }) => {
    const place = new MemoryPlace(() => clock.now++);
    const { ring, user } = await makeAccount(place);
    await dropbox(place, user).deliver(new Uint8Array(0), stream(mailText(1, lines)));
    Object.assign(fold, { times: Number.POSITIVE_INFINITY, condemns, asked: 0 });
    const account = await open(place, ring());
    await expect(account.takeIn()).rejects.toMatchObject({ name: "EngineError", code: "unavailable" });
    expect(fold.asked).toBeGreaterThan(10);
    fold.times = 0;
    await account.takeIn();
    expect(await textsOf(account, "INBOX")).toEqual([mailText(1, lines)]);
    await account.dispose();
  },
);

test("refusals are counted in a row", async () => {
  const place = new MemoryPlace(() => clock.now++);
  const { ring, user } = await makeAccount(place);
  fold.times = 0;
  const account = await open(place, ring(), { delay: () => new Promise(() => undefined) });
  const texts = [1, 2, 3].map((n) => mailText(n));
  for (const text of texts) {
    await dropbox(place, user).deliver(new Uint8Array(0), stream(text));
    Object.assign(fold, { times: 15, condemns: false, asked: 0 });
    await account.refresh();
    expect(fold.asked).toBe(15);
  }
  expect(await textsOf(account, "INBOX")).toEqual(texts);
  await account.dispose();
});
