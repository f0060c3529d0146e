import { constants, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { Deadlines } from "./deadlines.ts";
import { isHttp2, type RawRequest } from "./exchange.ts";
import { CONTROL_FRAMES_PER_MINUTE_MAX, HEADER_MS, IDLE_MS, LINGER_MS, STREAMS_MAX } from "./limits.ts";

const MINUTE_MS = 60_000;

/** Watches one connection of HTTP/2: its first request comes in time, it is not idle for long, and does not keep us busy with
 * frames that need no request. nghttp2 itself counts streams that are reset, refused or malformed too often. */
export function guardSession(session: ServerHttp2Session, deadlines: Deadlines): void {
  let streams = 0;
  let controls = 0;
  let since = deadlines.now;
  let isClosing = false;
  const deadline = deadlines.begin(() => {
    // GOAWAY first; who does not go then is cut.
    if (isClosing) session.destroy();
    else session.close();
    isClosing = true;
    deadline.expect(LINGER_MS);
  });
  deadline.expect(HEADER_MS);
  session.on("stream", (stream: ServerHttp2Stream) => {
    streams++;
    deadline.expect();
    stream.once("close", () => {
      streams--;
      if (streams === 0) deadline.expect(isClosing ? LINGER_MS : IDLE_MS);
    });
  });
  const count = (): void => {
    if (deadlines.now - since > MINUTE_MS) {
      since = deadlines.now;
      controls = 0;
    }
    controls++;
    if (controls > CONTROL_FRAMES_PER_MINUTE_MAX) session.destroy(undefined, constants.NGHTTP2_ENHANCE_YOUR_CALM);
  };
  session.on("ping", count);
  session.on("remoteSettings", count);
  session.on("error", () => session.destroy());
  session.once("close", () => deadline.end());
}

/** Requests of each connection in this turn of the event loop. */
const begun = new WeakMap<object, number>();

/** False for a request too many: more than {@link STREAMS_MAX} came in one turn of the event loop, in which none can have
 * been answered. By HTTP/2 such a client resets streams as soon as it has opened them. nghttp2 counts resets too, but only
 * after all requests of one read were begun. By HTTP/1.1 a client may send as many ahead. The connection ends then. */
export function isTimely(raw: RawRequest): boolean {
  const connection = isHttp2(raw) ? raw.stream?.session : raw.socket;
  if (!connection || connection.destroyed) return false;
  const count = (begun.get(connection) ?? 0) + 1;
  if (count === 1) setImmediate(() => begun.delete(connection));
  begun.set(connection, count);
  if (count <= STREAMS_MAX) return true;
  if ("goaway" in connection) connection.destroy(undefined, constants.NGHTTP2_ENHANCE_YOUR_CALM);
  else connection.destroy();
  return false;
}
