import type { DoorSocket } from "./door-socket.ts";
import type { EventStream } from "./event-stream.ts";

/** The part of an app that the door serves: routes, which turn a request into an answer, and know nothing of HTTP's versions,
 * of TLS or of proxies. The door sees to limits, CORS, problem documents and header fields of all answers. */
export interface Site {
  readonly routes: readonly Route[];
  readonly sockets?: readonly SocketRoute[];
  /** The app's own errors as problems. An error that it gives undefined for is a bug, and answered with 500. */
  readonly explain?: (error: unknown) => Error | undefined;
}

export type Method = "GET" | "POST" | "PUT" | "DELETE" | "OPTIONS";

export interface Route {
  readonly method: Method;
  /** `/jmap/upload/:account`: a name after a colon stands for one segment. */
  readonly path: string;
  /** The path is taken in any case of its letters, and with a slash at its end too. */
  readonly anyCase?: boolean;
  /** Octets of a request's body; none where it isn't said. */
  readonly bodyBytesMax?: number;
  /** Answers a request. An error that it throws is answered as a problem. */
  readonly handle: (request: DoorRequest) => Promise<Answer>;
}

/** A WebSocket: RFC 6455. */
export interface SocketRoute {
  readonly path: string;
  /** The subprotocol, which clients must offer. */
  readonly protocol: string;
  /** Octets of one message. */
  readonly messageBytesMax: number;
  /** Comes before the upgrade: an error that it throws is answered as a problem. The function that it returns gets the open
   * socket. */
  readonly open: (request: DoorRequest) => Promise<(socket: DoorSocket) => void>;
}

/** How a browser's WebSocket, which can send no header, brings its token beside the protocol that it offers. */
export const PROTOCOL_MARK = "bearer.";

export interface DoorRequest {
  readonly method: string;
  /** By the names in the route's path. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** The text behind "?", as it came; empty without one. */
  readonly rawQuery: string;
  /** The client's address; behind a trusted proxy the one that the proxy tells. Empty on a unix socket. */
  readonly address: string;
  /** The beginning of every URL in an answer: `server.origin`, never the Host header. */
  readonly origin: string;
  /** Nobody between the client and us could have read it. */
  readonly isSecure: boolean;
  /** On the monotonic clock, in milliseconds. */
  readonly arrivedAt: number;
  /** Aborted when the connection ends or the answer has gone out. */
  readonly signal: AbortSignal;
  header(name: string): string | undefined;
  /** The body as it comes. Throws Problem 413 or 408; the connection's end throws too. */
  body(): AsyncIterable<Uint8Array>;
  /** The whole of it. */
  bytes(): Promise<Uint8Array>;
  /** The whole of it as JSON in UTF-8 (RFC 8259 §8.1). Strings may hold half characters, and of equal names the last one
   * counts, which I-JSON has not (RFC 7493 §2.1, §2.3). Throws Problem 400 `notJSON`. */
  json(): Promise<unknown>;
  /** Its sender is known: the connection is no stranger's any more. */
  signedIn(): void;
  /** Removes the request's credentials from memory: a request that waits for hours holds no password. */
  forgetCredentials(): void;
}

export interface Answer {
  readonly status: number;
  /** By names in lower case. */
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  /** All of it, as it comes, or an event stream that goes on by itself. */
  readonly body?: Uint8Array | AsyncIterable<Uint8Array> | ((stream: EventStream) => void);
}
