import { displayName, formatAddress, type HeaderBlock, type Mailbox, parseAddresses } from "@restante/mime";
import { ADDRESSES_CHARS_MAX } from "../limits.ts";

/** The mailboxes of all fields of one name (in lower case), those in groups too. */
export function mailboxesOf(header: HeaderBlock, field: string): Mailbox[] {
  return header
    .values(field)
    .flatMap((value) => parseAddresses(value))
    .flatMap((one) => (one.kind === "group" ? one.members : [one]));
}

/** `"Name" <a@b>`, or the address alone: MS-ASEMAIL §2.2.2.36. */
export function addressText(mailbox: Mailbox): string {
  const address = formatAddress(mailbox);
  const name = nameOf(mailbox);
  return name === "" ? address : `"${name.replaceAll("\\", "").replaceAll('"', "'")}" <${address}>`;
}

/** As many of them as there is room for. */
export function addressList(mailboxes: readonly Mailbox[], separator = ", "): string {
  return joined(mailboxes.map(addressText), separator);
}

/** The names that are shown for them, or their addresses. */
export function displayNames(mailboxes: readonly Mailbox[]): string {
  return joined(
    mailboxes.map((mailbox) => nameOf(mailbox) || formatAddress(mailbox)),
    "; ",
  );
}

function nameOf({ name }: Mailbox): string {
  return name === undefined ? "" : clean(displayName(name));
}

/** On one line, without controls. */
export function clean(text: string): string {
  return text
    .replace(/[\u0000-\u001f\u007f]+/g, " ")
    .trim()
    .toWellFormed();
}

function joined(texts: readonly string[], separator: string): string {
  let list = "";
  for (const text of texts) {
    const longer = list === "" ? text : `${list}${separator}${text}`;
    if (longer.length > ADDRESSES_CHARS_MAX) break;
    list = longer;
  }
  return list;
}
