import { expect, test } from "vitest";
import { crypto } from "../../testing/account-kit.ts";
import { refused } from "../../testing/ways-in-kit.ts";
import { TICKET_MS, Tickets } from "./tickets.ts";

/** Two processes of a host, and one that has another key. */
function setUp() {
  let now = 1_700_000_000_000;
  const used = new Set<string>();
  const spend = async (nonce: string): Promise<boolean> => !used.has(nonce) && used.add(nonce).has(nonce);
  const platform = { crypto, now: () => now };
  const make = (key: number): Tickets => new Tickets({ platform, serverKey: new Uint8Array(32).fill(key), spend });
  const pass = (ms: number): void => {
    now += ms;
  };
  return { one: make(1), two: make(1), other: make(2), used, pass };
}

test("a ticket stands for a token once, in any process of the host", async () => {
  const { one, two, other } = setUp();
  const { ticket, expiresMs } = one.make("rst_x");
  expect(expiresMs).toBe(1_700_000_000_000 + TICKET_MS);
  expect(ticket).not.toContain("rst_x");
  await expect(other.redeem(ticket)).rejects.toMatchObject(refused);
  expect(await two.redeem(ticket)).toBe("rst_x");
  for (const tickets of [one, two]) await expect(tickets.redeem(ticket)).rejects.toMatchObject(refused);
});

test("of many who use it at once one gets in", async () => {
  const { one, two } = setUp();
  const { ticket } = one.make("rst_x");
  const outcomes = await Promise.allSettled([one, two, one, two].map((tickets) => tickets.redeem(ticket)));
  expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
});

test("it ends after a minute, and no other text is one", async () => {
  const { one, used, pass } = setUp();
  const { ticket } = one.make("rst_x");
  pass(TICKET_MS);
  await expect(one.redeem(ticket)).rejects.toMatchObject(refused);
  const fresh = one.make("rst_x").ticket;
  for (const wrong of ["", "x", "€", fresh.slice(1), `${fresh}A`, fresh.replace(/.$/, "!"), "A".repeat(100_000)])
    await expect(one.redeem(wrong)).rejects.toMatchObject(refused);
  // A text that is no ticket of ours leaves no trace.
  expect(used.size).toBe(0);
  expect(await one.redeem(fresh)).toBe("rst_x");
});
