import type { DoorRequest } from "@restante/host";
import { expect, test } from "vitest";
import { headerCredential } from "./credentials.ts";

const credential = (bytes: Uint8Array) =>
  headerCredential({ header: () => `Basic ${Buffer.from(bytes).toString("base64")}` } as unknown as DoorRequest);

test.each([
  ["UTF-8", Buffer.from("ada@example.org:schlüssel"), "ada@example.org", "schlüssel"],
  [
    "ISO-8859-1, where it is no UTF-8",
    Buffer.from("ada@example.org:schlüssel", "latin1"),
    "ada@example.org",
    "schlüssel",
  ],
  ["a domain before the name", Buffer.from("EXAMPLE\\ada@example.org:a\\b:c"), "ada@example.org", "a\\b:c"],
])("Basic in %s", (_name, bytes, name, password) => {
  expect(credential(bytes)).toEqual({ kind: "password", name, password });
});
