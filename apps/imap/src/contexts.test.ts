import { EngineError } from "@restante/engine";
import { expect, test } from "vitest";
import { SearchContexts } from "./contexts.ts";
import { CONTEXT_MESSAGES_MAX, CONTEXTS_MAX } from "./limits.ts";
import type { Session } from "./session.ts";

const ALL = { kind: "all" } as const;
const view = { length: 3, uidAt: (place: number) => place + 1, lowerBound: (uid: number) => uid - 1 };
const sessionWith = (search: () => Promise<ArrayLike<number>>): Session =>
  ({ view, mail: { search }, link: { nowMs: () => 0 } }) as unknown as Session;

test("a client has so many results kept, of so many messages in all, and room again when it lets go of one", () => {
  const session = sessionWith(async () => []);
  const contexts = new SearchContexts();
  const add = (tag: string, places: ArrayLike<number> = []): boolean =>
    contexts.add(session, { tag, key: ALL, by: undefined, uid: true }, Uint32Array.from(places));
  for (let n = 0; n < CONTEXTS_MAX; n++) expect(add(`t${n}`)).toBe(true);
  expect(add("one more")).toBe(false);
  expect(contexts.has("one more")).toBe(false);
  contexts.cancel("t0");
  expect(add("one more", { length: CONTEXT_MESSAGES_MAX })).toBe(true);
  contexts.cancel("t1");
  expect(add("and one", [0])).toBe(false);
  expect(add("and one")).toBe(true);
});

test("results that are told in sequence numbers end where these do", async () => {
  const session = sessionWith(async () => Uint32Array.of(0));
  const contexts = new SearchContexts();
  for (const tag of ["a", "b"])
    contexts.add(session, { tag, key: ALL, by: undefined, uid: tag === "b" }, new Uint32Array());
  expect([...contexts.endNumbers()]).toEqual([expect.stringMatching(/^NO \[NOUPDATE "a"\] /)]);
  expect(await Array.fromAsync(contexts.changed(session, [0]))).toEqual(['ESEARCH (TAG "b") UID ADDTO (0 1)']);
});

test("a result that can't be looked for any more is followed no more, and that is told", async () => {
  let isAway = false;
  const session = sessionWith(async () => {
    if (isAway) throw new EngineError("unavailable", "the store is away");
    return [0];
  });
  const contexts = new SearchContexts();
  contexts.add(session, { tag: "a", key: ALL, by: undefined, uid: true }, new Uint32Array());
  expect(await Array.fromAsync(contexts.changed(session, [0]))).toEqual(['ESEARCH (TAG "a") UID ADDTO (0 1)']);
  isAway = true;
  expect(await Array.fromAsync(contexts.changed(session, [1]))).toEqual([
    expect.stringMatching(/^NO \[NOUPDATE "a"\] /),
  ]);
  expect(await Array.fromAsync(contexts.changed(session, [1]))).toEqual([]);
});
