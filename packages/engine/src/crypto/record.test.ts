import { expect, test } from "vitest";
import { crypto } from "../testing/account-kit.ts";
import { stride } from "../testing/extent.ts";
import {
  decodeRecipientRecord,
  encodeRecipientRecord,
  follows,
  isSameRecord,
  type RecipientRecord,
  recipientRecord,
} from "./record.ts";
import { makeRing, type Ring, rotateRing } from "./ring.ts";

/** A ring at each of its versions. */
function history(versions: number): Ring[] {
  const rings = [makeRing(crypto)];
  while (rings.length < versions) rings.push(rotateRing(crypto, rings.at(-1)!));
  return rings;
}
const unsigned = (record: RecipientRecord): RecipientRecord => ({ ...record, proof: undefined });

test("each record follows itself and those before it, and none after it or of another ring", () => {
  const records = history(5).map(recipientRecord);
  const others = history(5).map(recipientRecord);
  for (const [at, record] of records.entries()) {
    expect(decodeRecipientRecord(encodeRecipientRecord(record))).toEqual(record);
    for (const [before, known] of records.entries()) expect(follows(record, known)).toBe(before <= at);
    for (const other of others) {
      expect(follows(record, other)).toBe(false);
      expect(follows({ ...other, account: record.account }, record)).toBe(false);
    }
  }
});

test("a chain as long as it may be leads on from all but the oldest, and the same ring gives the same bytes", () => {
  const rings = history(66);
  const [first, second, third] = rings.slice(0, 3).map(recipientRecord);
  const last = recipientRecord(rings.at(-1)!);
  expect(last.proof?.chain).toHaveLength(64);
  expect(isSameRecord(last, recipientRecord(rings.at(-1)!))).toBe(true);
  expect([first!, second!, third!].map((known) => follows(last, known))).toEqual([false, false, true]);
  expect(follows(decodeRecipientRecord(encodeRecipientRecord(last)), third!)).toBe(true);
});

test("no octet of a signed record can be another: it is not read, or not believed by who knows the owner", () => {
  const [first, second, third] = history(3).map(recipientRecord);
  const bytes = encodeRecipientRecord(third!);
  for (const known of [first!, second!])
    for (let at = 0; at < bytes.length; at += stride(7)) {
      const changed = bytes.slice();
      changed[at]! ^= 1 << (at % 8);
      let record: RecipientRecord;
      try {
        record = decodeRecipientRecord(changed);
      } catch {
        continue;
      }
      // Changes before the known link are harmless: that link is known by itself.
      if (isSameTail(record, third!, known)) continue;
      expect([at, follows(record, known)]).toEqual([at, false]);
    }
});

function isSameTail(one: RecipientRecord, other: RecipientRecord, known: RecipientRecord): boolean {
  const tail = ({ proof, ...record }: RecipientRecord) => {
    const chain = proof!.chain.filter(({ version }) => version >= known.keyVersion);
    // How the known link came to be known is over.
    return { ...record, signature: proof!.signature, chain: [chain[0]!.publicKey, ...chain.slice(1)] };
  };
  return JSON.stringify(tail(one)) === JSON.stringify(tail(other));
}

test("links that are dropped, doubled or put in another order lead nowhere", () => {
  const [first, , , fourth] = history(4).map(recipientRecord);
  const { chain, signature } = fourth!.proof!;
  const orders = [
    [0, 2, 3],
    [0, 1, 3],
    [0, 3],
    [1, 2, 3],
    [0, 1, 1, 2, 3],
    [0, 2, 1, 3],
  ];
  for (const order of orders)
    expect(follows({ ...fourth!, proof: { signature, chain: order.map((at) => chain[at]!) } }, first!)).toBe(false);
});

test("a record that nobody signed is followed by its signed self alone; a signed one never by an unsigned", () => {
  const [first, second] = history(2).map(recipientRecord);
  const other = recipientRecord(makeRing(crypto));
  expect(follows(first!, unsigned(first!))).toBe(true);
  expect(follows(unsigned(first!), unsigned(first!))).toBe(true);
  expect(follows(second!, unsigned(first!))).toBe(false);
  expect(follows(unsigned(first!), first!)).toBe(false);
  expect(follows({ ...first!, proof: other.proof }, unsigned(first!))).toBe(false);
});
