import fc from "fast-check";
import { expect, test } from "vitest";
import { mailboxId, type WriterId } from "../ops/names.ts";
import { Mailbox } from "./mailbox.ts";
import { PathIndex } from "./path-index.ts";
import { MailState } from "./state.ts";

const level = fc.constantFrom("a", "b", "a b", "a-", "A", "ä", "\u{10000}", "\uffff", "");

test("what is below a path, and what has it, are those that a walk finds", () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.array(level, { minLength: 1, maxLength: 4 }).map((levels) => levels.join("/"))),
      (paths) => {
        const mailboxes = paths.map(
          (path, at) => new Mailbox(mailboxId("0000000000000001" as WriterId, 1, at), at, path, {}),
        );
        const index = new PathIndex(mailboxes);
        for (const path of [...paths, "a", "a/b", "", "none"]) {
          expect(index.get(path)).toBe(mailboxes.find((mailbox) => mailbox.path === path));
          expect(index.below(path)).toEqual(mailboxes.filter((mailbox) => mailbox.path.startsWith(`${path}/`)));
        }
      },
    ),
  );
});

test("a mailbox that came since somebody looked is found", () => {
  const state = new MailState();
  expect(state.holderOf("a/b")).toBeUndefined();
  const mailbox = state.addMailbox(mailboxId("0000000000000001" as WriterId, 1, 0), "a/b", {});
  expect([state.holderOf("a/b"), state.below("a")]).toEqual([mailbox, [mailbox]]);
});
