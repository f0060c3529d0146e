import { formatEmailId, parseEmailId } from "@restante/engine";
import { beforeAll, describe, expect, test } from "vitest";
import { type Account, openAccount, pace } from "./email-kit.ts";
import { flagOf } from "./keywords.ts";
import { keywordsOf } from "./view.ts";

let account: Account;
beforeAll(async () => {
  account = await openAccount();
});

const MAIL = "Subject: a\r\n\r\nb\r\n";

/** An email with these flags in the mailboxes, by path. */
async function emailWith(flags: Readonly<Record<string, readonly string[]>>): Promise<string> {
  const paths = Object.keys(flags);
  const id = await account.add(MAIL, paths);
  for (const path of paths) {
    const view = account.session.openView(account.session.getMailbox(path).id, { readOnly: false });
    await view.setFlags([view.length - 1], { mode: "replace", flags: flags[path]! });
  }
  return id;
}

const keywords = async (id: string): Promise<unknown> => (await account.get(id, { properties: ["keywords"] })).keywords;

describe("keywords of an email in several mailboxes: seen and draft as all of them say, else as any says", () => {
  test.each([
    ["none", { INBOX: [], Archive: [] }, []],
    ["seen in one", { INBOX: ["\\Seen"], Archive: [] }, []],
    ["seen in all", { INBOX: ["\\Seen"], Archive: ["\\Seen", "x"] }, ["$seen", "x"]],
    ["a draft in one", { INBOX: ["\\Draft"], Archive: ["\\Flagged"] }, ["$flagged"]],
    ["a draft in all", { INBOX: ["\\Draft"], Archive: ["\\Draft"] }, ["$draft"]],
    ["others in any", { INBOX: ["\\Answered", "A"], Archive: ["\\Flagged", "b"] }, ["$answered", "$flagged", "a", "b"]],
    ["what is deleted doesn't count", { INBOX: ["\\Seen"], Archive: ["\\Deleted", "x"] }, ["$seen"]],
    ["nor does it where it is seen", { INBOX: [], Archive: ["\\Deleted", "\\Seen"] }, []],
    ["in lower case", { INBOX: ["$Forwarded", "NonJunk"], Archive: [] }, ["$forwarded", "nonjunk"]],
    ["in three", { INBOX: ["\\Seen"], Archive: ["\\Seen"], Trash: ["k"] }, ["k"]],
    ["words for flags say nothing", { INBOX: ["$seen", "$Draft", "$Recent", "$answered"], Archive: ["x"] }, ["x"]],
    ["nor do they in one mailbox", { INBOX: ["$flagged", "$recent", "y"] }, ["y"]],
  ])("%s", async (_, flags, wanted) => {
    const told = await keywords(await emailWith(flags as unknown as Record<string, readonly string[]>));
    expect(Object.keys(told as object).sort()).toEqual([...wanted].sort());
    expect(new Set(Object.values(told as object))).toEqual(new Set(wanted.length > 0 ? [true] : []));
  });

  test("of an email that is expunged in one mailbox the others are told", async () => {
    const id = await emailWith({ INBOX: ["\\Flagged", "\\Deleted"], Archive: ["\\Seen"] });
    const view = account.session.openView(account.session.getMailbox("INBOX").id, { readOnly: false });
    await view.expunge([view.length - 1]);
    const mailboxIds = { "p0000000000000000-0-5": true };
    const given = { properties: ["mailboxIds", "keywords"] };
    expect(await account.get(id, given)).toEqual({ id, mailboxIds, keywords: { $seen: true } });
    const archive = account.session.openView(account.session.getMailbox("Archive").id, { readOnly: false });
    await archive.setFlags([archive.length - 1], { mode: "add", flags: ["\\Deleted"] });
    await archive.expunge([archive.length - 1]);
    await expect(account.get(id, given)).rejects.toThrow("not there");
  });

  test("two memberships in one mailbox are one place", async () => {
    const id = await emailWith({ INBOX: ["\\Seen"] });
    const view = account.session.openView(account.session.getMailbox("INBOX").id, { readOnly: false });
    await view.copy([view.length - 1], account.session.getMailbox("INBOX").id);
    expect(await account.get(id, { properties: ["mailboxIds", "keywords"] })).toEqual({
      id,
      mailboxIds: { "p0000000000000000-0-0": true },
      keywords: { $seen: true },
    });
  });

  test("a keyword may be named as a property of all objects is", async () => {
    const id = await emailWith({ INBOX: ["__proto__", "constructor"], Archive: ["toString"] });
    const text = JSON.stringify(await keywords(id));
    expect(text).toContain('"__proto__":true');
    expect(text).toContain('"constructor":true');
    expect(text).toContain('"tostring":true');
  });

  test("what is in no mailbox has none", () => {
    expect(keywordsOf(account.session.state, [])).toEqual({});
  });

  test("the view agrees with the engine's search for a keyword", async () => {
    const words = ["\\Seen", "\\Draft", "\\Flagged", "\\Answered", "\\Deleted", "k", "L"];
    let seed = 7;
    const next = (below: number): number => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fffffff;
      return (seed >> 8) % below;
    };
    const some = (): string[] => words.filter(() => next(2) === 0);
    for (let run = 0; run < 40; run++) await emailWith({ INBOX: some(), Archive: some(), Trash: some() });
    for (const word of words) {
      if (word === "\\Deleted") continue;
      const { ids } = await account.session.queryEmails({ condition: { kind: "keyword", keyword: word } }, { pace });
      const all = await account.session.queryEmails({ condition: { kind: "all" } }, { pace });
      const keyword = { "\\Seen": "$seen", "\\Draft": "$draft", "\\Flagged": "$flagged", "\\Answered": "$answered" }[
        word
      ];
      const has: string[] = [];
      for (const id of all.ids.map(formatEmailId))
        if (Object.hasOwn((await keywords(id)) as object, keyword ?? word.toLowerCase())) has.push(id);
      expect(ids.map(formatEmailId), word).toEqual(has);
    }
  });
});

test("what is told of an email is told of the moment at which it was found", async () => {
  const id = await emailWith({ INBOX: ["\\Seen"] });
  const [email] = await account.session.findEmails([parseEmailId(id)!], { pace });
  expect(keywordsOf(account.session.state, email!.memberships)).toEqual({ $seen: true });
});

test("system keywords are flags, others stand for themselves", () => {
  expect(["$seen", "$draft", "$flagged", "$answered", "$forwarded", "x"].map(flagOf)).toEqual([
    ...["\\Seen", "\\Draft", "\\Flagged", "\\Answered", "$forwarded", "x"],
  ]);
});
