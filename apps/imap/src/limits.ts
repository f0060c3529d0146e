/** Every number that bounds a client, with its unit. */

/** Bytes of a command without its literals: RFC 7162 §4 asks for at least 8192. */
export const COMMAND_BYTES_MAX = 65_536;
/** Bytes of one literal that is no message, and of all literals of one command. */
export const LITERAL_BYTES_MAX = 65_536;
export const COMMAND_LITERALS_BYTES_MAX = 262_144;
/** The same before login, where a stranger speaks. */
export const LITERAL_BYTES_MAX_UNAUTHENTICATED = 4_096;
/** Bytes of one message in APPEND. */
export const MESSAGE_BYTES_MAX: number = 150 * 2 ** 20;
/** Bytes of a refused literal that are read and dropped to keep the connection; beyond it is closed. */
export const DROPPED_LITERAL_BYTES_MAX: number = 256 * 2 ** 20;
/** Nested parentheses in a command (SEARCH keys, lists). */
export const NESTING_MAX = 50;
/** Items of one parenthesised list, keys of one SEARCH. */
export const LIST_ITEMS_MAX = 5_000;
/** Commands in a row that are no IMAP, before the connection is closed. */
export const BAD_COMMANDS_MAX = 50;
/** Milliseconds without a command before login, and after: RFC 9051 §5.4 asks for at least 30 minutes. */
export const LOGIN_TIMEOUT_MS = 60_000;
export const IDLE_TIMEOUT_MS: number = 31 * 60_000;
/** How often an idling client hears from us, so that no NAT forgets the connection. */
export const IDLE_KEEPALIVE_MS = 120_000;
/** Bytes that may wait to be sent before a command waits for the client to read. */
export const OUTPUT_BYTES_MAX: number = 256 * 1024;
/** Bytes read ahead of the command that is being run, before the socket is paused. */
export const INPUT_BYTES_MAX: number = 256 * 1024;
/** Bodies that are asked for before their turn in an answer comes: each brings up to 128 KB. */
export const BODIES_AHEAD = 6;
/** Milliseconds that one command works before the other connections have their turn. */
export const TURN_MS = 8;
/** Connections of one server, and of one client address. */
export const CONNECTIONS_MAX = 10_000;
export const CONNECTIONS_PER_ADDRESS_MAX = 1_000;
