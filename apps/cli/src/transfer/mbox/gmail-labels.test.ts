import { expect, test } from "vitest";
import { ARCHIVE, readImapLabels, readTakeoutLabels } from "./gmail-labels.ts";

function read(field: string): { readonly flags: readonly string[]; readonly into: readonly string[] } {
  const { flags, into } = readTakeoutLabels(field);
  return { flags, into: into.map(({ path, specialUse }) => (specialUse ? `${path} ${specialUse}` : path)) };
}

test.each([
  ["Inbox,Unread", [], ["INBOX"]],
  ["Sent,Opened", ["\\Seen"], ["Sent \\Sent"]],
  ["=?UTF-8?Q?Posteingang,Ge=C3=B6ffnet,R=C3=BCckfragen?=", ["\\Seen"], ["INBOX", "Rückfragen"]],
  ["=?UTF-8?Q?R=C3=BCckfra?= =?UTF-8?Q?gen,Entw=C3=BCrfe?=", ["\\Seen", "\\Draft"], ["Rückfragen", "Drafts \\Drafts"]],
  ['Starred,Opened,Projects/2026, "Quoted, label"', ["\\Seen", "\\Flagged"], ["Projects/2026", "Quoted, label"]],
  ["Spam,Trash", ["\\Seen"], ["Junk \\Junk", "Trash \\Trash"]],
  ["Important,Category Promotions,Unread", ["$Important", "Category_Promotions"], ["Archive \\Archive"]],
  ["IMAP_$Forwarded,Inbox", ["\\Seen", "$Forwarded"], ["INBOX"]],
  ["Archived,/a//b/", ["\\Seen"], ["a/b"]],
  ["", ["\\Seen"], ["Archive \\Archive"]],
] as const)("Takeout's %s", (field, flags, into) => {
  expect(read(field)).toEqual({ flags, into });
});

test("labels over IMAP: Gmail's own begin with a backslash", () => {
  expect(readImapLabels(["\\Inbox", "\\Starred", "Work"]).map(({ path }) => path)).toEqual(["INBOX", "Work"]);
  expect(readImapLabels(["\\Important"])).toEqual([ARCHIVE]);
});
