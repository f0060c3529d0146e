import type { EmailRow, Row } from "../numbers.ts";
import type { ChangeItem, OpOf } from "../ops/op.ts";
import type { ItemOutcome, Outcome } from "../ops/outcome.ts";
import type { PlacedOp } from "../ops/placed-op.ts";
import { createFlagChange, DELETED, SYSTEM_FLAGS } from "../state/flags.ts";
import type { Mailbox } from "../state/mailbox.ts";
import type { MailState } from "../state/state.ts";
import type { Block } from "./block.ts";
import { membershipsOf } from "./memberships.ts";
import { nameAt, takeRows } from "./rows.ts";
import { targetRows } from "./target-rows.ts";

/** The items of a `change`, in order. */
export function performChange(state: MailState, placed: PlacedOp, op: OpOf<"change">, block: Block): Partial<Outcome> {
  const targets = op.items.map((item) => item.targets.flatMap((some) => targetRows(state, placed, some, block)));
  const emails = targets.map((rows) => [...new Set(rows.map((row) => state.emailOf(row)))]);
  const performer = new ItemPerformer(state, placed, op, block, membershipsOf(state, new Set(emails.flat())));
  const items = op.items.map((item, at) => performer.perform(item, emails[at]!, targets[at]!));
  const { added, removed, changed } = performer;
  return { added, removed, changed, items: joinItems(op, items) };
}

/** Of items that `judge` made of one, one; of those that it refused, nothing. */
function joinItems({ items }: OpOf<"change">, done: readonly ItemOutcome[]): ItemOutcome[] {
  const joined: ItemOutcome[] = [];
  for (const [at, { emails, added }] of done.entries()) {
    const of = items[at]!.of ?? at;
    const known = joined[of] ?? { emails: [], added: [] };
    joined[of] = { emails: [...known.emails, ...emails], added: [...known.added, ...added] };
  }
  return joined;
}

class ItemPerformer {
  readonly added: Row[] = [];
  readonly removed: Row[] = [];
  readonly changed: Row[] = [];
  readonly #state: MailState;
  readonly #placed: PlacedOp;
  readonly #seconds: number;
  readonly #block: Block;
  readonly #memberships: Map<EmailRow, Row[]>;
  /** The place in the op of the next membership that it may make. */
  #index = 0;

  constructor(
    state: MailState,
    placed: PlacedOp,
    { seconds }: OpOf<"change">,
    block: Block,
    memberships: Map<EmailRow, Row[]>,
  ) {
    this.#state = state;
    this.#placed = placed;
    this.#seconds = seconds;
    this.#block = block;
    this.#memberships = memberships;
  }

  /** Of the item that is performed: what each email has joined. */
  #fresh = new Map<EmailRow, readonly Row[]>();

  perform(item: ChangeItem, emails: readonly EmailRow[], targets: readonly Row[]): ItemOutcome {
    this.#fresh = new Map();
    this.#changeFlags(item, emails, targets);
    const added = emails.flatMap((email) => this.#join(item, email));
    this.#leave(item, emails);
    return { emails, added };
  }

  /** Memberships of the email that the op's author knew. */
  #rowsOf(email: EmailRow): readonly Row[] {
    const rows = this.#memberships.get(email) ?? [];
    if (!this.#placed.judged) return rows;
    return rows.filter((row) => {
      const { writer, sequence } = this.#state.nameOf(row);
      return this.#placed.knows(writer, sequence);
    });
  }

  #changeFlags({ add, remove }: ChangeItem, emails: readonly EmailRow[], targets: readonly Row[]): void {
    if (add.length === 0 && remove.length === 0) return;
    const adding = createFlagChange(this.#state.keywords, { mode: "add", flags: add });
    const removing = createFlagChange(this.#state.keywords, { mode: "remove", flags: remove });
    const { columns } = this.#state.memberships;
    const visit = (row: Row): void => {
      const [bits, keywords] = [this.#state.bitsOf(row), columns.keywords.get(row)];
      const newBits = removing.bits(adding.bits(bits));
      const newKeywords = removing.keywords(adding.keywords(keywords));
      const isLive = this.#state.isLive(row);
      if (isLive && (newBits !== bits || newKeywords !== keywords)) {
        this.#state.setFlags(row, newBits, newKeywords, this.#block.modSeq);
        this.#block.touch(this.#state.mailboxOf(row));
        this.changed.push(row);
      }
      for (const moved of this.#block.movedTo.get(row) ?? []) visit(moved);
    };
    for (const email of emails) for (const row of this.#rowsOf(email)) visit(row);
    // Targets that an author took out without knowing of this change: the change follows them.
    for (const row of targets) if (!this.#state.isLive(row)) visit(row);
  }

  /** With the flags that the email shows elsewhere. */
  #join({ join }: ChangeItem, email: EmailRow): Row[] {
    const rows = this.#memberships.get(email) ?? [];
    const shown = rows.filter((row) => (this.#state.bitsOf(row) & DELETED) === 0);
    const { bits, keywords } = this.#viewOf(shown.length > 0 ? shown : rows);
    return join.flatMap((id) => {
      const index = this.#index++;
      const mailbox = this.#state.findMailbox(id) ?? this.#state.inbox;
      const row = this.#state.addMembership(nameAt(this.#placed, index), mailbox, {
        uid: this.#block.nextUid(mailbox, this.#placed),
        modSeq: this.#block.modSeq,
        flags: bits,
        keywords,
        email,
        saved: this.#seconds,
      });
      this.added.push(row);
      this.#fresh.set(email, [...(this.#fresh.get(email) ?? []), row]);
      rows.push(row);
      return [row];
    });
  }

  /** An email's flags in several mailboxes, as JMAP shows them: \Seen and \Draft if all memberships have it, other flags if
   * any has. */
  #viewOf(rows: readonly Row[]): { readonly bits: number; readonly keywords: number } {
    const { keywords } = this.#state.memberships.columns;
    let [all, any] = [OF_ALL, 0];
    const names = new Set<string>();
    for (const row of rows) {
      all &= this.#state.bitsOf(row);
      any |= this.#state.bitsOf(row);
      for (const name of this.#state.keywords.get(keywords.get(row))) names.add(name);
    }
    const bits = (any & ~OF_ALL & ~DELETED) | (rows.length > 0 ? all : 0);
    return { bits, keywords: this.#state.keywords.number([...names]) };
  }

  #leave({ leave }: ChangeItem, emails: readonly EmailRow[]): void {
    const isLeft = ({ id }: Mailbox): boolean => leave === "all" || leave.includes(id);
    const taken = new Map<Mailbox, Row[]>();
    for (const email of emails)
      for (const row of this.#rowsOf(email)) {
        const mailbox = this.#state.mailboxOf(row);
        if (!this.#state.isLive(row) || !isLeft(mailbox) || this.#fresh.get(email)?.includes(row)) continue;
        const rows = taken.get(mailbox);
        if (rows) rows.push(row);
        else taken.set(mailbox, [row]);
      }
    const { uid, email: emailOf } = this.#state.memberships.columns;
    for (const [mailbox, rows] of taken) {
      rows.sort((a, b) => uid.get(a) - uid.get(b));
      // Flags of authors that did not know of this go along.
      for (const row of rows) {
        const made = this.#fresh.get(emailOf.get(row));
        if (made) this.#block.movedTo.set(row, [...(this.#block.movedTo.get(row) ?? []), ...made]);
      }
      this.removed.push(...takeRows(this.#state, this.#placed, mailbox, rows, this.#block));
    }
    for (const email of emails)
      this.#memberships.set(
        email,
        (this.#memberships.get(email) ?? []).filter((row) => this.#state.isLive(row)),
      );
  }
}

/** System flags that an email shows only if all its memberships have them. */
const OF_ALL: number = (1 << SYSTEM_FLAGS.indexOf("\\Seen")) | (1 << SYSTEM_FLAGS.indexOf("\\Draft"));
