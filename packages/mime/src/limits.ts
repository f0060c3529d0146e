/** Levels of parts within one another: what lies deeper is one opaque part. */
export const DEPTH_MAX = 100;
/** Parts of one message, counted over all of it, and octets of their header blocks (not of the message's own): what lies
 * beyond is one opaque part. */
export const PARTS_MAX = 1000;
export const PART_HEADERS_BYTES_MAX: number = 512 * 1024;
/** Octets of the fields that ENVELOPE tells, of all messages within one. */
export const ENVELOPES_BYTES_MAX: number = 128 * 1024;
/** Octets of one header block that are read. */
export const HEADER_BYTES_MAX: number = 256 * 1024;
/** Octets of a line that can matter for a boundary: RFC 2046 §5.1.1 allows 70 and some padding. */
export const BOUNDARY_LINE_BYTES_MAX = 1000;
/** Octets kept of the first text part, raw, to make a preview of. */
export const PREVIEW_SOURCE_BYTES_MAX: number = 16 * 1024;
/** Parameters of one field that are read. */
export const PARAMETERS_MAX = 200;
/** Addresses of one field that are read. */
export const ADDRESSES_MAX = 10_000;
/** Octets of one string in ENVELOPE or BODYSTRUCTURE. */
export const STRING_BYTES_MAX: number = 16 * 1024;
/** Message ids of one field. */
export const MESSAGE_IDS_MAX = 1000;
/** URLs of one field. */
export const URLS_MAX = 1000;
/** Octets of a line that is written, without its end: RFC 5322 §2.1.1. */
export const LINE_BYTES_MAX = 998;
