/** Every number that bounds a client, with its unit. */

/** Bytes of a command without its literals: RFC 7162 §4 asks for at least 8192. */
export const COMMAND_BYTES_MAX = 65_536;
export const COMMAND_BYTES_MAX_UNAUTHENTICATED = 8_192;
/** Bytes of one literal that is no message, and of all literals of one command. */
export const LITERAL_BYTES_MAX = 65_536;
export const COMMAND_LITERALS_BYTES_MAX = 262_144;
/** The same before login, where a stranger speaks. */
export const LITERAL_BYTES_MAX_UNAUTHENTICATED = 4_096;
export const COMMAND_LITERALS_BYTES_MAX_UNAUTHENTICATED = 8_192;
/** Octets of a user name: RFC 5321 §4.5.3.1 has 64 for the local part and 255 for the domain. */
export const USER_NAME_BYTES_MAX = 320;
/** Bytes of one message in APPEND. */
export const MESSAGE_BYTES_MAX: number = 150 * 2 ** 20;
/** Literals and URLs of one APPEND, and octets of small messages that one APPEND of several may hold until all are there. */
export const APPEND_PARTS_MAX = 1_000;
/** APPENDs of one connection that are read and not answered yet, and bytes of theirs in memory beyond which no other is read. */
export const APPENDS_UNDER_WAY_MAX = 16;
export const APPENDS_HELD_BYTES_MAX: number = 256 * 1024;
export const MULTIAPPEND_BYTES_MAX: number = 8 * 2 ** 20;
/** Bytes of a refused literal, or of a line that does not end, that are read and dropped to keep the connection; beyond it is
 * closed. */
export const DROPPED_LITERAL_BYTES_MAX: number = 256 * 2 ** 20;
/** Nested parentheses in a command (SEARCH keys, lists). */
export const NESTING_MAX = 50;
/** Items of one parenthesised list. */
export const LIST_ITEMS_MAX = 5_000;
/** Items of one FETCH: each may be an answer as large as the message. */
export const FETCH_ITEMS_MAX = 200;
/** Characters of PREVIEW: RFC 8970 §3.1. */
export const PREVIEW_CHARS_MAX = 200;
/** Octets of a header in which HEADER.FIELDS looks for fields; what stands further behind is neither told nor left out. */
export const FIELDS_BYTES_MAX: number = 2 ** 20;
/** Keys of one SEARCH, those within others counted too. */
export const SEARCH_KEYS_MAX = 250;
/** Searches that one client has kept up to date, and messages of all their results: RFC 5267 §4.3.1. */
export const CONTEXTS_MAX = 16;
export const CONTEXT_MESSAGES_MAX = 400_000;
/** Commands in a row that are no IMAP, before the connection is closed. */
export const BAD_COMMANDS_MAX = 50;
/** Milliseconds without an octet, once signed in: RFC 9051 §5.4 asks for at least 30 minutes. */
export const IDLE_TIMEOUT_MS: number = 31 * 60_000;
/** Milliseconds that a client has to take what waits for it. */
export const DRAIN_MS: number = 10 * 60_000;
/** How often an idling client hears from us, so that no NAT forgets the connection. */
export const IDLE_KEEPALIVE_MS = 120_000;
/** Annotations of one account, names of them that one command asks for, and octets of the value of one: RFC 5464 §4.3. */
export const METADATA_ENTRIES_MAX = 1_000;
export const METADATA_NAMES_MAX = 100;
export const METADATA_VALUE_BYTES_MAX = 32_768;
/** Groups of one NOTIFY, and mailboxes that a group names. */
export const NOTIFY_NAMES_MAX = 1_000;
/** How often who waits for a search hears that it goes on. */
export const INPROGRESS_MS = 10_000;
/** Octets of a literal that a client may send unasked where LITERAL- is announced: RFC 7888 §5. */
export const LITERAL_MINUS_BYTES_MAX = 4_096;
/** Bytes that may wait to be sent before a command waits for the client to read. */
export const OUTPUT_BYTES_MAX: number = 256 * 1024;
/** The same of all connections, before the one that has waited longest is cut off. */
export const BACKLOG_BYTES_MAX: number = 64 * 2 ** 20;
/** Bytes read ahead of the command that is being run, before the socket is paused. */
export const INPUT_BYTES_MAX: number = 256 * 1024;
export const INPUT_BYTES_MAX_UNAUTHENTICATED = 8_192;
/** Bodies that are asked for before their turn in an answer comes: each brings up to 128 KB. */
export const BODIES_AHEAD = 6;
/** Characters of a mailbox's name or pattern, as it is written: no path is so long. Composing marks takes steps by their square. */
export const MAILBOX_NAME_CHARS_MAX = 8_192;
