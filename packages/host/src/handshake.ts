import type { Socket } from "node:net";
import { type SecureContext, TLSSocket } from "node:tls";

/** Milliseconds for a TLS handshake, first octet to last. */
export const HANDSHAKE_MS = 15_000;

/**
 * The server's side of TLS over a socket, from the start or after STARTTLS. Undefined if there was no handshake: the
 * client went, spoke something else, or took longer than `limitMs` milliseconds. Its socket is destroyed then.
 */
export function shakeHands(
  socket: Socket,
  secureContext: SecureContext,
  limitMs: number = HANDSHAKE_MS,
): Promise<TLSSocket | undefined> {
  const secured = new TLSSocket(socket, { isServer: true, secureContext });
  return new Promise((resolve) => {
    const giveUp = (): void => {
      clearTimeout(timer);
      secured.destroy();
      socket.destroy();
      resolve(undefined);
    };
    const timer = setTimeout(giveUp, limitMs);
    secured.on("error", giveUp);
    secured.once("close", giveUp);
    secured.once("secure", () => {
      clearTimeout(timer);
      secured.off("error", giveUp);
      secured.off("close", giveUp);
      resolve(secured);
    });
    if (socket.destroyed) giveUp();
  });
}
