/** Recipients of one message: RFC 5321 §4.5.3.1.8 asks for at least 100. */
export const RECIPIENTS_MAX = 1000;
/** A client that goes on this far beyond the size limit is cut off. */
export const OVERSIZE_FACTOR_MAX = 2;
/** Bytes of a message held in memory for several recipients; a larger one is spooled to a file, sealed. */
export const HELD_BYTES_MAX: number = 256 * 1024;
/** Recipients of one message that are sealed and stored at once. */
export const DELIVERIES_AT_ONCE = 2;
/** Milliseconds of silence before a connection is closed: RFC 5321 §4.5.3.2.7 asks for at least five minutes. */
export const SILENCE_MS: number = 5 * 60_000;
/** When the server stops, clients have so long to end; a delivery under way is told 421 then, and tried again. */
export const CLOSE_MS = 3000;
/** Milliseconds from one command to the end of the next, and where a message is between them: a client that sends an
 * octet now and then holds no connection for ever. */
export const COMMAND_MS: number = 10 * 60_000;
export const MESSAGE_MS: number = 60 * 60_000;
/** Connections of one listener. */
export const CONNECTIONS_MAX = 1_000;
/** Commands of one client that are done before others have their turn. */
export const COMMANDS_AT_ONCE = 50;
