import {
  type AccountSession,
  APPEND_BYTES_MAX,
  APPEND_EMAILS_MAX,
  EngineError,
  type MailboxId,
  type Prepared,
} from "@restante/engine";

type Appended = Awaited<ReturnType<AccountSession["appendMany"]>>;

interface Waiting {
  /** By an op of its own. */
  readonly alone?: boolean;
  readonly mailbox: MailboxId;
  readonly prepared: readonly Prepared[];
  readonly resolve: (appended: Appended) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Messages that pipelined APPENDs brought, stored in the order of the commands. While one op is stored those that come go
 * together by the next, if they are for the same mailbox: so a sync of the disk serves several.
 */
export class AppendQueue {
  readonly #append: (mailbox: MailboxId, prepared: readonly Prepared[]) => Promise<Appended>;
  #waiting: Waiting[] = [];
  #isStoring = false;

  constructor(append: (mailbox: MailboxId, prepared: readonly Prepared[]) => Promise<Appended>) {
    this.#append = append;
  }

  /** Stores the messages of one command, all or none. Rejects as `append` does. */
  store(mailbox: MailboxId, prepared: readonly Prepared[]): Promise<Appended> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ mailbox, prepared, resolve, reject });
      if (!this.#isStoring) void this.#storeAll();
    });
  }

  async #storeAll(): Promise<void> {
    this.#isStoring = true;
    while (this.#waiting.length > 0) await this.#storeGroup(this.#takeGroup());
    this.#isStoring = false;
  }

  /** Those at the front that one op can bring. */
  #takeGroup(): Waiting[] {
    const [first] = this.#waiting;
    let bytes = 0;
    let messages = 0;
    let count = 0;
    for (const { mailbox, prepared, alone = false } of this.#waiting) {
      bytes += prepared.reduce((sum, { heldBytes }) => sum + heldBytes, 0);
      messages += prepared.length;
      const isTooMuch = alone || bytes > APPEND_BYTES_MAX || messages > APPEND_EMAILS_MAX;
      if (count > 0 && (isTooMuch || mailbox !== first!.mailbox)) break;
      count++;
    }
    return this.#waiting.splice(0, count);
  }

  async #storeGroup(group: readonly Waiting[]): Promise<void> {
    try {
      const all = group.flatMap(({ prepared }) => prepared);
      const { uidValidity, uids } = await this.#append(group[0]!.mailbox, all);
      let from = 0;
      for (const { prepared, resolve } of group) {
        resolve({ uidValidity, uids: uids.slice(from, from + prepared.length) });
        from += prepared.length;
      }
    } catch (error) {
      if (group.length > 1 && error instanceof EngineError && error.code === "over-quota")
        // There is room for some of them, perhaps.
        this.#waiting.unshift(...group.map((one) => ({ ...one, alone: true })));
      else this.#fail(group, error);
    }
  }

  #fail(group: readonly Waiting[], error: unknown): void {
    // Whoever does not know whether something was stored stores nothing behind it.
    const isUnknown = error instanceof EngineError && error.code === "unknown-outcome";
    for (const { reject } of [...group, ...(isUnknown ? this.#waiting.splice(0) : [])]) reject(error);
  }
}
