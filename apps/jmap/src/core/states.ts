import { asModSeq, mailboxListPoint, type Point, type ReadState, SUBMISSION, VACATION } from "@restante/engine";
import { MethodError } from "./errors.ts";

/** The types that have a state of their own: RFC 8621 §1.5. */
export type DataType =
  | "Email"
  | "EmailDelivery"
  | "Mailbox"
  | "Thread"
  | "EmailSubmission"
  | "Identity"
  | "VacationResponse"
  | "Quota";
export const DATA_TYPES: readonly DataType[] = [
  "Email",
  "EmailDelivery",
  "Mailbox",
  "Thread",
  "EmailSubmission",
  "Identity",
  "VacationResponse",
  "Quota",
];
/** The types of the account's records, by how JMAP calls them. */
export const RECORD_TYPES: Readonly<Record<"EmailSubmission" | "Identity" | "VacationResponse", string>> = {
  EmailSubmission: SUBMISSION,
  Identity: "identity",
  VacationResponse: VACATION,
};

/** Where a type is now: the highest modseq at which something of it changed, in this history of the account. */
export function stateOf(state: ReadState, type: DataType): string {
  return formatPoint(state, pointOf(state, type));
}

export function pointOf(state: ReadState, type: DataType): Point {
  const { changed } = state;
  switch (type) {
    case "Email":
    // The used part of a quota changes with the emails.
    case "Quota":
      return { modSeq: changed.email };
    case "EmailDelivery":
      return { modSeq: changed.delivery };
    case "Thread":
      return { modSeq: changed.thread };
    case "Mailbox":
      return mailboxListPoint(state);
    case "EmailSubmission":
    case "Identity":
    case "VacationResponse":
      return { modSeq: state.records.changed(RECORD_TYPES[type]) };
  }
}

/** `<epoch>.<n>`; between two pages of one modseq `<epoch>.<n>.<last id told>.<n of the first page>`. */
export function formatPoint({ epoch }: ReadState, { modSeq, within }: Point): string {
  return within ? `${epoch}.${modSeq}.${within.id}.${within.base}` : `${epoch}.${modSeq}`;
}

const POINT = /^(0|[1-9]\d{0,15})\.(0|[1-9]\d{0,15})(?:\.([0-9a-f.]{1,64})\.(0|[1-9]\d{0,15}))?$/;

/** The point that a client stands at. Throws MethodError `cannotCalculateChanges` for what is none of ours, lies in another
 * history, or ahead of us. */
export function parsePoint(text: string, state: ReadState, type: DataType): Point {
  const [, epoch, modSeq, id, base] = POINT.exec(text) ?? [];
  // Between two pages one stands where an email was stamped last, of a type that may not have changed by that.
  const end = id === undefined ? pointOf(state, type).modSeq : state.modSeq;
  if (epoch === undefined || Number(epoch) !== state.epoch || Number(modSeq) > end)
    throw new MethodError("cannotCalculateChanges");
  const at = asModSeq(Number(modSeq));
  return id === undefined ? { modSeq: at } : { modSeq: at, within: { id, base: asModSeq(Number(base)) } };
}

/** Throws MethodError `stateMismatch` unless the state is the one that is named, if one is. */
export function checkState(state: ReadState, type: DataType, ifInState: string | undefined): void {
  if (ifInState !== undefined && ifInState !== stateOf(state, type)) throw new MethodError("stateMismatch");
}
