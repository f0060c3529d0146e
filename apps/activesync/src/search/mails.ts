import type { Condition, MailboxId, Message } from "@restante/engine";
import type { Context } from "../context.ts";
import { foldersNow } from "../folders/state.ts";
import { RESULTS_MAX } from "../limits.ts";

/** Where it is looked, and for what. */
export interface MailQuery {
  readonly condition: Condition;
  /** Folders' ids; none: all of them. */
  readonly folders: readonly string[];
  /** True if the folders below are searched too. */
  readonly isDeep: boolean;
}

export interface MailResults {
  readonly messages: readonly Message[];
  readonly total: number;
}

/** One page of the mails that are found, the newest first; undefined for a folder that is none. Errors: `unavailable`. */
export async function findMails(
  { condition, folders, isDeep }: MailQuery,
  start: number,
  count: number,
  context: Context,
): Promise<MailResults | undefined> {
  const { session, pace, signal } = context;
  const places = placesOf(folders, isDeep, context);
  if (!places) return undefined;
  const within: Condition[] =
    places.length === 0
      ? []
      : places.length === 1
        ? [{ kind: "mailbox", mailbox: places[0]! }]
        : [{ kind: "or", of: places.map((mailbox) => ({ kind: "mailbox", mailbox })) }];
  const query = { condition: { kind: "and", of: [...within, condition] } as const };
  const page = await session.queryEmails({ ...query, page: { position: start, limit: count } }, { pace, signal });
  const emails = await session.findEmails(page.ids, { pace, signal });
  const messages = emails.flatMap((email) => {
    if (!email) return [];
    const { state } = email.message;
    const inPlace = email.memberships.find((row) => places.includes(state.mailboxOf(row).id));
    const notInTrash = email.memberships.find((row) => state.mailboxOf(row).specialUse !== "\\Trash");
    return [{ position: 0, row: inPlace ?? notInTrash ?? email.message.row, state }];
  });
  return { messages, total: Math.min(page.total, RESULTS_MAX) };
}

function placesOf(ids: readonly string[], isDeep: boolean, context: Context): MailboxId[] | undefined {
  if (ids.length === 0) return [];
  const all = foldersNow(context);
  const places = new Set<MailboxId>();
  for (const id of ids) {
    const folder = all.find((one) => one.id === id);
    if (!folder) return undefined;
    if (!folder.mailbox) continue;
    places.add(folder.mailbox.id);
    if (isDeep) for (const below of context.session.state.below(folder.mailbox.path)) places.add(below.id);
  }
  return [...places];
}

/** `m-n`, both included; undefined for none. */
export function readSpan(range: string): { readonly start: number; readonly count: number } | undefined {
  const [, first, last] = /^(\d{1,9})-(\d{1,9})$/.exec(range.trim()) ?? [];
  const [start, end] = [Number(first), Number(last)];
  return first === undefined || end < start ? undefined : { start, count: end - start + 1 };
}
