/** Every number that bounds a phone, with its unit. */

/** Octets of a request: 25 MB of attachments in base64, and what is around them. */
export const REQUEST_BYTES_MAX: number = 36 * 2 ** 20;
/** Items of one answer, and what it is without a word: MS-ASCMD §2.2.3.199. */
export const WINDOW_MAX = 512;
export const WINDOW_DEFAULT = 100;
/** Octets of one Sync's answer, about, beyond which MoreAvailable follows; milliseconds that it may take. */
export const SYNC_BYTES_MAX: number = 4 * 2 ** 20;
export const SYNC_MS_MAX = 20_000;
/** Commands of a client in one Sync: MS-ASCMD §3.1.5.8. */
export const COMMANDS_MAX = 200;
/** Collections in one Sync, Ping or GetItemEstimate. */
export const COLLECTIONS_MAX = 300;
/** Folders that are told. */
export const FOLDERS_MAX = 1000;
export const MOVES_MAX = 1000;
/** Operations of one ItemOperations, and requests of one MeetingResponse. */
export const OPERATIONS_MAX = 100;
export const RECIPIENTS_MAX = 100;
/** Characters of ids, keys and a draft's ClientId; of a sent mail's ClientId; of a LongId. */
export const ID_CHARS_MAX = 64;
export const SENT_CLIENT_ID_CHARS_MAX = 40;
export const LONG_ID_CHARS_MAX = 256;
export const FOLDER_NAME_CHARS_MAX = 256;
/** Characters of a list of addresses, which is cut at an address. */
export const ADDRESSES_CHARS_MAX = 32_768;
export const CATEGORIES_MAX = 300;
/** Seconds that a phone may wait. */
export const HEARTBEAT_SECONDS_MIN = 60;
export const HEARTBEAT_SECONDS_MAX = 3540;
/** Results of one page of Search and Find, and of all their pages. */
export const RESULTS_DEFAULT = 100;
export const RESULTS_MAX = 1000;
/** Characters of a query, and terms in it. */
export const QUERY_CHARS_MAX = 4096;
export const QUERY_TERMS_MAX = 100;
/** Devices of one account. */
export const DEVICES_MAX = 100;
/** Octets of a text that is given whole: what is longer is cut, and says so. */
export const BODY_BYTES_MAX: number = 4 * 2 ** 20;
/** Octets of a message as MIME in a Sync; ItemOperations gives it whole. */
export const MIME_BYTES_MAX: number = 30 * 2 ** 20;
/** Octets of the calendar that an invitation brings. */
export const CALENDAR_BYTES_MAX: number = 256 * 1024;
