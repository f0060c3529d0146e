import {
  type EmailEdit,
  type EngineError,
  type Lists,
  type MailboxId,
  parseEmailId,
  parseMailboxId,
} from "@restante/engine";
import { invalidProperties, type SetError, SetRefusal } from "../core/errors.ts";
import { type Context, resolveId } from "../core/method.ts";
import { type PatchItem, readPatch } from "../core/patch.ts";
import { isObject } from "../core/types.ts";
import { flagOf } from "./keywords.ts";
import { KEYWORDS_MAX, MAILBOXES_OF_EMAIL_MAX } from "./limits.ts";

/**
 * A PatchObject of an email as the edit that it asks for: RFC 8621 §4.6. Keywords are added and removed, never set as a whole, so
 * that two who change different ones at once both have their way. Throws SetRefusal.
 */
export function editOf(
  id: string,
  patch: Readonly<Record<string, unknown>>,
  lists: Lists,
  context: Pick<Context, "createdIds">,
): EmailEdit {
  const shown = shownOf(id, lists);
  const add = new Set<string>();
  const remove = new Set<string>();
  const join = new Set<MailboxId>();
  const leave = new Set<MailboxId>();
  const wrong: string[] = [];
  for (const item of readPatch(patch)) {
    const isRight =
      item.property === "keywords"
        ? readKeywords(item, shown, add, remove)
        : item.property === "mailboxIds" && readMailboxes(item, shown, lists, context, join, leave);
    if (!isRight) wrong.push(item.key === undefined ? item.property : `${item.property}/${item.key}`);
  }
  if (wrong.length > 0) throw invalidProperties(...wrong);
  // As many as the engine takes at once.
  if (add.size + remove.size > KEYWORDS_MAX) throw new SetRefusal({ type: "tooManyKeywords" });
  if (join.size + leave.size > MAILBOXES_OF_EMAIL_MAX) throw new SetRefusal({ type: "tooManyMailboxes" });
  const stays = [...shown.mailboxes].some((mailbox) => !leave.has(mailbox));
  if (!stays && join.size === 0) throw invalidProperties("mailboxIds");
  return { email: shown.email, add: [...add], remove: [...remove], join: [...join], leave: [...leave] };
}

/** The edit that destroys an email. Throws SetRefusal `notFound`. */
export function destructionOf(id: string, lists: Lists): EmailEdit {
  return { email: shownOf(id, lists).email, add: [], remove: [], join: [], leave: "all" };
}

/** The SetError of an edit that the engine refused. */
export function editError({ code }: EngineError): SetError {
  switch (code) {
    case "expunged":
      return { type: "notFound" };
    case "not-found":
      return { type: "invalidProperties", properties: ["mailboxIds"] };
    case "over-quota":
      return { type: "overQuota" };
    default:
      return { type: "forbidden" };
  }
}

interface Shown {
  /** 16 bytes. */
  readonly email: Uint8Array;
  readonly mailboxes: ReadonlySet<MailboxId>;
  /** Flags that any of its memberships has. */
  readonly flags: ReadonlySet<string>;
}

function shownOf(id: string, lists: Lists): Shown {
  const { state } = lists;
  const email = parseEmailId(id);
  const row = email && state.findEmail(email);
  const rows = row === undefined ? [] : [...lists.shownMemberships(row)];
  if (!email || rows.length === 0) throw new SetRefusal({ type: "notFound" });
  return {
    email,
    mailboxes: new Set(rows.map((one) => state.mailboxOf(one).id)),
    flags: new Set(rows.flatMap((one) => state.flagNames(one))),
  };
}

/** Reads a patch of keywords into `add` and `remove`. False if it is wrong. */
function readKeywords({ key, value }: PatchItem, { flags }: Shown, add: Set<string>, remove: Set<string>): boolean {
  if (key !== undefined) {
    const flag = flagOf(key);
    if (flag === undefined || (value !== true && value !== null)) return false;
    (value === null ? remove : add).add(flag);
    return true;
  }
  const wanted = value === null ? new Set<string>() : readKeywordSet(value);
  if (!wanted) return false;
  const folded = new Set([...wanted].map((flag) => flag.toLowerCase()));
  for (const flag of wanted) add.add(flag);
  for (const flag of flags) if (!folded.has(flag.toLowerCase()) && flag !== "\\Deleted") remove.add(flag);
  return true;
}

/** The flags of a set of keywords, `{"$seen": true}`; undefined if it is none. */
export function readKeywordSet(value: unknown): ReadonlySet<string> | undefined {
  if (!isObject(value)) return undefined;
  const flags = new Set<string>();
  for (const [keyword, isSet] of Object.entries(value)) {
    const flag = flagOf(keyword);
    if (flag === undefined || isSet !== true) return undefined;
    flags.add(flag);
  }
  return flags;
}

/** Reads a patch of mailboxIds into `join` and `leave`. False if it is wrong. */
function readMailboxes(
  { key, value }: PatchItem,
  { mailboxes }: Shown,
  { state }: Lists,
  context: Pick<Context, "createdIds">,
  join: Set<MailboxId>,
  leave: Set<MailboxId>,
): boolean {
  const find = (id: string): MailboxId | undefined => {
    const mailbox = parseMailboxId(resolveId(id, context));
    return mailbox !== undefined && state.findMailbox(mailbox)?.type === "mail" ? mailbox : undefined;
  };
  if (key !== undefined) {
    const mailbox = find(key);
    if (mailbox === undefined || (value !== true && value !== null)) return false;
    if (value === null) leave.add(mailbox);
    else if (!mailboxes.has(mailbox)) join.add(mailbox);
    return true;
  }
  if (!isObject(value)) return false;
  const wanted = new Set<MailboxId>();
  for (const [id, isIn] of Object.entries(value)) {
    const mailbox = find(id);
    if (mailbox === undefined || isIn !== true) return false;
    wanted.add(mailbox);
  }
  for (const mailbox of wanted) if (!mailboxes.has(mailbox)) join.add(mailbox);
  for (const mailbox of mailboxes) if (!wanted.has(mailbox)) leave.add(mailbox);
  return true;
}
