import fc from "fast-check";
import { expect, test } from "vitest";
import { fromZigzag, OctetReader, pushVarint, writeVarint, zigzag } from "./octets.ts";

const numbers = fc.array(fc.oneof(fc.maxSafeNat(), fc.nat(300)), { maxLength: 20 });

test("numbers come back from their octets, whichever way they were written", () => {
  fc.assert(
    fc.property(numbers, (all) => {
      const pushed: number[] = [];
      for (const number of all) pushVarint(pushed, number);
      const written = new Uint8Array(all.length * 8);
      let end = 0;
      for (const number of all) end = writeVarint(number, written, end);
      expect([...written.subarray(0, end)]).toEqual(pushed);
      const reader = new OctetReader(Uint8Array.from(pushed));
      expect(all.map(() => reader.varint())).toEqual(all);
      reader.end();
    }),
  );
  for (const difference of [0, 1, -1, 2 ** 50, -(2 ** 50)]) expect(fromZigzag(zigzag(difference))).toBe(difference);
});

test.each([
  ["that is cut off", [0x80]],
  ["of nine octets", [0x81, 0x81, 0x81, 0x81, 0x81, 0x81, 0x81, 0x81, 1]],
  ["of two hundred octets", [...Array.from({ length: 199 }, () => 0x80), 1]],
  ["that no number of JavaScript is", [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x10]],
  ["with zeros at its end", [0x81, 0x80, 0]],
])("a number %s is none", (_, octets) => {
  expect(() => new OctetReader(Uint8Array.from(octets)).varint()).toThrow(RangeError);
});

test("what is beyond a bound, the end, or unread at the end is refused", () => {
  const reader = new OctetReader(Uint8Array.of(5, 6, 7));
  expect(() => new OctetReader(Uint8Array.of(5)).varint(4)).toThrow(RangeError);
  expect(reader.octets(2)).toEqual(Uint8Array.of(5, 6));
  expect(() => reader.octets(2)).toThrow(RangeError);
  expect(() => reader.end()).toThrow(RangeError);
  expect(reader.octet()).toBe(7);
  expect(() => reader.octet()).toThrow(RangeError);
  reader.end();
});
