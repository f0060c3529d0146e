import { CryptoError } from "./errors.ts";
import type { CryptoPlatform } from "./platform.ts";
import { deriveKey, fromBase64Url, toBase64Url } from "./primitives.ts";
import { openObject, type SealContext, sealObject } from "./sealed-object.ts";

/**
 * The server key: 32 random bytes, the same on all hosts of one store, for what a server does while nobody is signed in,
 * and for what one of its processes gives a client to show to another. It opens no mailbox.
 */
export const SERVER_KEY_BYTES = 32;

/** The server is no account. */
const NOBODY: Uint8Array = new Uint8Array(16);

/** Seals what a client shows again soon: it can neither read nor change it. */
export function sealTicket(platform: CryptoPlatform, serverKey: Uint8Array, plain: Uint8Array): string {
  return toBase64Url(sealObject(contextOf(platform, serverKey), plain));
}

/** What {@link sealTicket} sealed; undefined for anything else. */
export function openTicket(platform: CryptoPlatform, serverKey: Uint8Array, ticket: string): Uint8Array | undefined {
  const sealed = fromBase64Url(ticket);
  if (!sealed) return undefined;
  try {
    return openObject(contextOf(platform, serverKey), sealed);
  } catch (error) {
    if (error instanceof CryptoError) return undefined;
    throw error;
  }
}

/** How what waits to be sent is sealed: under the server key, bound to what it is and to its name. */
export function outboundContext(
  platform: CryptoPlatform,
  serverKey: Uint8Array,
  kind: "outbound" | "claim",
  id: string,
): SealContext {
  return { platform, key: deriveKey(serverKey, "outbound"), keyVersion: 0, account: NOBODY, kind, id };
}

/** How a message that waits to be sent is sealed: under a key of its own, which what names it holds. */
export function outboundMailContext(platform: CryptoPlatform, key: Uint8Array, id: string): SealContext {
  return { platform, key, keyVersion: 0, account: NOBODY, kind: "outbound-mail", id };
}

function contextOf(platform: CryptoPlatform, serverKey: Uint8Array) {
  const key = deriveKey(serverKey, "ticket");
  return { platform, key, keyVersion: 0, account: NOBODY, kind: "ticket", id: "ticket" } as const;
}
