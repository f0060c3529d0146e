import { expect, test } from "vitest";
import { News } from "./news.ts";
import type { Output } from "./output.ts";
import type { Session } from "./session.ts";

/** A session whose news take until they are let go. */
function setUp() {
  const events: string[] = [];
  let change: () => void = () => undefined;
  let letGo: () => void = () => undefined;
  const account = {
    onChange(listener: () => void) {
      change = listener;
      return () => {
        change = () => undefined;
      };
    },
  };
  const session = {
    account,
    async tellNews() {
      events.push("begins");
      await new Promise<void>((resolve) => {
        letGo = resolve;
      });
      events.push("told");
    },
  };
  const failures: unknown[] = [];
  const news = new News({
    session: session as unknown as Session,
    output: { flush: async () => undefined } as unknown as Output,
    isClosing: () => false,
    onFailure: (error) => failures.push(error),
  });
  return { news, events, failures, change: () => change(), letGo: () => letGo(), session };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("what is told while a command is read is told wholly before the command is run", async () => {
  const { news, events, change, letGo } = setUp();
  news.watch(true);
  const read = news.during(async () => {
    change();
    await turn();
    events.push("read");
  });
  await turn();
  await turn();
  void read.then(() => events.push("runs"));
  await turn();
  expect(events).toEqual(["begins", "read"]);
  letGo();
  await read;
  await turn();
  expect(events).toEqual(["begins", "read", "told", "runs"]);
});

test("what changes while a command runs, or while it is told, is told before the next is read", async () => {
  const { news, events, change, letGo } = setUp();
  news.watch(true);
  change();
  change();
  const read = news.during(async () => void events.push("read"));
  await turn();
  change();
  letGo();
  await turn();
  letGo();
  await read;
  expect(events).toEqual(["begins", "told", "begins", "told", "read"]);
});

test("who wants to hear nothing more does not, and what fails is told once", async () => {
  const { news, events, failures, change, session } = setUp();
  news.watch(true);
  news.watch(false);
  change();
  await news.during(async () => undefined);
  expect(events).toEqual([]);
  news.watch(true);
  session.tellNews = async () => {
    throw new Error("gone");
  };
  change();
  await news.during(async () => undefined);
  await news.end();
  expect(failures).toHaveLength(1);
});
