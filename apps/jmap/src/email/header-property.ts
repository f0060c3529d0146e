import { FIELD_NAME_CHARS_MAX } from "./limits.ts";

/** In which form a header field is told: RFC 8621 §4.1.2. */
export type HeaderForm = "Raw" | "Text" | "Addresses" | "GroupedAddresses" | "MessageIds" | "Date" | "URLs";

/** A property that stands for header fields: `header:…` (RFC 8621 §4.1.3), or a name of its own such as `from`. */
export interface HeaderProperty {
  /** As the client wrote it. */
  readonly key: string;
  /** The field's name as it is written in the property, and in lower case. */
  readonly name: string;
  readonly field: string;
  readonly form: HeaderForm;
  /** All fields of that name, not the last alone. */
  readonly isAll: boolean;
}

const PROPERTY = /^header:([!-9;-~]+)(?::as(Raw|Text|Addresses|GroupedAddresses|MessageIds|Date|URLs))?(:all)?$/;

const ADDRESSES: readonly HeaderForm[] = ["Addresses", "GroupedAddresses"];
const fields = (names: string, forms: readonly HeaderForm[]): [string, readonly HeaderForm[]][] =>
  names.split(" ").map((name) => [name, forms]);

/** Forms besides Raw of each field that RFC 5322 or RFC 2369 defines: RFC 8621 §4.1.2. All others may have any. */
const FORMS: ReadonlyMap<string, readonly HeaderForm[]> = new Map([
  ...fields("subject comments keywords", ["Text"]),
  ...fields("from sender reply-to to cc bcc", ADDRESSES),
  ...fields("resent-from resent-sender resent-reply-to resent-to resent-cc resent-bcc", ADDRESSES),
  ...fields("message-id in-reply-to references resent-message-id", ["MessageIds"]),
  ...fields("date resent-date", ["Date"]),
  ...fields("list-help list-unsubscribe list-subscribe list-post list-owner list-archive", ["URLs"]),
  ...fields("return-path received", []),
]);

/** The properties of an Email that stand for one header field each: RFC 8621 §4.1.3. */
export const CONVENIENCE: ReadonlyMap<string, HeaderProperty> = new Map(
  (
    [
      ["messageId", "Message-ID", "MessageIds"],
      ["inReplyTo", "In-Reply-To", "MessageIds"],
      ["references", "References", "MessageIds"],
      ["sender", "Sender", "Addresses"],
      ["from", "From", "Addresses"],
      ["to", "To", "Addresses"],
      ["cc", "Cc", "Addresses"],
      ["bcc", "Bcc", "Addresses"],
      ["replyTo", "Reply-To", "Addresses"],
      ["subject", "Subject", "Text"],
      ["sentAt", "Date", "Date"],
    ] as const
  ).map(([key, name, form]) => [key, { key, name, field: name.toLowerCase(), form, isAll: false }]),
);

/** Reads `header:{name}[:as{form}][:all]`: RFC 8621 §4.1.3. Undefined for what is none, or names a form that the field may
 * not have. */
export function parseHeaderProperty(key: string): HeaderProperty | undefined {
  const [, name, form = "Raw", all] = PROPERTY.exec(key) ?? [];
  if (name === undefined || name.length > FIELD_NAME_CHARS_MAX) return undefined;
  const property = { key, name, field: name.toLowerCase(), form: form as HeaderForm, isAll: all !== undefined };
  return mayHave(property.field, property.form) ? property : undefined;
}

function mayHave(field: string, form: HeaderForm): boolean {
  return form === "Raw" || (FORMS.get(field)?.includes(form) ?? true);
}
