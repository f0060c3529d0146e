import { decodeRaw } from "@restante/mime";

/** Fields that belong to an mbox file and not to the message: they say what a program did with it. */
const FILE_FIELD =
  /^(status|x-status|x-keywords|x-uid|x-imap|x-imapbase|x-mozilla-status|x-mozilla-status2|x-mozilla-keys|x-gmail-labels):(.*)$/is;
const STATUS: Readonly<Record<string, string>> = { R: "\\Seen" };
const X_STATUS: Readonly<Record<string, string>> = { A: "\\Answered", F: "\\Flagged", D: "\\Deleted", T: "\\Draft" };
/** X-Mozilla-Status, bits of a hexadecimal number: what Thunderbird keeps of each message. */
const MOZILLA: readonly (readonly [number, string])[] = [
  [0x0001, "\\Seen"],
  [0x0002, "\\Answered"],
  [0x0004, "\\Flagged"],
  [0x1000, "$Forwarded"],
];
const MOZILLA_EXPUNGED = 0x0008;
/** X-Mozilla-Status2: deleted, and not yet expunged. */
const MOZILLA2_DELETED = 0x0020_0000;

export interface FileFacts {
  readonly flags: readonly string[];
  /** The file's owner deleted it for good; its octets wait for the file to be compacted. */
  readonly isExpunged: boolean;
  /** Gmail's labels, as the field has them: X-Gmail-Labels of a Takeout. */
  readonly labels: string | undefined;
}

/** Fields that programs put before all others of a message: what stands behind another one a stranger may have written. */
const LEADING = /^(?:x-(?:gm|gmail|mozilla)-|(?:x-(?:account-key|identity-key|uidl?|status|keywords)|status|fcc):)/i;

export function isLeadingField(line: string): boolean {
  return LEADING.test(line);
}

/** `isLeading`: all fields before it are such that {@link isLeadingField}. */
export function isFileField(line: string, isLeading: boolean): boolean {
  return FILE_FIELD.test(line) && (isLeading || !/^x-gmail-labels:/i.test(line));
}

/** `fields` are whole, unfolded, the first `leading` of them before all of the message's. Of one name the first counts.
 * `separator` divides the words of X-Keywords. */
export function readFileFields(
  fields: readonly string[],
  separator: RegExp,
  leading: number = fields.length,
): FileFacts {
  const flags: string[] = [];
  let isExpunged = false;
  let labels: string | undefined;
  const seen = new Set<string>();
  for (const [at, field] of fields.entries()) {
    const [, name = "", value = ""] = FILE_FIELD.exec(field) ?? [];
    if (seen.has(name.toLowerCase())) continue;
    seen.add(name.toLowerCase());
    const bits = Number.parseInt(value.trim(), 16) || 0;
    const words = decodeRaw(value)
      .split(separator)
      .filter((word) => word !== "");
    switch (name.toLowerCase()) {
      case "status":
        flags.push(...lettersIn(value, STATUS));
        break;
      case "x-status":
        flags.push(...lettersIn(value, X_STATUS));
        break;
      case "x-keywords":
      case "x-mozilla-keys":
        flags.push(...words);
        break;
      case "x-mozilla-status":
        for (const [bit, flag] of MOZILLA) if (bits & bit) flags.push(flag);
        isExpunged = at < leading && (bits & MOZILLA_EXPUNGED) !== 0;
        break;
      case "x-gmail-labels":
        labels = value.trim();
        break;
      case "x-mozilla-status2":
        if (bits & MOZILLA2_DELETED) flags.push("\\Deleted");
        break;
    }
  }
  return { flags: [...new Set(flags)], isExpunged, labels };
}

/** The same of what Thunderbird writes into single messages; `head` is a message's beginning (binary). */
export function readMozillaFields(head: string): FileFacts {
  const [header = ""] = head.split(/\r?\n\r?\n/, 1);
  const fields = header.replace(/\r?\n[ \t]+/g, " ").split(/\r?\n/);
  const others = fields.findIndex((field) => !isLeadingField(field));
  const isMozillas = (field: string): boolean => /^x-mozilla-/i.test(field);
  const leading = fields.slice(0, others < 0 ? fields.length : others).filter(isMozillas);
  return readFileFields(fields.filter(isMozillas), /[\s,]+/, leading.length);
}

/** The fields that an export puts before each message, always all, so that what follows is the message's. */
export function writeFileFields(flags: readonly string[]): string[] {
  const letters = (table: Readonly<Record<string, string>>): string =>
    Object.keys(table)
      .filter((letter) => flags.includes(table[letter]!))
      .join("");
  const keywords = flags.filter((flag) => !flag.startsWith("\\"));
  return [
    // O: it is no longer new to the file.
    `Status: ${letters(STATUS)}O`,
    `X-Status: ${letters(X_STATUS)}`,
    `X-Keywords: ${keywords.join(" ")}`,
  ];
}

export const WRITTEN_FIELDS = 3;

function lettersIn(value: string, table: Readonly<Record<string, string>>): string[] {
  return [...value].map((letter) => table[letter]).filter((flag) => flag !== undefined);
}
