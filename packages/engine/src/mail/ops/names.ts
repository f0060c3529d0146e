import { hexBytes, hexText } from "../../bay/entry.ts";
import type { WriterId } from "../../bay/writer.ts";
import { folderOf } from "../../storage/object-kinds.ts";

/** Names that last for ever: who made a thing, in which of its ops, at which place in that op. docs/rules.md §1: an op's
 * (writer, sequence) is never given to another op, so neither is a name. */

export type { WriterId };

export interface MembershipName {
  readonly writer: WriterId;
  readonly sequence: number;
  readonly index: number;
}

/** A mailbox's id: the name of its create, as text (`writer.sequence.index`); the folders an account begins with have
 * the fixed writer {@link FOUNDER}, so that two first sign-ins make no twins. */
export type MailboxId = string & { readonly brand: "MailboxId" };

export const FOUNDER: WriterId = "0000000000000000" as WriterId;

export function mailboxId(writer: WriterId, sequence: number, index: number): MailboxId {
  return `${writer}.${sequence}.${index}` as MailboxId;
}

/** The op that made a mailbox; undefined for the folders that an account begins with. */
export function makerOf(id: MailboxId): Omit<MembershipName, "index"> | undefined {
  const [writer, sequence] = id.split(".");
  return writer === FOUNDER ? undefined : { writer: writer as WriterId, sequence: Number(sequence) };
}

export const INBOX_ID: MailboxId = mailboxId(FOUNDER, 0, 0);

/** Mailbox paths are Unicode with this delimiter; how a protocol writes them is the protocol's business. */
export const PATH_DELIMITER = "/";

/** The object that holds a body which is none of a note, entry or pack. */
export function bodyName(id: Uint8Array): string {
  return folderOf("body") + hexText(id);
}

/** The id of the body that is stored as `name`. */
export function bodyId(name: string): Uint8Array {
  return hexBytes(name.slice(folderOf("body").length));
}
