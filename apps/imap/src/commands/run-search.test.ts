import { EngineError } from "@restante/engine";
import { expect, test } from "vitest";
import type { Session } from "../session.ts";
import { RETURN_ALL } from "../wire/search-return.ts";
import { runSearch } from "./run-search.ts";

test("a search that fails leaves nothing saved: RFC 5182 §2.1", async () => {
  const saved: unknown[] = [];
  const search = async (): Promise<never> => {
    throw new EngineError("unavailable", "the store is away");
  };
  const session = { save: (uids: unknown) => saved.push(uids), mail: { search }, link: { nowMs: () => 0 } };
  const form = { tag: "a", uid: false, utf8: true };
  const failed = runSearch(
    "SEARCH",
    { wanted: { ...RETURN_ALL, save: true }, key: { kind: "all" } },
    session as unknown as Session,
    form,
  );
  await expect(failed).rejects.toThrow(EngineError);
  expect(saved).toEqual([[]]);
});
