import { type Partial, parseSectionSpec, type Section } from "./fetch-items.ts";
import { ImapSyntaxError, Parser } from "./parser.ts";

/** A message, or a part of one, as a relative URL names it: RFC 5092 §7. */
export interface MessageUrl {
  /** The mailbox's path; that which is selected, if it is left out. */
  readonly path: string | undefined;
  readonly uidValidity: number | undefined;
  readonly uid: number;
  readonly section: Section;
  readonly partial: Partial | undefined;
}

const URL_CHARS_MAX = 4_096;
const PATTERN =
  /^(?:\/([^;?#]*?)(?:;UIDVALIDITY=([1-9]\d{0,9}))?\/)?;UID=([1-9]\d{0,9})(?:\/;SECTION=([^;]*?))?(?:\/;PARTIAL=(\d{1,15})(?:\.([1-9]\d{0,14}))?)?$/i;

/** undefined for what is none, or names nothing of this server's. */
export function parseMessageUrl(url: string): MessageUrl | undefined {
  const [, path, uidValidity, uid, section = "", offset, length] =
    (url.length <= URL_CHARS_MAX && PATTERN.exec(url)) || [];
  if (uid === undefined) return undefined;
  try {
    return {
      path: path === undefined ? undefined : decodeURIComponent(path).normalize("NFC"),
      uidValidity: uidValidity === undefined ? undefined : Number(uidValidity),
      uid: Number(uid),
      section: sectionOf(decodeURIComponent(section)),
      partial:
        offset === undefined
          ? undefined
          : { offset: Number(offset), length: length === undefined ? Number.MAX_SAFE_INTEGER : Number(length) },
    };
  } catch (error) {
    if (error instanceof URIError || error instanceof ImapSyntaxError) return undefined;
    throw error;
  }
}

function sectionOf(text: string): Section {
  const parser = new Parser({ lines: [new TextEncoder().encode(text)], literals: [] });
  const { section } = parseSectionSpec(parser);
  parser.end();
  if (section.fields.length > 0) throw new ImapSyntaxError("A URL names octets of the message");
  return section;
}
