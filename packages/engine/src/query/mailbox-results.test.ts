import { expect, test } from "vitest";
import { openView } from "../mail/mailbox-view.ts";
import { MemoryPlace } from "../storage/memory.ts";
import { clock, makeAccount, open, stream } from "../testing/account-kit.ts";
import type { Condition } from "./condition.ts";
import type { Searched } from "./filter.ts";
import { KeptHeaders } from "./kept-headers.ts";
import { MailboxResults } from "./mailbox-results.ts";
import { Scans } from "./scans.ts";

const all: Condition = { kind: "all" };
const withWord: Condition = { kind: "subject", text: "word" };

/** An account with some mails. `asks` are three questions, each with how it is told. */
async function scene() {
  clock.now = 1_800_000_000_000;
  const place = new MemoryPlace();
  const { ring } = await makeAccount(place);
  const account = await open(place, ring());
  await account.mail.ensure("Archive");
  const add = async (n: number, path = "INBOX"): Promise<void> => {
    const text = `Subject: word ${(n * 7) % 5}\r\nMessage-ID: <${n}@x>\r\nReferences: <${n - 2}@x>\r\n\r\n`;
    await account.append(
      account.mail.getMailbox(path).id,
      await account.prepare(stream(text), { mailbox: path, flags: [] }),
    );
  };
  for (let n = 0; n < 10; n++) await add(n);
  const kept = new KeptHeaders(
    () => account.mail.state,
    () => new Promise(() => undefined),
  );
  const pace = { isOver: () => false, take: async () => undefined };
  const tools = { contents: account.contents, scans: new Scans(), kept, pace };
  const results = new MailboxResults(() => account.mail.state);
  const view = (path = "INBOX") => openView(account.mail, account.mail.getMailbox(path).id, { readOnly: false });
  const asks: readonly ((list: Searched) => Promise<object>)[] = [
    (list) => results.search(list, withWord, tools),
    (list) => results.sort(list, all, [{ by: "subject" }], tools),
    (list) => results.thread(list, "references", all, tools),
  ];
  return { account, add, asks, results, tools, view };
}

test("the same is handed out to all who ask the same, until the mailbox changes", async () => {
  const { account, add, asks, view } = await scene();
  await add(10, "Archive");
  for (const [nth, ask] of asks.entries()) {
    const first = await ask(view());
    expect(await ask(view())).toBe(first);
    expect(await ask(view("Archive"))).not.toEqual(first);
    // Changes in other mailboxes leave the result as it is.
    await account.mail.subscribe("Archive", true);
    await view("Archive").setFlags([0], { mode: "add", flags: ["\\Seen"] });
    expect(await ask(view())).toBe(first);
    await view().setFlags([3], { mode: "add", flags: [`flag${nth}`] });
    expect(await ask(view())).not.toBe(first);
    await add(20);
    expect(await ask(view())).not.toEqual(first);
  }
  await account.dispose();
});

test("who does not know yet what came and went has places of their own", async () => {
  const { account, add, asks, view } = await scene();
  for (const ask of asks) {
    const late = view();
    const other = view();
    await other.setFlags([2], { mode: "add", flags: ["\\Deleted"] });
    await other.expunge();
    const now = await ask(view());
    expect(await ask(late)).not.toEqual(now);
    expect(await ask(view())).toBe(now);
    // The other way round as well: theirs are handed to nobody else.
    await add(30);
    await add(31);
    const theirs = await ask(late);
    expect(await ask(view())).not.toEqual(theirs);
    expect(await ask(view())).not.toEqual(await ask(other));
    other.sync({ expunges: true });
    expect(await ask(other)).toBe(await ask(view()));
  }
  await account.dispose();
});

test("who knows of one less, or of another in its place, is handed nothing of others, nor they of theirs", async () => {
  const { account, add, asks, view } = await scene();
  let n = 40;
  for (const ask of asks) {
    const one = view();
    await add(n++);
    const now = await ask(view());
    expect(await ask(one)).not.toBe(now);
    const theirs = await ask(one);
    expect(await ask(view())).not.toBe(theirs);
    const late = view();
    await view().setFlags([0], { mode: "add", flags: ["\\Deleted"] });
    await view().expunge();
    await add(n++);
    expect(late.length).toBe(view().length);
    const then = await ask(view());
    expect(await ask(late)).not.toBe(then);
    const lateOnes = await ask(late);
    expect(await ask(view())).not.toBe(lateOnes);
  }
  await account.dispose();
});

test("what is too large is not kept: a thread has two numbers a message", async () => {
  const { account, tools, view } = await scene();
  const results = new MailboxResults(() => account.mail.state, 15);
  const sort = () => results.sort(view(), all, [{ by: "size" }], tools);
  const thread = () => results.thread(view(), "ordered-subject", all, tools);
  expect(await sort()).toBe(await sort());
  expect(await thread()).not.toBe(await thread());
  await account.dispose();
});

test("what changed while it was looked for is not kept", async () => {
  const { account, asks, tools, view } = await scene();
  const { pace } = tools;
  const whole = view();
  for (const ask of asks) {
    let isFirst = true;
    Object.assign(pace, {
      isOver: () => isFirst,
      async take() {
        if (!isFirst) return;
        isFirst = false;
        await whole.setFlags([0], { mode: "add", flags: [`of${Math.random()}`] });
      },
    });
    const first = await ask(view());
    expect(isFirst).toBe(false);
    const second = await ask(view());
    expect(second).not.toBe(first);
    expect(await ask(view())).toBe(second);
  }
  await account.dispose();
});

test("a search of columns is made anew each time: it takes no longer than to keep it", async () => {
  const { account, results, tools, view } = await scene();
  const ask = (condition: Condition) => results.search(view(), condition, tools);
  const unseen: Condition = { kind: "not", of: { kind: "keyword", keyword: "\\Seen" } };
  expect(await ask(unseen)).toEqual(await ask(unseen));
  expect(await ask(unseen)).not.toBe(await ask(unseen));
  await account.dispose();
});

test("each order, algorithm and condition is another question", async () => {
  const { account, results, tools, view } = await scene();
  const sorts = [
    [{ by: "subject" }],
    [{ by: "subject", descending: true }],
    [{ by: "subject" }, { by: "size" }],
    [{ by: { keyword: "\\Seen" } }],
  ] as const;
  const found: unknown[] = [];
  for (const by of sorts) found.push(await results.sort(view(), all, by, tools));
  found.push(await results.sort(view(), withWord, sorts[0], tools), await results.search(view(), withWord, tools));
  for (const algorithm of ["references", "refs", "ordered-subject"] as const)
    found.push(await results.thread(view(), algorithm, all, tools));
  expect(new Set(found).size).toBe(9);
  await account.dispose();
});
