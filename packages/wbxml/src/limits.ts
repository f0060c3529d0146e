/** Levels of elements within one another, the root's being the first. */
export const DEPTH_MAX = 32;
/** Elements of one document. A Sync of 512 mails has some 20,000. */
export const ELEMENTS_MAX = 100_000;
/** Octets of one content, inline or opaque: 25 MB of attachments in base64, and their message. */
export const CONTENT_BYTES_MAX: number = 36 * 1024 * 1024;
/** Octets of a multi-byte integer: 32 bits, seven in each. */
export const INTEGER_BYTES_MAX = 5;
/** Octets of a text, unless the schema says otherwise. */
export const TEXT_BYTES_MAX = 32_768;
/** Elements of one name in one element, unless the schema says otherwise. */
export const LIST_MAX = 1000;
