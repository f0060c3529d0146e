import { expect, test } from "vitest";
import type { ObjectStore } from "../../storage/object-store.ts";
import { settle } from "../../testing/hand-time.ts";
import { Mortal, request, setUp, to } from "../../testing/outbound-kit.ts";
import { SUBMISSION } from "./submission.ts";

/** The report on a mail is with its owner as soon as its store has it: no clock moves here, and nobody asks. */

/** A process whose writes are told, in order. */
class Watched extends Mortal {
  readonly writes: string[] = [];

  override store(store: ObjectStore): ObjectStore {
    const { writes } = this;
    return new Proxy(store, {
      get(target, name) {
        const value = Reflect.get(target, name) as unknown;
        if (typeof value !== "function") return value;
        return (first: unknown, ...more: unknown[]) => {
          const kind = /(?:^outbound|\/)\/?([a-z]+)\//.exec(String(first))?.[1];
          if (name === "put" || name === "putIfAbsent") writes.push(kind ?? String(first));
          if (name === "delete") writes.push("gone");
          return (value as (...all: unknown[]) => unknown).call(target, first, ...more);
        };
      },
    });
  }
}

test("the report is written between the exchange and the mail's end, by no timer, and its owner hears of it by no question", async () => {
  const { process, sink, time } = await setUp();
  const watched = new Watched();
  const { signIn } = await process({ mortal: watched });
  const session = await signIn();
  await settle();
  const heard: string[] = [];
  const { id } = await session.submit(request({ envelope: to("bob@x.org") }));
  session.onChange(() => heard.push(session.state.records.find(SUBMISSION, id) ? "told" : "none"));
  const begun = time.now();
  await settle();
  expect([time.now() - begun, sink.length]).toEqual([0, 1]);
  expect(heard.length).toBeGreaterThan(0);
  // Its record is what the report made it: nothing was asked for.
  expect((await session.findSubmission(id))?.undoStatus).toBe("final");
  const after = watched.writes.slice(watched.writes.indexOf("queue") + 1);
  expect(after.filter((kind) => kind !== "log")).toEqual(["claim", "claim", "note", "done", "gone"]);
});
