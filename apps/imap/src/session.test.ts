import type { AccountSession, MailboxView } from "@restante/engine";
import { expect, test } from "vitest";
import { SearchContexts } from "./contexts.ts";
import type { Output } from "./output.ts";
import { type Link, Session } from "./session.ts";

test("while what a sync found is told, no modseq above it is: what changes between two answers is told of by the next", async () => {
  let now = 5;
  const view = {
    isTelling: false,
    length: 2,
    sync: () => ({ expunged: [], expungedUids: [], added: 0, flagged: [0, 1], invalidated: false }),
    message: (position: number) => ({ position, row: position, state: { flagsNumber: () => 0, flagNames: () => [] } }),
    uidAt: (position: number) => position + 1,
    modSeqOf: () => (view.isTelling ? Math.min(now, 5) : now),
  };
  const told: string[] = [];
  const output = { text: (text: string) => void told.push(text), isFull: false } as unknown as Output;
  const session = new Session({} as Link, output);
  session.account = { state: { findMailbox: () => undefined } } as unknown as AccountSession;
  session.enabled.add("CONDSTORE");
  session.selected = {
    view: view as unknown as MailboxView,
    recent: [],
    keywords: new Set(),
    saved: new Uint32Array(0),
    contexts: new SearchContexts(),
  };
  const telling = session.syncView({ expunges: true, uid: false });
  now = 7;
  await telling;
  expect(told).toEqual(["* 1 FETCH (FLAGS () MODSEQ (5))\r\n", "* 2 FETCH (FLAGS () MODSEQ (5))\r\n"]);
  expect(view.isTelling).toBe(false);
});
