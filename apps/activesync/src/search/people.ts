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
export const PEOPLE_MAX = 100;

/** People whose name, or a word of it, or address begins with `text`: whoever was written to last comes first. There is no
 * other directory: nobody is told who else lives here. */
export async function findPeople(
  text: string,
  { session, pace, signal }: Context,
  max: number = PEOPLE_MAX,
): Promise<Person[]> {
  const wanted = text.trim().toLowerCase();
  const sent = session.state.liveMailboxes().find(({ specialUse }) => specialUse === "\\Sent");
  if (!sent || wanted === "") return [];
  const view = session.openView(sent.path, { readOnly: true });
  const found = new Map<string, Person>();
  const least = Math.max(0, view.length - LETTERS_MAX);
  for (let end = view.length; end > least && found.size < max; end -= LETTERS_AT_ONCE) {
    signal.throwIfAborted();
    const start = Math.max(least, end - LETTERS_AT_ONCE);
    const headers = await session.readHeaders(view.messagesIn(start, end));
    for (const header of headers.toReversed()) {
      if (pace.isOver()) await pace.take();
      for (const mailbox of ["to", "cc", "bcc"].flatMap((field) => mailboxesOf(header, field))) {
        const address = formatAddress(mailbox);
        const name = mailbox.name === undefined ? "" : clean(displayName(mailbox.name));
        const key = address.toLowerCase();
        if (mailbox.domain === "" || found.has(key) || !begins(wanted, name, key)) continue;
        found.set(key, { name, address });
        if (found.size === max) return [...found.values()];
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
