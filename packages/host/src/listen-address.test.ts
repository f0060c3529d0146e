import { expect, test } from "vitest";
import { isLoopbackAddress, isLoopbackClient, isOnePlace, parseListenAddress } from "./listen-address.ts";

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

test.each([
  ["127.0.0.1", true],
  ["127.255.255.254", true],
  ["::1", true],
  ["0:0:0:0:0:0:0:1", true],
  ["::ffff:127.0.0.1", true],
  ["::FFFF:7f00:1", true],
  ["128.0.0.1", false],
  ["192.0.2.1", false],
  ["0.0.0.0", false],
  ["::", false],
  ["::2", false],
  ["::ffff:192.0.2.1", false],
  ["::ffff:c000:201", false],
  // These are names, which may stand for any address.
  ["127.example.org", false],
  ["127.1", false],
  ["127.0.0.1.example.org", false],
])("%s is loopback: %s", (host, expected) => {
  expect(isLoopbackAddress(parseListenAddress(host.includes(":") ? `[${host}]:993` : `${host}:993`))).toBe(expected);
  expect(isLoopbackClient(host)).toBe(expected);
});

test("localhost and a unix socket are loopback to listen on, a client without an address is on this machine", () => {
  expect(["localhost:1", "LocalHost:1", "unix:/run/a"].map(parseListenAddress).every(isLoopbackAddress)).toBe(true);
  expect(isLoopbackClient(undefined)).toBe(true);
  expect(["", "localhost"].some(isLoopbackClient)).toBe(false);
});
