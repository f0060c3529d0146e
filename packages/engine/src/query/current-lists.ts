import type { ReadState } from "../mail/state/read-state.ts";
import { KeptResults } from "./kept-results.ts";
import { Lists } from "./lists.ts";
import { MailboxLists } from "./mailbox-lists.ts";
import { MailboxResults } from "./mailbox-results.ts";
import type { Pace } from "./pace.ts";

/** The lists of mailboxes, which are being made at first. */
interface Mailboxes {
  readonly lists: MailboxLists;
  readonly made: Promise<void>;
  isMade: boolean;
}

/** An account's lists, for whatever state it has. */
export class CurrentLists {
  readonly results: KeptResults<Uint32Array> = new KeptResults(({ length }) => length);
  readonly inMailboxes: MailboxResults;
  readonly #state: () => ReadState;
  #lists: Lists | undefined;
  #mailboxes: Mailboxes | undefined;

  constructor(state: () => ReadState) {
    this.#state = state;
    this.inMailboxes = new MailboxResults(state);
  }

  /** Resolves with the lists of the present state, up to date: to be used before the next await. */
  async get(pace: Pace, signal?: AbortSignal): Promise<Lists> {
    for (;;) {
      signal?.throwIfAborted();
      const state = this.#state();
      if (this.#lists?.state !== state) this.#lists = new Lists(state);
      if (!this.#lists.step()) return this.#lists;
      if (pace.isOver()) await pace.take();
    }
  }

  /** The same of each mailbox. */
  async mailboxes(pace: Pace, signal?: AbortSignal): Promise<MailboxLists> {
    for (;;) {
      const lists = await this.get(pace, signal);
      if (this.#mailboxes?.lists.of !== lists) this.#mailboxes = makeMailboxes(lists, pace);
      const { lists: mailboxes, isMade, made } = this.#mailboxes;
      if (!isMade) await made;
      // Something may have been applied since they were got.
      else if (lists.state === this.#state()) {
        mailboxes.sync();
        return mailboxes;
      }
    }
  }
}

/** The first caller may leave: all callers wait for the same work. */
function makeMailboxes(of: Lists, pace: Pace): Mailboxes {
  const lists = new MailboxLists(of);
  const mailboxes: Mailboxes = {
    lists,
    isMade: false,
    made: lists.make(pace).then(() => {
      mailboxes.isMade = true;
    }),
  };
  return mailboxes;
}
