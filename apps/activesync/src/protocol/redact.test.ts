import { expect, test } from "vitest";
import type { Element } from "wbxml";
import { group, leaf } from "./elements.ts";
import { redactElement } from "./redact.ts";

test("tags and numbers are told, and of texts the length", () => {
  const root = group(
    "AirSync:Sync",
    leaf("AirSync:SyncKey", "12"),
    leaf("AirSync:CollectionId", "5:1"),
    group("AirSync:ApplicationData", leaf("Email:Subject", "a secret"), leaf("Email:To", "1@2")),
  );
  expect(redactElement(root)).toBe(
    "<AirSync:Sync><SyncKey>12</><CollectionId>5:1</><ApplicationData><Email:Subject>[8]</><Email:To>[3]</></></>",
  );
});

test("a line has an end", () => {
  const many: Element[] = Array.from({ length: 100_000 }, () => leaf("AirSync:ServerId", "1"));
  expect(redactElement(group("AirSync:Sync", ...many)).length).toBeLessThan(4200);
});
