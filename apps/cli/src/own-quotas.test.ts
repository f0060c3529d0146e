import { expect, test } from "vitest";
import { OwnQuotas } from "./own-quotas.ts";

test("a directory says of one account what the configuration says of all, each number for itself", () => {
  const quotas = new OwnQuotas({ quota: { bytes: 1000, messages: 0, on_full: "452" } });
  expect(quotas.ofAll).toEqual({ bytesMax: 1000, messagesMax: undefined });
  expect(quotas.of("ab")).toBeUndefined();
  quotas.limit("ab", { messages: 5 });
  expect(quotas.of("ab")).toEqual({ bytesMax: 1000, messagesMax: 5 });
  quotas.limit("ab", { bytes: 0, messages: 7 });
  expect(quotas.of("ab")).toEqual({ bytesMax: undefined, messagesMax: 7 });
  expect(quotas.of("cd")).toBeUndefined();
  quotas.limit("ab", {});
  expect(quotas.of("ab")).toBeUndefined();
});
