import type { ModSeq } from "../numbers.ts";
import type { Column } from "./columns.ts";

/** Which emails someone sees who knows nothing of \Deleted, as JMAP and phones do: those that some live membership
 * without it holds. */
export class ShownEmails {
  readonly #emails: { readonly held: Column; readonly made: Column<ModSeq>; readonly returned: Column };
  /** Of emails, how many live memberships with \Deleted hold them; those without any are left out. */
  readonly #deleted = new Map<number, number>();

  constructor(emails: { readonly held: Column; readonly made: Column<ModSeq>; readonly returned: Column }) {
    this.#emails = emails;
  }

  has(email: number): boolean {
    return this.#places(email) > 0;
  }

  /** An email is shown in one mailbox more, or less, and the counts say so already. True if it is the first, or was the last. */
  note(email: number, by: 1 | -1, modSeq: ModSeq): boolean {
    if (this.#places(email) !== (by === 1 ? 1 : 0)) return false;
    const { made, returned } = this.#emails;
    if (by === 1 && made.get(email) === 0) made.set(email, modSeq);
    else if (by === 1) returned.set(email, 1);
    return true;
  }

  countDeleted(email: number, by: 1 | -1): void {
    const count = (this.#deleted.get(email) ?? 0) + by;
    if (count > 0) this.#deleted.set(email, count);
    else this.#deleted.delete(email);
  }

  #places(email: number): number {
    return this.#emails.held.get(email) - (this.#deleted.get(email) ?? 0);
  }
}
