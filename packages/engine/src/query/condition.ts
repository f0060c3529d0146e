import type { ModSeq, Uid } from "../mail/numbers.ts";
import type { MailboxId } from "../mail/ops/names.ts";

/**
 * A condition on messages: one tree for every protocol, which translates its own words to it. Texts are Unicode in any case;
 * times are milliseconds since 1970, octets are those of the message as it came. A range holds its beginning, and not its
 * end.
 */
export type Condition =
  | { readonly kind: "all" }
  | { readonly kind: "and" | "or"; readonly of: readonly Condition[] }
  | { readonly kind: "not"; readonly of: Condition }
  /** A system flag with its backslash, or a keyword. Of an email: RFC 8621 §4.1.1, as its memberships come to. */
  | { readonly kind: "keyword"; readonly keyword: string }
  /** The same of the emails of its thread: RFC 8621 §4.4.1. */
  | { readonly kind: "thread-keyword"; readonly keyword: string; readonly by: "all" | "some" }
  | { readonly kind: "mailbox"; readonly mailbox: MailboxId }
  /** Of a membership. Ranges ascend, none touches another, and hold both of their ends. */
  | { readonly kind: "uids"; readonly ranges: readonly UidRange[] }
  /** Ids of emails, in hex. */
  | { readonly kind: "emails"; readonly ids: ReadonlySet<string> }
  /** Ids of threads, in hex. */
  | { readonly kind: "threads"; readonly ids: ReadonlySet<string> }
  /** Of a membership: its modseq. */
  | ({ readonly kind: "modSeq" } & Range<ModSeq>)
  | ({ readonly kind: "size" } & Range)
  | DateCondition
  /** The decoded value of a field of this name (in lower case) holds `text`; "" asks for the field alone. */
  | { readonly kind: "header"; readonly field: string; readonly text: string }
  | { readonly kind: "subject"; readonly text: string }
  /** The names and addresses of the field, decoded; "" asks for the field alone. */
  | { readonly kind: AddressField; readonly text: string }
  /** `body` is the text of all text parts; `text` is that and all headers. */
  | { readonly kind: "body" | "text"; readonly text: string }
  | { readonly kind: "attachment" };

export type AddressField = "from" | "to" | "cc" | "bcc";

export interface Range<N extends number = number> {
  readonly from?: N;
  readonly before?: N;
}

export interface DateCondition extends Range {
  readonly kind: "date";
  /** When it came, when its Date field says that it was sent, when it was put into the mailbox. */
  readonly of: "received" | "sent" | "saved";
  /** True to read the date by the clock of its own time zone, as if that stood at UTC: RFC 9051 §6.4.4 disregards time zones. */
  readonly isLocal: boolean;
}

export interface UidRange {
  readonly first: Uid;
  readonly last: Uid;
}
