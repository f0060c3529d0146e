/** Every number that bounds a JMAP client, with its unit. Those of RFC 8620 §2 are told in the session object. */

/** Octets of one upload, and of one request. */
export const UPLOAD_BYTES_MAX: number = 150 * 2 ** 20;
export const REQUEST_BYTES_MAX = 10_000_000;
/** Method calls of one request. */
export const CALLS_MAX = 64;
/** Objects that one get or set is about: what one op of the engine changes in one step. */
export const OBJECTS_MAX = 4_096;

/** Levels of objects and lists in a request. */
export const DEPTH_MAX = 128;
/** Names of one object in a request: more than any method takes, and few enough to be parsed in one turn. */
export const NAMES_MAX = 10_000;
/** Values of one request: many times what its calls may be about, and few enough to be parsed in one turn. */
export const VALUES_MAX = 150_000;
/** Segments of a result reference's path, and values that one looks at. */
export const PATH_SEGMENTS_MAX = 32;
export const REFERENCED_VALUES_MAX = 200_000;
/** Characters of what one call's references stand for. */
export const REFERENCED_CHARS_MAX: number = 4 * 2 ** 20;
/** Characters of all answers of one request; what would go beyond it is refused. */
export const ANSWER_CHARS_MAX: number = 64 * 2 ** 20;
/** Conditions of one filter, words and phrases that it looks for, characters of one of its texts, levels of it, and comparators
 * of one sort. */
export const CONDITIONS_MAX = 256;
export const FILTER_WORDS_MAX = 256;
export const FILTER_TEXT_CHARS_MAX: number = 64 * 1024;
export const FILTER_DEPTH_MAX = 32;
export const COMPARATORS_MAX = 16;
/** Ids in one answer of a query that asks for no fewer: all of a large mailbox. */
export const QUERY_IDS_MAX = 1_000_000;
/** Changes in one answer of /changes; more come with the next. */
export const CHANGES_MAX = 100_000;
