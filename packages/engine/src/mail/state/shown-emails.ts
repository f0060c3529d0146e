import type { EmailRow, ModSeq } from "../numbers.ts";
import type { Column } from "./columns.ts";

interface Columns {
  readonly held: Column<number, EmailRow>;
  readonly made: Column<ModSeq, EmailRow>;
  readonly returned: Column<number, EmailRow>;
}

/** Which emails someone sees who knows nothing of \Deleted, as JMAP and phones do: those that some live membership
 * without it holds. */
export class ShownEmails {
  readonly #emails: Columns;
  /** Of emails, how many live memberships with \Deleted hold them; those without any are left out. */
  readonly #deleted = new Map<EmailRow, number>();

  constructor(emails: Columns) {
    this.#emails = emails;
  }

  has(email: EmailRow): boolean {
    return this.#places(email) > 0;
  }

  /** An email is shown in one mailbox more, or less, and the counts say so already. True if it is the first, or was the last. */
  note(email: EmailRow, by: 1 | -1, modSeq: ModSeq): boolean {
    if (this.#places(email) !== (by === 1 ? 1 : 0)) return false;
    const { made, returned } = this.#emails;
    if (by === 1 && made.get(email) === 0) made.set(email, modSeq);
    else if (by === 1) returned.set(email, 1);
    return true;
  }

  countDeleted(email: EmailRow, by: 1 | -1): void {
    const count = (this.#deleted.get(email) ?? 0) + by;
    if (count > 0) this.#deleted.set(email, count);
    else this.#deleted.delete(email);
  }

  #places(email: EmailRow): number {
    return this.#emails.held.get(email) - (this.#deleted.get(email) ?? 0);
  }
}
