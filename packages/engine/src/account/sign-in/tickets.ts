import { encode } from "cborg";
import { hexText } from "../../bay/entry.ts";
import { decodeCbor } from "../../crypto/cbor.ts";
import { CryptoError, openTicket, sealTicket } from "../../crypto/index.ts";
import { EngineError } from "../../errors.ts";
import type { Platform } from "../platform.ts";

/** Milliseconds that a ticket is good for. */
export const TICKET_MS = 60_000;
const FORMAT = 1;
const NONCE_BYTES = 16;
/** Characters of the longest there is. */
const TICKET_CHARS_MAX = 2_048;

export interface TicketsOptions {
  readonly platform: Pick<Platform, "crypto" | "now">;
  readonly serverKey: Uint8Array;
  /** Spends a nonce. True if no process of this host did so before. */
  readonly spend: (nonce: string) => Promise<boolean>;
}

/**
 * Tickets, which browsers show in a URL where they can't send a header: for an event stream, a WebSocket. A ticket stands in
 * for a token, for a minute and once, in any process that has the server key.
 */
export class Tickets {
  readonly #options: TicketsOptions;

  constructor(options: TicketsOptions) {
    this.#options = options;
  }

  make(token: string): { readonly ticket: string; readonly expiresMs: number } {
    const { platform, serverKey } = this.#options;
    const expiresMs = platform.now() + TICKET_MS;
    const plain = encode([FORMAT, token, platform.crypto.random(NONCE_BYTES), expiresMs]);
    return { ticket: sealTicket(platform.crypto, serverKey, plain), expiresMs };
  }

  /** The token that it stands for. Errors: `not-permitted` for one that was used, is too old or none of ours. */
  async redeem(ticket: string): Promise<string> {
    const { platform, serverKey, spend } = this.#options;
    const plain = ticket.length > TICKET_CHARS_MAX ? undefined : openTicket(platform.crypto, serverKey, ticket);
    const { token, nonce, expiresMs } = plain ? decode(plain) : REFUSED;
    if (expiresMs <= platform.now() || !(await spend(hexText(nonce))))
      throw new EngineError("not-permitted", "the ticket is none, or was used");
    return token;
  }
}

const REFUSED = { token: "", nonce: new Uint8Array(), expiresMs: 0 } as const;

function decode(plain: Uint8Array): { readonly token: string; readonly nonce: Uint8Array; readonly expiresMs: number } {
  const value = decodeCbor(plain, "ticket");
  const [format, token, nonce, expiresMs] = Array.isArray(value) ? (value as unknown[]) : [];
  if (format !== FORMAT || typeof token !== "string" || !(nonce instanceof Uint8Array) || typeof expiresMs !== "number")
    throw new CryptoError("corrupt", "ticket can't be read");
  return { token, nonce, expiresMs };
}
