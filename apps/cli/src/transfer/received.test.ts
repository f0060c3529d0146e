import { expect, test } from "vitest";
import { receivedOf } from "./received.ts";

const NONE = { timeMs: 0, zoneMinutes: 0 };

function headerOf(...lines: string[]): Uint8Array {
  return Buffer.from([...lines, "", ""].join("\r\n"));
}

test("what its place says counts, then the newest Received, then Date", () => {
  const date = "Date: Mon, 2 Feb 2026 10:11:12 +0100";
  const received = "Received: from x; Tue, 3 Feb 2026 10:11:12 +0000";
  expect(receivedOf({ timeMs: 5, zoneMinutes: 60 }, headerOf(date))).toEqual({ timeMs: 5, zoneMinutes: 60 });
  expect(receivedOf(undefined, headerOf(received, date)).timeMs).toBe(Date.UTC(2026, 1, 3, 10, 11, 12));
  expect(receivedOf(undefined, headerOf("Received: by x", date))).toEqual({
    timeMs: Date.UTC(2026, 1, 2, 9, 11, 12),
    zoneMinutes: 60,
  });
  expect(receivedOf(undefined, headerOf("Subject: x"))).toEqual(NONE);
});

test.each([1e300, 0.5, Number.NaN, -1e15, Date.UTC(10_000, 0, 1)])("%d milliseconds are no INTERNALDATE", (timeMs) => {
  expect(receivedOf({ timeMs, zoneMinutes: 0 }, headerOf())).toEqual(NONE);
});

test.each([1440, -6000, 0.5])("%d minutes are no zone", (zoneMinutes) => {
  expect(receivedOf({ timeMs: 5, zoneMinutes }, headerOf())).toEqual({ timeMs: 5, zoneMinutes: 0 });
});
