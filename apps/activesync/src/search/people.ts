import { displayName, formatAddress } from "@restante/mime";
import type { Context } from "../context.ts";
import { clean, mailboxesOf } from "../mail/addresses.ts";

/** Somebody whom the owner has written to. */
export interface Person {
  readonly name: string;
  readonly address: string;
}

/** Mails of Sent that are looked through, the newest first, and people that are told. */
const LETTERS_MAX = 2_000;
const LETTERS_AT_ONCE = 256;
const PEOPLE_MAX = 100;
/** People that are looked through. */
const READ_MAX = 10_000;

/** People whose name, or a word of it, or address begins with `text`: whoever was written to last comes first. There is no
 * other directory: nobody is told who else lives here. */
export async function findPeople(text: string, context: Context): Promise<Person[]> {
  return peopleBy(text, text.trim() === "" ? [] : await readPeople(context));
}

/** The people of a list whom {@link findPeople} would find. */
export function peopleBy(text: string, people: readonly Person[]): Person[] {
  const wanted = text.trim().toLowerCase();
  if (wanted === "") return [];
  return people.filter(({ name, address }) => begins(wanted, name, address.toLowerCase())).slice(0, PEOPLE_MAX);
}

/** All of them, as far as letters are looked through. Errors: `unavailable`. */
export async function readPeople({ session, pace, signal }: Context): Promise<Person[]> {
  const sent = session.state.liveMailboxes().find(({ specialUse }) => specialUse === "\\Sent");
  if (!sent) return [];
  const view = session.openView(session.getMailbox(sent.path).id, { readOnly: true });
  const found = new Map<string, Person>();
  const least = Math.max(0, view.length - LETTERS_MAX);
  for (let end = view.length; end > least; end -= LETTERS_AT_ONCE) {
    signal.throwIfAborted();
    const start = Math.max(least, end - LETTERS_AT_ONCE);
    const headers = await session.readHeaders(view.messagesIn(start, end));
    for (const header of headers.toReversed()) {
      if (pace.isOver()) await pace.take();
      for (const mailbox of ["to", "cc", "bcc"].flatMap((field) => mailboxesOf(header, field))) {
        const address = formatAddress(mailbox);
        const key = address.toLowerCase();
        if (mailbox.domain === "" || found.has(key)) continue;
        found.set(key, { name: mailbox.name === undefined ? "" : clean(displayName(mailbox.name)), address });
        if (found.size === READ_MAX) return [...found.values()];
      }
    }
  }
  return [...found.values()];
}

function begins(wanted: string, name: string, address: string): boolean {
  const lower = name.toLowerCase();
  return (
    address.startsWith(wanted) || lower.startsWith(wanted) || lower.split(/\s+/).some((word) => word.startsWith(wanted))
  );
}
