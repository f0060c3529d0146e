import type { MailboxId } from "../mail/ops/names.ts";

/** What is asked of messages, as one tree for all protocols. Texts are Unicode and are found in any case; times are
 * milliseconds since 1970, sizes octets. */
export type Condition =
  | { readonly kind: "all" }
  | { readonly kind: "and" | "or"; readonly of: readonly Condition[] }
  | { readonly kind: "not"; readonly of: Condition }
  | { readonly kind: "flag"; readonly flag: string }
  /** Uids, in ascending ranges of which none touches another. Of one mailbox alone. */
  | { readonly kind: "uids"; readonly ranges: readonly { readonly first: number; readonly last: number }[] }
  /** Email ids, 32 hexadecimal digits each. */
  | { readonly kind: "emails"; readonly ids: ReadonlySet<string> }
  /** At least `from` and less than `below`. */
  | { readonly kind: "size"; readonly from?: number; readonly below?: number }
  /** The same of an instant. What a message has none of is of no time. */
  | { readonly kind: "time"; readonly of: "received" | "sent"; readonly from?: number; readonly below?: number }
  /** Days as they are written, "disregarding time and timezone" (RFC 9051 §6.4.4), as midnights in UTC; `saved`
   * (RFC 8514 §3) is a day in UTC. */
  | {
      readonly kind: "day";
      readonly of: "received" | "sent" | "saved";
      readonly when: "before" | "on" | "since";
      readonly dayMs: number;
    }
  /** In one of these mailboxes. */
  | { readonly kind: "mailbox"; readonly in: readonly MailboxId[] }
  /** In some mailbox that is none of these: RFC 8621 §4.4.1 (inMailboxOtherThan). */
  | { readonly kind: "elsewhere"; readonly than: readonly MailboxId[] }
  /** How many emails of its thread carry the flag: RFC 8621 §4.4.1. */
  | { readonly kind: "thread"; readonly flag: string; readonly carry: "all" | "some" | "none" }
  | { readonly kind: "attachment" }
  /** The field's decoded text holds `text`; "" asks for the field alone. `field` is in lower case. */
  | { readonly kind: "header"; readonly field: string; readonly text: string }
  /** An address of the field, or the name beside it. */
  | { readonly kind: "address"; readonly field: "from" | "to" | "cc" | "bcc"; readonly text: string }
  | { readonly kind: "body"; readonly text: string }
  /** In a header, of a part or of an attached message too, or in the body. */
  | { readonly kind: "text"; readonly text: string };

/** Conditions of one tree, those within others counted too. */
export const CONDITIONS_MAX = 10_000;
/** Conditions within one another. */
export const CONDITION_DEPTH_MAX = 1000;
