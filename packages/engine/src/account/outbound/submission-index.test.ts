import { expect, test } from "vitest";
import type { Mail } from "../../mail/mail.ts";
import type { Submission } from "./submission.ts";
import { SubmissionIndex } from "./submission-index.ts";

/** An index over submissions that a test adds and takes away, and how often each was asked for. */
function setUp() {
  const all = new Map<string, Submission>();
  const asked: string[] = [];
  const list = () => [...all.keys()].map((id) => ({ id }));
  const mail = { state: { records: { list } } } as unknown as Mail;
  const index = new SubmissionIndex(mail, async (id) => {
    asked.push(id);
    await Promise.resolve();
    return all.get(id);
  });
  const add = (id: string, madeMs: number, ...addresses: readonly string[]): void => {
    const recipients = addresses.map((address) => ({ address }));
    all.set(id, { id, envid: `e${id}`, madeMs, recipients } as unknown as Submission);
  };
  const to = async (...addresses: readonly string[]) => (await index.to(addresses)).map(({ id }) => id);
  return { all, asked, index, add, to };
}

test("what went to an address comes the newest first, each once, however it is written", async () => {
  const { add, to } = setUp();
  add("a", 1, "bob@x.org", "BOB@X.org");
  add("c", 3, "bob@x.org", "eve@x.org");
  add("d", 2, "eve@x.org");
  add("b", 2, "Bob@x.org");
  expect(await to("bob@X.org")).toEqual(["c", "b", "a"]);
  expect(await to("eve@x.org", "bob@x.org")).toEqual(["c", "b", "d", "a"]);
  expect(await to("mallory@x.org")).toEqual([]);
});

test("each is read once, by many who ask at once too; what came later is found", async () => {
  const { add, all, asked, index, to } = setUp();
  add("a", 1, "bob@x.org");
  await Promise.all([to("bob@x.org"), index.ofEnvelope("ea"), to("eve@x.org")]);
  const before = asked.length;
  expect(await to("bob@x.org")).toEqual(["a"]);
  expect(asked.length).toBe(before);
  add("b", 2, "bob@x.org");
  expect((await index.ofEnvelope("eb"))?.id).toBe("b");
  expect(await index.ofEnvelope("e")).toBeUndefined();
  all.delete("b");
  expect(asked.slice(before)).toEqual(["b"]);
});
