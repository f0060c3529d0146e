/** Levels of parts within one another, and parts of one message; what lies deeper is one opaque part. */
export const DEPTH_MAX = 100;
export const PARTS_MAX = 10_000;
/** Octets of one header block that are read, and of all header blocks of embedded messages that are kept. */
export const HEADER_BYTES_MAX: number = 256 * 1024;
export const KEPT_HEADER_BYTES_MAX: number = 1024 * 1024;
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
