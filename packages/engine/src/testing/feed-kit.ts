import { expect } from "vitest";
import { hexText } from "../bay/entry.ts";
import { FIRST_EMAIL_ROW, NO_MODSEQ } from "../mail/numbers.ts";
import { DELETED } from "../mail/state/flags.ts";
import type { ReadState } from "../mail/state/read-state.ts";
import {
  type Changes,
  emailChanges,
  mailboxListChanges,
  type Point,
  recordChanges,
  threadChanges,
} from "../query/changes.ts";
import { Lists } from "../query/lists.ts";
import { rowsOf } from "./world-kit.ts";

export type Things = Map<string, string>;

/** All emails, threads, mailboxes and records as one sees them who comes now. */
export const fresh: Record<string, (state: ReadState) => Things> = {
  emails(state) {
    const seen = new Map<string, string[]>();
    for (const mailbox of state.liveMailboxes())
      for (const row of rowsOf(mailbox)) {
        if ((state.bitsOf(row) & DELETED) !== 0) continue;
        const id = hexText(state.emails.columns.id.getId(state.emailOf(row)));
        seen.set(id, [...(seen.get(id) ?? []), `${mailbox.id} ${state.flagNames(row).join()}`]);
      }
    return new Map([...seen].map(([id, places]) => [id, places.sort().join("; ")]));
  },
  threads(state) {
    const seen = new Map<string, string[]>();
    for (let email = FIRST_EMAIL_ROW; email < state.emails.rows; email++) {
      if (!state.isShown(email)) continue;
      const thread = hexText(state.threadOf(email));
      seen.set(thread, [...(seen.get(thread) ?? []), hexText(state.emails.columns.id.getId(email))]);
    }
    return new Map([...seen].map(([id, emails]) => [id, emails.sort().join()]));
  },
  mailboxes(state) {
    const unread = new Set<string>();
    for (const mailbox of state.liveMailboxes())
      for (const row of rowsOf(mailbox))
        if ((state.bitsOf(row) & DELETED) === 0 && !state.flagNames(row).includes("\\Seen"))
          unread.add(hexText(state.threadOf(state.emailOf(row))));
    return new Map(
      state.liveMailboxes().map((mailbox) => {
        const shown = rowsOf(mailbox).filter((row) => (state.bitsOf(row) & DELETED) === 0);
        const threads = new Set(shown.map((row) => hexText(state.threadOf(state.emailOf(row)))));
        const counts = [new Set(shown.map((row) => state.emailOf(row))).size, threads.size];
        return [
          mailbox.id,
          JSON.stringify([mailbox.path, ...counts, [...threads].filter((id) => unread.has(id)).length]),
        ];
      }),
    );
  },
  records: ({ records }) =>
    new Map(
      [...records.all()].flatMap(({ type, id, value }) =>
        type === "identity" && value && "bytes" in value ? [[id, value.bytes.join()]] : [],
      ),
    ),
};

/** Kept for as long as a state is, as an account keeps them. */
const known = new WeakMap<ReadState, Lists>();
export function listsOf(state: ReadState): Lists {
  const lists = known.get(state) ?? new Lists(state);
  known.set(state, lists);
  return lists;
}

export const feeds: Record<string, (state: ReadState, since: Point, max: number) => Changes | undefined> = {
  emails: emailChanges,
  threads: (state, ...rest) => threadChanges(listsOf(state), ...rest),
  mailboxes: (state, ...rest) => mailboxListChanges(listsOf(state), ...rest),
  records: (state, since, max) => recordChanges(state, "identity", since, max),
};

/** One who reads a feed, in pages, and holds what it told. */
export class Follower {
  held: Things = new Map();
  #point: Point = { modSeq: NO_MODSEQ };
  readonly #name: string;
  restarts = 0;

  constructor(name: string) {
    this.#name = name;
  }

  /** Returns whether it has been told all. */
  follow(state: ReadState, pages: number, max: number): boolean {
    const now = fresh[this.#name]!(state);
    for (let read = 0; read < pages; read++) {
      const changes = feeds[this.#name]!(state, this.#point, max);
      if (!changes) {
        this.restarts++;
        this.held = now;
        this.#point = { modSeq: state.modSeq };
        return true;
      }
      const { created, updated, destroyed, next, hasMore } = changes;
      const told = [...created, ...updated, ...destroyed];
      expect(new Set(told).size).toBe(told.length);
      expect(told.length).toBeLessThanOrEqual(max);
      if (hasMore) expect(told.length).toBe(max);
      // An object that is told as updated was told before.
      for (const id of updated) expect([id, this.held.has(id)]).toEqual([id, true]);
      for (const id of [...created, ...updated]) {
        expect([id, now.has(id)]).toEqual([id, true]);
        this.held.set(id, now.get(id)!);
      }
      for (const id of destroyed) this.held.delete(id);
      this.#point = next;
      if (!hasMore) return true;
    }
    return false;
  }
}
