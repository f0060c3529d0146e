/** Properties of one list that ask for header fields: `header:…` in `properties`, and in `bodyProperties`. */
export const HEADER_PROPERTIES_MAX = 64;
/** Entries of a list of properties. */
export const PROPERTIES_MAX = 256;
/** Characters of a field's name in a property. */
export const FIELD_NAME_CHARS_MAX = 255;
/** Emails whose summaries and headers are read together. */
export const EMAILS_AT_ONCE = 64;
/** Octets of a header block that are read where more of it was not kept. */
export const HEADER_READ_BYTES_MAX: number = 256 * 1024;
/** Characters of header values, parts and body values in one answer, which is in memory several times. */
export const EMAIL_CHARS_MAX: number = 8 * 2 ** 20;
/** Octets of UTF-8 of one body value, if the client names no lower limit: what is longer is told as truncated. */
export const BODY_VALUE_BYTES_MAX: number = 4 * 2 ** 20;
/** Keywords and mailboxes of a new email: as the engine takes them. */
export const KEYWORDS_MAX = 100;
export const MAILBOXES_OF_EMAIL_MAX = 1000;
/** Properties of a new email, and of one of its parts; characters of all its header fields and those of its parts. */
export const NEW_PROPERTIES_MAX = 1000;
export const NEW_HEADER_CHARS_MAX: number = 256 * 1024;
/** Characters of all its texts, each counted wherever it stands: they are encoded in one go. */
export const NEW_TEXT_CHARS_MAX: number = 10 * 2 ** 20;
/** Octets of a new message. */
export const MESSAGE_BYTES_MAX: number = 150 * 2 ** 20;
