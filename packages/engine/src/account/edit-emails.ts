import { hexText } from "../bay/entry.ts";
import { EngineError } from "../errors.ts";
import { runsOf } from "../mail/apply/target-rows.ts";
import { type Mail, refusalError } from "../mail/mail.ts";
import type { Row } from "../mail/numbers.ts";
import type { MailboxId } from "../mail/ops/names.ts";
import type { ChangeItem, StateClaim, Targets } from "../mail/ops/op.ts";
import type { Outcome } from "../mail/ops/outcome.ts";
import { checkFlags } from "../mail/state/flags.ts";
import type { ReadState } from "../mail/state/read-state.ts";
import type { Lists } from "../query/lists.ts";

/** An edit of one email, whatever mailboxes hold it: flags added and removed on all its memberships, mailboxes that it joins
 * and leaves. An email that leaves all mailboxes without joining another is destroyed. */
export interface EmailEdit {
  /** 16 bytes. */
  readonly email: Uint8Array;
  readonly add: readonly string[];
  readonly remove: readonly string[];
  readonly join: readonly MailboxId[];
  readonly leave: readonly MailboxId[] | "all";
}

/** How often what moved away from under an edit is edited again. */
const EDIT_TRIES = 5;

/**
 * Carries out edits by one op, those that ask the same of many emails as one item of it. Resolves with what became of each,
 * in order: undefined if it was done. Of what moved meanwhile the rest is done by another op. Errors: `conflict` where the
 * claim doesn't hold, and nothing was done; `unavailable`; `invalid` for a bad flag.
 */
export async function editEmails(
  mail: Mail,
  lists: () => Promise<Lists>,
  edits: readonly EmailEdit[],
  ifState?: StateClaim,
): Promise<readonly (EngineError | undefined)[]> {
  for (const { add, remove } of edits) checkFlags([...add, ...remove]);
  const ends: (EngineError | undefined)[] = edits.map(() => undefined);
  let open = [...edits.keys()];
  for (let tries = 1; open.length > 0; tries++) {
    const groups = groupsOf(await lists(), edits, open);
    for (const at of open) if (!groups.some(({ places }) => places.includes(at))) ends[at] = gone();
    if (groups.length === 0) break;
    const outcome = await mail.change(
      groups.map(({ item }) => item),
      tries === 1 ? ifState : undefined,
    );
    const missed: number[] = [];
    for (const [at, { places }] of groups.entries()) {
      const { refusal, emails } = outcome.items[at]!;
      const done = refusal === undefined ? idsOf(mail.state, emails) : undefined;
      for (const place of places)
        if (refusal !== undefined && refusal !== "gone") ends[place] = refusalError(refusal);
        else if (!done?.has(hexText(edits[place]!.email))) missed.push(place);
    }
    for (const place of tries === EDIT_TRIES ? missed : []) ends[place] = gone();
    open = tries === EDIT_TRIES ? [] : missed;
  }
  return ends;
}

function gone(): EngineError {
  return new EngineError("expunged", "the email is gone");
}

interface Group {
  readonly item: ChangeItem;
  /** Of its edits. */
  readonly places: number[];
}

/** Edits of emails that are shown; those that ask the same make one item. */
function groupsOf(lists: Lists, edits: readonly EmailEdit[], open: readonly number[]): Group[] {
  const { state } = lists;
  const rows = new Map<string, { readonly edit: EmailEdit; readonly places: number[]; readonly rows: Row[] }>();
  for (const place of open) {
    const edit = edits[place]!;
    const email = state.findEmail(edit.email);
    const shown = email === undefined ? [] : [...lists.shownMemberships(email)];
    if (shown.length === 0) continue;
    const key = JSON.stringify([edit.add, edit.remove, edit.join, edit.leave]);
    const group = rows.get(key) ?? { edit, places: [], rows: [] };
    rows.set(key, group);
    group.places.push(place);
    group.rows.push(...shown);
  }
  return [...rows.values()].map(({ edit: { add, remove, join, leave }, places, rows: named }) => ({
    places,
    item: { targets: targetsOf(state, named), add, remove, join, leave },
  }));
}

function targetsOf(state: ReadState, rows: readonly Row[]): Targets[] {
  const { uid } = state.memberships.columns;
  return [...Map.groupBy(rows, (row) => state.mailboxOf(row))].map(([mailbox, own]) => {
    const inOrder = own.sort((a, b) => uid.get(a) - uid.get(b));
    return { mailbox: mailbox.id, targets: runsOf(state, mailbox, inOrder) };
  });
}

function idsOf(state: ReadState, emails: Outcome["items"][number]["emails"]): Set<string> {
  const { id } = state.emails.columns;
  return new Set(emails.map((email) => hexText(id.getId(email))));
}
