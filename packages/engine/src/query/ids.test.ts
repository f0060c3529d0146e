import fc from "fast-check";
import { expect, test } from "vitest";
import { INBOX_ID, mailboxId, type WriterId } from "../mail/ops/names.ts";
import {
  formatBlobId,
  formatEmailId,
  formatMailboxId,
  formatThreadId,
  parseBlobId,
  parseEmailId,
  parseMailboxId,
  parseThreadId,
} from "./ids.ts";

const octets = (length: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ minLength: length, maxLength: length });
const number = fc.integer({ min: 0, max: 1_000_000 });

test("each id is read as what it was made of, and stays in the alphabet of both protocols", () => {
  const path = fc.array(fc.integer({ min: 1, max: 999 }), { minLength: 1, maxLength: 20 }).map((at) => at.join("."));
  fc.assert(
    fc.property(octets(16), octets(8), path, number, number, (email, thread, part, sequence, index) => {
      const mailbox = mailboxId("00ab00000000000f" as WriterId, sequence, index);
      const ids = [
        formatEmailId(email),
        formatThreadId(thread),
        formatBlobId(email),
        formatBlobId(email, part),
        formatMailboxId(mailbox),
      ] as const;
      for (const id of ids) expect(id).toMatch(/^[a-z][a-z0-9-]{0,254}$/);
      expect(parseEmailId(ids[0])).toEqual(email);
      expect(parseThreadId(ids[1])).toEqual(thread);
      expect(parseBlobId(ids[2])).toEqual({ email });
      expect(parseBlobId(ids[3])).toEqual({ email, path: part });
      expect(parseMailboxId(ids[4])).toBe(mailbox);
      // No id of one kind is one of another.
      const readers = [parseEmailId, parseThreadId, parseBlobId, parseMailboxId];
      for (const id of ids) expect(readers.filter((read) => read(id) !== undefined)).toHaveLength(1);
    }),
  );
});

test("what is no id is none: one spelling each", () => {
  const hex = "0123456789abcdef";
  const wrong = [
    "",
    `m${hex}`,
    `M${hex}${hex}`,
    `m${hex}${hex.toUpperCase()}`,
    `m${hex}${hex}\n`,
    `t${hex}0`,
    `b${hex}${hex}-`,
    `b${hex}${hex}-0`,
    `b${hex}${hex}-01`,
    `b${hex}${hex}-1.2`,
    `b${hex}${hex}${"-1".repeat(200)}`,
    `p${hex}-01-0`,
    `p${hex}.0.0`,
    `p${hex}-0`,
  ];
  for (const text of wrong)
    expect([text, parseEmailId(text), parseThreadId(text), parseBlobId(text), parseMailboxId(text)]).toEqual([
      text,
      ...Array(4).fill(undefined),
    ]);
  expect(parseMailboxId("p0000000000000000-0-0")).toBe(INBOX_ID);
});
