/** Limits on requests for settings. Everybody who sends one is a stranger. */

/** Octets of a request for settings: one address and one schema. */
export const REQUEST_BYTES_MAX = 16_384;
/** Elements within each other. */
export const DEPTH_MAX = 8;
/** Entities of one request. */
export const ENTITIES_MAX = 64;
