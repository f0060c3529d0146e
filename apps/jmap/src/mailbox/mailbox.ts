import {
  type EmailCounts,
  formatMailboxId,
  type MailboxId,
  type ReadMailbox,
  type ReadState,
  type SpecialUse,
} from "@restante/engine";

/** The properties of a Mailbox: RFC 8621 §2. */
export const MAILBOX_PROPERTIES = [
  "id",
  "name",
  "parentId",
  "role",
  "sortOrder",
  "totalEmails",
  "unreadEmails",
  "totalThreads",
  "unreadThreads",
  "myRights",
  "isSubscribed",
] as const;
export type MailboxProperty = (typeof MAILBOX_PROPERTIES)[number];
export type MailboxObject = Readonly<Record<MailboxProperty, unknown>>;
export const COUNT_PROPERTIES: readonly MailboxProperty[] = [
  "totalEmails",
  "unreadEmails",
  "totalThreads",
  "unreadThreads",
];

export type Role = "inbox" | "drafts" | "sent" | "trash" | "junk" | "archive";
const ROLES: Readonly<Record<SpecialUse, Role>> = {
  "\\Drafts": "drafts",
  "\\Sent": "sent",
  "\\Trash": "trash",
  "\\Junk": "junk",
  "\\Archive": "archive",
};

/** Between a mailbox's name and those above it. */
export const DELIMITER = "/";

/** JMAP's name for the mailbox that IMAP calls INBOX. */
export const INBOX_NAME = "Inbox";

export function isInbox(state: ReadState, { id }: Pick<ReadMailbox, "id">): boolean {
  return id === state.inbox.id;
}

export function roleOf(state: ReadState, mailbox: ReadMailbox): Role | null {
  if (isInbox(state, mailbox)) return "inbox";
  return mailbox.specialUse === undefined ? null : ROLES[mailbox.specialUse];
}

/** The special use of a role; undefined for what is none that a mailbox can be given. */
export function useOf(role: unknown): SpecialUse | undefined {
  return (Object.keys(ROLES) as SpecialUse[]).find((use) => ROLES[use] === role);
}

/** Where a mailbox stands: below the nearest one above it that is there. IMAP lets a mailbox go and keeps those below. */
export interface Place {
  readonly parent: ReadMailbox | undefined;
  readonly name: string;
}

/** The places of all mailboxes of mail. */
export function placesOf(state: ReadState): ReadonlyMap<MailboxId, Place> {
  const mailboxes = state.liveMailboxes();
  const byPath = new Map(mailboxes.map((mailbox) => [mailbox.path, mailbox]));
  const placeOf = (path: string): Place => {
    for (let end = path.lastIndexOf(DELIMITER); end > 0; end = path.lastIndexOf(DELIMITER, end - 1)) {
      const parent = byPath.get(path.slice(0, end));
      if (parent) return { parent, name: path.slice(end + 1) };
    }
    return { parent: undefined, name: path };
  };
  return new Map(mailboxes.map(({ id, path }) => [id, placeOf(path)]));
}

/** Rights of the owner: all, but INBOX can't be renamed or deleted. */
export function rightsOf(isItInbox: boolean, isReadOnly: boolean): Readonly<Record<string, boolean>> {
  const may = !isReadOnly;
  return {
    mayReadItems: true,
    mayAddItems: may,
    mayRemoveItems: may,
    maySetSeen: may,
    maySetKeywords: may,
    mayCreateChild: may,
    mayRename: may && !isItInbox,
    mayDelete: may && !isItInbox,
    maySubmit: may,
  };
}

/** A mailbox as JMAP shows it. */
export function mailboxObject(
  state: ReadState,
  mailbox: ReadMailbox,
  { parent, name }: Place,
  counts: EmailCounts,
  isReadOnly: boolean,
): MailboxObject {
  return {
    id: formatMailboxId(mailbox.id),
    name: isInbox(state, mailbox) ? INBOX_NAME : name,
    parentId: parent ? formatMailboxId(parent.id) : null,
    role: roleOf(state, mailbox),
    sortOrder: mailbox.sortOrder,
    totalEmails: counts.totalEmails,
    unreadEmails: counts.unreadEmails,
    totalThreads: counts.totalThreads,
    unreadThreads: counts.unreadThreads,
    myRights: rightsOf(isInbox(state, mailbox), isReadOnly),
    isSubscribed: state.subscriptions.has(mailbox.path),
  };
}
