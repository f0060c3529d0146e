import { expect, test } from "vitest";
import { ACCOUNT_REQUESTS_MAX, ACCOUNT_STREAMS_MAX, ACCOUNT_UPLOADS_MAX } from "./limits.ts";
import { Problem } from "./problem.ts";
import { Turns } from "./turns.ts";

test("each account has so many turns of a kind at once, and no other's", () => {
  const turns = new Turns();
  for (const [kind, max] of [
    ["request", ACCOUNT_REQUESTS_MAX],
    ["upload", ACCOUNT_UPLOADS_MAX],
    ["stream", ACCOUNT_STREAMS_MAX],
  ] as const) {
    const taken = Array.from({ length: max }, () => turns.take("a", kind));
    const refused = ((): unknown => {
      try {
        return turns.take("a", kind);
      } catch (error) {
        return error;
      }
    })();
    expect(refused).toBeInstanceOf(Problem);
    expect((refused as Problem).answer).toMatchObject({ status: 429, headers: { "retry-after": "1" } });
    expect((refused as Problem).document).toMatchObject({ type: "urn:ietf:params:jmap:error:limit" });
    turns.take("b", kind)[Symbol.dispose]();
    // Twice is no error, and gives one turn back.
    taken[0]![Symbol.dispose]();
    taken[0]![Symbol.dispose]();
    turns.take("a", kind);
    expect(() => turns.take("a", kind)).toThrow(Problem);
    for (const one of taken.slice(1)) one[Symbol.dispose]();
  }
});
