import type { Socket } from "node:net";

/** Milliseconds in which a client takes what was still to be told, before its socket is destroyed. */
export const FAREWELL_MS = 2_000;

/**
 * Ends a connection: what was written is still sent, and then, or in a moment, the socket is gone, whatever the client
 * does. (`end` and `destroySoon` alone wait for the client: for its handshake, for its reading, for its end.)
 */
export function letGo(socket: Socket): void {
  if (socket.destroyed) return;
  const timer = setTimeout(() => socket.destroy(), FAREWELL_MS);
  socket.once("close", () => clearTimeout(timer));
  socket.on("error", () => socket.destroy());
  socket.destroySoon();
}
