import type { MembershipName } from "@restante/engine";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readQuery } from "../door/query.ts";
import { dashed, fileTime, readDate } from "./dates.ts";
import {
  conversationId,
  formatFileReference,
  formatFolderId,
  formatItemId,
  parseFileReference,
  parseFolderId,
  parseItemId,
  threadOfConversation,
} from "./ids.ts";

const writer = fc.uint8Array({ minLength: 8, maxLength: 8 }).map((bytes) => Buffer.from(bytes).toString("hex"));
const name = fc.record({ writer, sequence: fc.maxSafeNat(), index: fc.nat() }) as fc.Arbitrary<MembershipName>;

describe("ids", () => {
  test("read back as they are written, and have 64 characters at most", () => {
    fc.assert(
      fc.property(name, (one) => {
        const id = formatItemId(one);
        expect(parseItemId(id)).toEqual(one);
        expect(id.length).toBeLessThanOrEqual(64);
        const mailbox = `${one.writer}.${one.sequence}.${one.index}` as Parameters<typeof formatFolderId>[0];
        expect(parseFolderId(formatFolderId(mailbox))).toBe(mailbox);
      }),
    );
  });

  test("what is none of ours is none, whatever it is; no two texts name one", () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 50 }), (text) => {
        const read = parseItemId(text);
        if (read) expect(formatItemId(read)).toBe(text);
      }),
    );
    const id = formatItemId({ writer: "00".repeat(8), sequence: 300, index: 1 } as MembershipName);
    for (const wrong of [`${id}=`, `${id} `, id.slice(0, -1), `${id}A`, `:${id}`])
      expect(parseItemId(wrong)).toBeUndefined();
  });

  test("a number is written in one way", () => {
    const text = (...octets: readonly number[]): string =>
      Buffer.from([1, 2, 3, 4, 5, 6, 7, 8, ...octets]).toString("base64url");
    expect(parseItemId(text(0x05, 0x01))).toMatchObject({ sequence: 5, index: 1 });
    expect(parseItemId(text(0x85, 0x00, 0x01))).toBeUndefined();
    expect(parseItemId(text(0x05, 0x81, 0x80, 0x00))).toBeUndefined();
  });

  test("of files and conversations", () => {
    const email = new Uint8Array(16).fill(0xfb);
    expect(parseFileReference(formatFileReference(email, "1.2"))).toEqual({ email: Buffer.from(email), path: "1.2" });
    for (const wrong of ["", ":1", "x:1", `${"A".repeat(22)}:0`, `${"A".repeat(22)}:1.`, `${"A".repeat(22)}:../1`])
      expect(parseFileReference(wrong)).toBeUndefined();
    const thread = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
    expect(threadOfConversation(conversationId(thread))).toEqual(thread);
    expect(conversationId(thread)).toHaveLength(16);
    expect(threadOfConversation(new Uint8Array(16))).toBeUndefined();
  });
});

describe("dates", () => {
  test("both forms are read, the dashed one is written", () => {
    const timeMs = Date.UTC(2026, 2, 1, 9, 30);
    expect(dashed(timeMs)).toBe("2026-03-01T09:30:00.000Z");
    for (const text of ["2026-03-01T09:30:00.000Z", "20260301T093000Z", "2026-03-01T09:30:00Z"])
      expect(readDate(text)).toBe(timeMs);
    for (const text of ["", "2026-02-30T00:00:00Z", "2026-01-01", "2026-01-01T25:00:00Z", "x"])
      expect(readDate(text)).toBeUndefined();
    for (const timeMs of [Number.NaN, 1e300, -1e300]) expect(dashed(timeMs)).toMatch(/^\d{4}-/);
  });

  test("the computed FILETIME", () => {
    expect(Buffer.from(fileTime(Date.UTC(2026, 2, 1, 9, 30))).toString("hex")).toBe("01dca95df9aa1c00");
  });
});

describe("the query", () => {
  test("the published vector", () => {
    expect(readQuery("jAAJBAp2MTQwRGV2aWNlAApTbWFydFBob25l")).toMatchObject({
      command: "Sync",
      version: 14,
      deviceId: "v140Device",
      deviceType: "SmartPhone",
      policyKey: undefined,
    });
  });

  test("one device is one in both forms, also one whose id is octets", () => {
    const plain = readQuery("Cmd=Sync&User=a&DeviceId=v140Device&DeviceType=SmartPhone");
    expect(plain?.deviceId).toBe(readQuery("jAAJBAp2MTQwRGV2aWNlAApTbWFydFBob25l")?.deviceId);
    const bytes = Buffer.from([0xa1, 18, 9, 4, 4, 1, 2, 0xfe, 0xff, 4, 1, 0, 0, 0, 2, 0x50, 0x50, 7, 1, 3]);
    expect(readQuery(encodeURIComponent(bytes.toString("base64")))).toMatchObject({
      command: "Ping",
      version: 16.1,
      deviceId: "0102feff",
      policyKey: 1,
      parameters: { savesInSent: true, acceptsMultipart: true },
    });
  });

  test("names of parameters in any case", () => {
    expect(readQuery("cmd=SendMail&deviceid=x&DEVICETYPE=y&saveinsent=T&ITEMID=i")).toMatchObject({
      command: "SendMail",
      deviceId: "x",
      parameters: { savesInSent: true, itemId: "i" },
    });
  });

  test("anything else is none, and nothing is thrown", () => {
    for (const wrong of ["", "%", "%%%", "A", "jAAJBAp2", "Cmd", "=", "é"]) expect(readQuery(wrong)).toBeUndefined();
    fc.assert(fc.property(fc.string(), (text) => void readQuery(text)));
    fc.assert(fc.property(fc.base64String(), (text) => void readQuery(text)));
    expect(readQuery(`Cmd=Sync&DeviceId=${"x".repeat(500)}&DeviceType=a%00b`)).toMatchObject({
      deviceId: "",
      deviceType: "",
    });
  });
});
