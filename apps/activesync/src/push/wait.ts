import type { Attendant, MailboxId, ModSeq, News, ReadState } from "@restante/engine";
import { areFoldersNews, type KnownFolder } from "../folders/state.ts";
import { type Folder, folderTree, INBOX } from "../folders/tree.ts";
import { changedMarks } from "../mail/marks.ts";
import type { Phone } from "../phones.ts";
import type { Version } from "../protocol/version.ts";

/** Milliseconds in which what comes together is told together. */
const GATHER_MS = 1_000;

/** The end of a wait. */
export type WaitEnd =
  | { readonly kind: "time" | "ended" | "folders" }
  | { readonly kind: "changes"; readonly folders: readonly string[] };

/** How far an account was when it was looked at. */
export interface Seen {
  readonly epoch: number;
  readonly modSeq: ModSeq;
  /** The last change of its mailboxes. */
  readonly mailbox: number;
}

export function seenOf({ epoch, modSeq, changed }: ReadState): Seen {
  return { epoch, modSeq, mailbox: changed.mailbox };
}

export interface WaitRequest {
  readonly folders: readonly Folder[];
  readonly seconds: number;
  readonly version: Version;
  readonly phone: Phone;
  /** The account as it was before it was looked whether there is something to tell. */
  readonly since: Seen;
  /** The folders that the phone knows: others are news. Undefined: it is not told of them here. */
  readonly known: readonly KnownFolder[] | undefined;
  /** Aborted when the phone is gone. */
  readonly signal: AbortSignal;
}

/**
 * Waits for news of folders: nothing of the account is held, no session and no keys. While the account is open somewhere in
 * this process it tells which folders changed; once it is locked, a new note tells of mail for the Inbox, and another host's
 * log entry of something in any folder.
 */
export class Wait implements Attendant {
  readonly end: Promise<WaitEnd>;
  readonly #request: WaitRequest;
  readonly #resolve: (end: WaitEnd) => void;
  readonly #timer: NodeJS.Timeout;
  readonly #over: () => void;
  readonly #onGone = (): void => this.#finish({ kind: "ended" });
  readonly #found = new Set<string>();
  #foldersSeen: number;
  #gathering: NodeJS.Timeout | undefined;
  #isOver = false;

  constructor(request: WaitRequest) {
    this.#request = request;
    this.#foldersSeen = request.since.mailbox;
    const { promise, resolve } = Promise.withResolvers<WaitEnd>();
    this.end = promise;
    this.#resolve = resolve;
    this.#timer = setTimeout(() => this.#finish({ kind: "time" }), request.seconds * 1000).unref();
    this.#over = request.phone.begunWait(() => this.#finish({ kind: "ended" }));
    request.signal.addEventListener("abort", this.#onGone, { once: true });
    if (request.signal.aborted) this.#onGone();
  }

  changed(news: News): void {
    if (this.#isOver) return;
    if (news.state) this.#look(news.state);
    else this.#hear(news.name);
  }

  ended(): void {
    this.#finish({ kind: "ended" });
  }

  #look(state: ReadState): void {
    const { folders, version, known } = this.#request;
    if (state.epoch !== this.#request.since.epoch) {
      this.#gather(folders.map(({ id }) => id));
      return;
    }
    if (state.changed.mailbox !== this.#foldersSeen) {
      this.#foldersSeen = state.changed.mailbox;
      if (known && areFoldersNews(known, folderTree(state, version))) {
        this.#finish({ kind: "folders" });
        return;
      }
    }
    const changed = folders.filter(({ mailbox }) => mailbox && this.#isChanged(state, mailbox.id));
    this.#gather(changed.map(({ id }) => id));
  }

  #isChanged(state: ReadState, id: MailboxId): boolean {
    const mailbox = state.findMailbox(id);
    const { modSeq } = this.#request.since;
    if (!mailbox || mailbox.highestModSeq > modSeq) return true;
    const marks = changedMarks(state, modSeq);
    if (marks.size === 0) return false;
    const { messages } = mailbox;
    for (let position = 0; position < messages.length; position++)
      if (marks.has(state.emailOf(messages.at(position)))) return true;
    return false;
  }

  #hear(name: string | undefined): void {
    const { folders } = this.#request;
    const isMail = name?.startsWith("note/") ?? false;
    const concerned = folders.filter(({ mailbox, type }) => mailbox && (!isMail || type === INBOX));
    this.#gather(concerned.map(({ id }) => id));
  }

  /** A moment is waited for what comes with it. */
  #gather(ids: readonly string[]): void {
    for (const id of ids) this.#found.add(id);
    if (this.#found.size === 0 || this.#gathering || this.#isOver) return;
    this.#gathering = setTimeout(() => {
      const folders = this.#request.folders.map(({ id }) => id).filter((id) => this.#found.has(id));
      this.#finish({ kind: "changes", folders });
    }, GATHER_MS).unref();
  }

  #finish(end: WaitEnd): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#gathering);
    this.#request.signal.removeEventListener("abort", this.#onGone);
    this.#over();
    this.#resolve(end);
  }
}
