import { expect, test } from "vitest";
import { EngineError } from "../../errors.ts";
import { bytes } from "../../testing/account-kit.ts";
import type { Body } from "./contents.ts";
import { FullSummaries } from "./full-summaries.ts";

const MAIL = "Subject: x\r\n\r\nbody\r\n";
const bodyOf = (text: string, size = text.length): Body => ({
  size,
  async *read() {
    for (let at = 0; at < text.length; at += 7) yield bytes(text.slice(at, at + 7));
  },
});

test("a body that is shorter than it should be, or damaged, gives nothing and is not opened again", async () => {
  for (const open of [
    async () => bodyOf(MAIL, MAIL.length + 1),
    () => Promise.reject(new EngineError("corrupt", "damaged")),
  ]) {
    const full = new FullSummaries(undefined);
    let opened = 0;
    const counted = (): Promise<Body> => {
      opened++;
      return open();
    };
    expect(await full.get("a", counted)).toBeUndefined();
    expect(await full.get("a", counted)).toBeUndefined();
    expect(opened).toBe(1);
    full.dispose();
  }
});

test("a body that can't be had now is tried again; one that is gone gives nothing", async () => {
  const full = new FullSummaries(undefined);
  const away = new EngineError("unavailable", "store is away");
  await expect(full.get("a", () => Promise.reject(away))).rejects.toBe(away);
  expect(await full.get("a", () => Promise.reject(new EngineError("expunged", "gone")))).toBeUndefined();
  expect((await full.get("a", async () => bodyOf(MAIL)))?.summary.format).toBe(2);
  full.dispose();
});

test("others have their turn after each piece of a body", async () => {
  let breaths = 0;
  const full = new FullSummaries(async () => void breaths++);
  await full.get("a", async () => bodyOf(MAIL));
  expect(breaths).toBe(Math.ceil(MAIL.length / 7));
  full.dispose();
});

test("what waits is wiped with the account", async () => {
  const full = new FullSummaries(undefined);
  const waiting = Uint8Array.of(1, 2, 3);
  full.wait("a", 65, waiting);
  expect([full.findWaiting("a"), full.waitingPages()]).toEqual([waiting, [65]]);
  full.dispose();
  expect([...waiting]).toEqual([0, 0, 0]);
  expect(full.findWaiting("a")).toBeUndefined();
});
