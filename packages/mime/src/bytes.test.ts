import { expect, test } from "vitest";
import { Bytes } from "./bytes.ts";

const octets = Uint8Array.from({ length: 600 }, (_, at) => at % 251);

test("what came last is taken back, also what was past the limit", () => {
  const bytes = new Bytes(500);
  bytes.add(octets, 0, 300);
  bytes.add(octets, 300, 600);
  bytes.drop(50);
  bytes.drop(49);
  expect(bytes.take()).toEqual(octets.slice(0, 500));
  // It begins anew.
  bytes.add(octets, 0, 10);
  bytes.drop(3);
  expect(bytes.take()).toEqual(octets.slice(0, 7));
  bytes.drop(5);
  expect(bytes.take()).toHaveLength(0);
});
