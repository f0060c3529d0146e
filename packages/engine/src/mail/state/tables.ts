import type { EmailRow, ModSeq, Row, Uid } from "../numbers.ts";
import { Table } from "./columns.ts";

/** Columns of the resident state. Their order is that of the stored chunks: docs/formats/checkpoint.md. */

const MEMBERSHIPS = {
  writer: "u32",
  sequence: "u32",
  index: "u32",
  mailbox: "u32",
  uid: "u32",
  modSeq: "f64",
  flags: "u8",
  keywords: "u32",
  email: "u32",
  saved: "u32",
} as const;

interface MembershipKinds {
  readonly uid: Uid;
  readonly modSeq: ModSeq;
  readonly email: EmailRow;
}

const EMAILS = {
  id: "id",
  size: "u32",
  received: "f64",
  receivedZone: "i16",
  sent: "f64",
  sentZone: "i16",
  threadHigh: "u32",
  threadLow: "u32",
  /** How many live memberships hold it. */
  held: "u32",
  /** The modseq at which it was first shown, 0 if it never was; and whether it was hidden since, and is shown again. */
  made: "f64",
  returned: "u8",
  /** Its lasting number: rows get others when a checkpoint leaves dead ones out, and pages keep to this. Ascending. */
  number: "u32",
} as const;

interface EmailKinds {
  readonly made: ModSeq;
}

/** Columns of emails that checkpoints of formats 1 and 2 have. */
export const FIRST_EMAIL_COLUMNS = 9;
export const SECOND_EMAIL_COLUMNS = 11;

export type MembershipTable = Table<typeof MEMBERSHIPS, MembershipKinds, Row>;
export type EmailTable = Table<typeof EMAILS, EmailKinds, EmailRow>;

export function membershipTable(): MembershipTable {
  return new Table(MEMBERSHIPS);
}

export function emailTable(): EmailTable {
  return new Table(EMAILS);
}
