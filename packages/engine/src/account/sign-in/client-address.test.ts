import { isIPv6 } from "node:net";
import fc from "fast-check";
import { expect, test } from "vitest";
import { networkOf, plainAddress } from "./client-address.ts";

test.each([
  ["::ffff:198.51.100.7", "198.51.100.7"],
  ["::ffff:c633:6407", "198.51.100.7"],
  ["::FFFF:C633:6407", "198.51.100.7"],
  ["0:0:0:0:0:ffff:c633:6407", "198.51.100.7"],
  ["0000:0000:0000:0000:0000:ffff:c633:6407", "198.51.100.7"],
  ["::0:ffff:c633:6407", "198.51.100.7"],
  ["::ffff:0:1", "0.0.0.1"],
  ["198.51.100.7", "198.51.100.7"],
  // These are other addresses.
  ["::c633:6407", "::c633:6407"],
  ["::198.51.100.7", "::198.51.100.7"],
  ["1::ffff:c633:6407", "1::ffff:c633:6407"],
  ["::ffff:0:c633:6407", "::ffff:0:c633:6407"],
  ["64:ff9b::c633:6407", "64:ff9b::c633:6407"],
  ["::ffff", "::ffff"],
  // These are none.
  ["", ""],
  ["::ffff:999.0.0.1", "::ffff:999.0.0.1"],
  ["::ffff:c633:6407::", "::ffff:c633:6407::"],
  ["ada.example.org", "ada.example.org"],
])("%j is %j", (address, plain) => {
  expect(plainAddress(address)).toBe(plain);
});

test("a client is its IPv4 address or its IPv6 /64, however it is written", () => {
  expect(networkOf("2001:db8::1")).toBe(networkOf("2001:db8:0:0:ffff::2"));
  expect(networkOf("2001:db8::1")).toBe(networkOf("2001:0DB8::1%eth0"));
  expect(networkOf("2001:db8::1")).not.toBe(networkOf("2001:db8:0:1::1"));
  expect(networkOf("::ffff:192.0.2.1")).toBe("192.0.2.1");
  expect(networkOf("::ffff:c000:201")).toBe("192.0.2.1");
  expect(networkOf("::ffff:c000:201")).not.toBe(networkOf("::ffff:c000:202"));
  expect(networkOf("192.0.2.1")).toBe("192.0.2.1");
  expect(networkOf("::1")).toBe("0:0:0:0");
  expect(networkOf("")).toBe("");
});

test("the network is the same for every form of one IPv6 address", () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(0, 1, 0xff_ff, 0x2001), { minLength: 8, maxLength: 8 }), (groups) => {
      const long = groups.map((group) => group.toString(16).padStart(4, "0")).join(":");
      const short = new URL(`http://[${long}]/`).hostname.slice(1, -1);
      expect(isIPv6(short)).toBe(true);
      expect(networkOf(short)).toBe(networkOf(long));
      expect(plainAddress(short).includes(":")).toBe(plainAddress(long).includes(":"));
    }),
  );
});
