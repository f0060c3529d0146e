import { expect, test } from "vitest";
import { parseImapPlace } from "./imap-place.ts";
import { chooseFolders, type Listed, type ListingFacts } from "./remote-folders.ts";

const PLAIN: ListingFacts = { prefix: "", foreignPrefixes: [], isGmail: false };

function listed(path: string, more: Partial<Omit<Listed, "flags">> & { flags?: string[] } = {}): Listed {
  return { path, delimiter: "/", subscribed: true, ...more, flags: new Set(more.flags) };
}

function paths(entries: readonly Listed[], facts: Partial<ListingFacts> = {}): string[] {
  return chooseFolders(entries, { ...PLAIN, ...facts }).folders.map(({ path }) => path);
}

test("what can't be selected is left out; levels are the delimiter's, and the prefix of a server goes", () => {
  const entries = [
    listed("INBOX", { delimiter: "." }),
    listed("INBOX.Sent", { delimiter: ".", specialUse: "\\Sent" }),
    listed("INBOX.a/b.c", { delimiter: "." }),
    listed("INBOX.gone", { delimiter: ".", flags: ["\\nonexistent"] }),
    listed("INBOX.none", { delimiter: ".", flags: ["\\Noselect"] }),
  ];
  expect(paths(entries, { prefix: "INBOX." })).toEqual(["INBOX", "Sent", "a_b/c"]);
  expect(chooseFolders(entries, { ...PLAIN, prefix: "INBOX." }).notices).toEqual([
    "INBOX.a/b.c is a_b/c here: a name has no slash",
  ]);
});

test("views of other mailboxes and what is others' are left out, and told", () => {
  const entries = [
    listed("INBOX"),
    listed("All", { specialUse: "\\All" }),
    listed("Starred", { specialUse: "\\Flagged" }),
    listed("Other Users/bob"),
    listed("Archive", { specialUse: "\\Archive", subscribed: undefined }),
  ];
  const { folders, notices } = chooseFolders(entries, { ...PLAIN, foreignPrefixes: ["", "Other Users/"] });
  expect(folders.map(({ path, specialUse, subscribed }) => [path, specialUse, subscribed])).toEqual([
    ["INBOX", undefined, true],
    ["Archive", "\\Archive", false],
  ]);
  expect(notices.map((text) => text.split(" is left out")[0])).toEqual(["All", "Starred", "Other Users/bob"]);
});

test("names are asked for special uses where the server tells none", () => {
  const guessed = listed("Entw\u00fcrfe", { specialUse: "\\Drafts", specialUseSource: "name" });
  const told = listed("Gesendet", { specialUse: "\\Sent", specialUseSource: "extension" });
  const usesOf = (entries: readonly Listed[]): unknown[] =>
    chooseFolders(entries, PLAIN).folders.map(({ specialUse }) => specialUse);
  expect(usesOf([guessed])).toEqual(["\\Drafts"]);
  expect(usesOf([guessed, told])).toEqual([undefined, "\\Sent"]);
});

test("Gmail: each mail once, by its labels, if its view of all is there", () => {
  const entries = [
    listed("INBOX"),
    listed("Work"),
    listed("[Gmail]/All Mail", { specialUse: "\\All" }),
    listed("[Gmail]/Spam", { specialUse: "\\Junk" }),
    listed("[Gmail]/Trash", { specialUse: "\\Trash" }),
    listed("[Gmail]/Starred", { specialUse: "\\Flagged" }),
  ];
  const { folders, notices } = chooseFolders(entries, { ...PLAIN, isGmail: true });
  expect(folders.map(({ name, byLabels }) => [name, byLabels])).toEqual([
    ["[Gmail]/All Mail", true],
    ["[Gmail]/Spam", false],
    ["[Gmail]/Trash", false],
  ]);
  expect(notices).toEqual([]);
  const hidden = entries.filter(({ specialUse }) => specialUse !== "\\All");
  expect(paths(hidden, { isGmail: true })).toEqual(["INBOX", "Work", "[Gmail]/Spam", "[Gmail]/Trash"]);
});

test.each([
  ["imaps://ada@example.org@imap.example.net", { user: "ada@example.org", host: "imap.example.net", port: 993 }],
  ["imaps://ada%40example.org@imap.example.net:1993/", { user: "ada@example.org", port: 1993 }],
  ["imap://ada@[::1]", { user: "ada", host: "::1", port: 143, implicitTls: false }],
  ["imaps://ada@b\u00fccher.example", { host: "xn--bcher-kva.example", implicitTls: true }],
])("%s", (text, place) => {
  expect(parseImapPlace(text)).toMatchObject(place);
});

test.each([
  "imaps://imap.example.net",
  "imaps://ada:secret@imap.example.net",
  "imaps://ada@host:0",
  "imaps://ada@host:70000",
  "imaps://a%0db@host",
  "imaps://%ff@host",
  "mbox:x@y",
])("%s is no place", (text) => {
  expect(parseImapPlace(text)).toBeUndefined();
});
