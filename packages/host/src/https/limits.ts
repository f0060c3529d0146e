/** Every number that bounds a client of the HTTPS door, with its unit. */

/** Milliseconds for a request's header, from its first octet, and for the first one from the handshake on. */
export const HEADER_MS = 10_000;
/** Octets of a request's header, and fields in it. */
export const HEADER_BYTES_MAX: number = 16 * 1024;
export const HEADER_FIELDS_MAX = 100;
/** Milliseconds that a connection stays with no request, and an answer with nobody who reads it. */
export const IDLE_MS = 120_000;
/** Milliseconds that may be waited for a body in all, and octets of it that make up for another second. */
export const BODY_GRACE_MS = 30_000;
export const BODY_BYTES_PER_SECOND_MIN = 4_096;
/** Milliseconds for what is left of a body when its answer has gone out. */
export const LINGER_MS = 5_000;
/** Milliseconds of silence after which TCP asks whether the other end is there. */
export const KEEP_ALIVE_MS = 60_000;
/** Milliseconds for what is under way when the server stops. */
export const STOP_MS = 5_000;
/** How often, in milliseconds, the door looks at its clock. */
export const TICK_MS = 1_000;

/** Requests at once of one process. */
export const REQUESTS_AT_ONCE_MAX = 10_000;
/** Requests at once of one network (an IPv4 address, an IPv6 /64) whose senders are not known, or not yet. */
export const STRANGER_REQUESTS_MAX = 200;
/** Streams at once of one HTTP/2 connection (RFC 9113 §5.1.2), and requests of any in one turn of the event loop. */
export const STREAMS_MAX = 100;
/** Streams that a client resets at once, and each second from then on: beyond it the connection ends. */
export const RESETS_BURST = 200;
export const RESETS_PER_SECOND = 20;
/** PING and SETTINGS frames of one connection in a minute. */
export const CONTROL_FRAMES_PER_MINUTE_MAX = 600;
/** Frames that make no sense, and streams beyond {@link STREAMS_MAX}, of one connection. */
export const WRONG_FRAMES_MAX = 100;

/** Octets that are written at once, so that a slow reader is told from one who has stopped. */
export const CHUNK_BYTES: number = 64 * 1024;
/** Octets of an event stream or a WebSocket that its reader has not taken yet; beyond it the connection is dropped. */
export const UNREAD_BYTES_MAX: number = 2 ** 20;
/** How often, in milliseconds, a WebSocket's other end is asked whether it is there. */
export const SOCKET_PING_MS = 60_000;
/** Messages of one WebSocket that are worked on at once. */
export const SOCKET_MESSAGES_AT_ONCE_MAX = 8;

/** At once for one account. */
export const ACCOUNT_REQUESTS_MAX = 8;
export const ACCOUNT_UPLOADS_MAX = 4;
export const ACCOUNT_STREAMS_MAX = 16;
/** Seconds after which a client may try again where all of these are in use. */
export const RETRY_AFTER_SECONDS = 1;

/** Seconds that a browser remembers what it may send. */
export const PREFLIGHT_SECONDS = 86_400;
/** Octets below which nothing is compressed. */
export const COMPRESS_BYTES_MIN = 1_024;
