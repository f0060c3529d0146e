import { expect, test } from "vitest";
import { isOnePlace, parseListenAddress } from "./listen-address.ts";

test.each([
  ["127.0.0.1:993", "127.0.0.1:993", true],
  ["127.0.0.1:993", "0.0.0.0:993", true],
  ["127.0.0.1:993", "[::]:993", true],
  ["0.0.0.0:993", "[::]:993", true],
  ["[::1]:993", "[::]:993", true],
  ["[::1]:993", "0.0.0.0:993", false],
  ["127.0.0.1:993", "192.0.2.1:993", false],
  ["127.0.0.1:993", "127.0.0.1:143", false],
  ["127.0.0.1:0", "127.0.0.1:0", false],
  ["unix:/run/a", "unix:/run/a", true],
  ["unix:/run/a", "unix:/run/b", false],
  ["unix:/run/a", "0.0.0.0:993", false],
])("whether %s and %s are one place: %s", (one, other, expected) => {
  const [a, b] = [one, other].map(parseListenAddress);
  expect(isOnePlace(a!, b!)).toBe(expected);
  expect(isOnePlace(b!, a!)).toBe(expected);
});
