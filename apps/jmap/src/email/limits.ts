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
/** Characters of header values and body values in one answer: an answer is in memory, twice. */
export const ANSWER_CHARS_MAX: number = 32 * 2 ** 20;
/** Keywords and mailboxes of a new email. */
export const KEYWORDS_MAX = 100;
export const MAILBOXES_OF_EMAIL_MAX = 1000;
