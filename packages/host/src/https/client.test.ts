import { expect, test } from "vitest";
import { TrustedProxies } from "./client.ts";

const proxies = new TrustedProxies(["127.0.0.1", "10.0.0.0/8", "2001:db8::/64", "unix"]);

function client(remoteAddress: string | undefined, forwarded?: string, proto?: string) {
  const headers = {
    ...(forwarded === undefined ? {} : { "x-forwarded-for": forwarded }),
    ...(proto === undefined ? {} : { "x-forwarded-proto": proto }),
  };
  return proxies.clientOf({ remoteAddress }, headers);
}

test.each([
  ["127.0.0.1", "198.51.100.7", "198.51.100.7"],
  ["::ffff:127.0.0.1", "198.51.100.7", "198.51.100.7"],
  [undefined, "198.51.100.7", "198.51.100.7"],
  // Entries before those of our proxies are the client's invention.
  ["127.0.0.1", "192.0.2.1, 198.51.100.7", "198.51.100.7"],
  ["127.0.0.1", "192.0.2.1, 198.51.100.7, 10.1.2.3", "198.51.100.7"],
  ["127.0.0.1", "nonsense, 10.1.2.3", "10.1.2.3"],
  ["127.0.0.1", "[2001:db8:1::2]", "2001:db8:1::2"],
  ["2001:db8::5", "::ffff:198.51.100.7", "198.51.100.7"],
  ["127.0.0.1", "::ffff:c633:6407", "198.51.100.7"],
  ["127.0.0.1", "192.0.2.1, ::ffff:a01:203", "192.0.2.1"],
  ["127.0.0.1", undefined, "127.0.0.1"],
  [undefined, undefined, ""],
  // A peer that is no proxy of ours is not believed.
  ["198.51.100.9", "198.51.100.7", "198.51.100.9"],
  ["2001:db8:0:1::5", "198.51.100.7", "2001:db8:0:1::5"],
])("from %s with %s it is %s", (peer, forwarded, address) => {
  expect(client(peer, forwarded, "https").address).toBe(address);
});

test("what a proxy forwards is secure if it says so", () => {
  expect(client("127.0.0.1", "198.51.100.7", "https").isSecure).toBe(true);
  expect(client("127.0.0.1", "198.51.100.7", "http").isSecure).toBe(false);
  expect(client("127.0.0.1", "198.51.100.7", "https, http").isSecure).toBe(false);
  expect(client("127.0.0.1", "198.51.100.7").isSecure).toBe(false);
  expect(client("127.0.0.1").isSecure).toBe(true);
  expect(client("127.0.0.1", undefined, "http").isSecure).toBe(false);
  expect(client("127.0.0.1", "unknown", "http").isSecure).toBe(false);
  expect(client("127.0.0.1", "unknown").isSecure).toBe(false);
  expect(client("198.51.100.9", "198.51.100.7", "http").isSecure).toBe(true);
  expect(
    new TrustedProxies([]).clientOf({ remoteAddress: undefined }, { "x-forwarded-for": "192.0.2.1" }).address,
  ).toBe("");
});

test.each(["localhost", "10.0.0.0/33", "10.0.0.0/", "::1/129", "unix:/x", ""])("%j is no proxy", (item) => {
  expect(() => new TrustedProxies([item])).toThrow("https.trusted_proxies");
});
