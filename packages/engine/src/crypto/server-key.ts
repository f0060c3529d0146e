import { CryptoError } from "./errors.ts";
import type { CryptoPlatform } from "./platform.ts";
import {
  concat,
  deriveKey,
  fromBase64Url,
  KEM_CIPHERTEXT_BYTES,
  kemKeyPair,
  keyedHash,
  toBase64Url,
} from "./primitives.ts";
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

/** The plain bytes of a ticket of {@link sealTicket}; undefined for any other text. */
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

/** How a mandate is sealed: under the server key, bound to what it is, whose it is, and its name. */
export function mandateContext(
  platform: CryptoPlatform,
  serverKey: Uint8Array,
  { kind, account, name }: { readonly kind: "vacation" | "push"; readonly account: Uint8Array; readonly name: string },
): SealContext {
  return { platform, key: deriveKey(serverKey, "mandate"), keyVersion: 0, account, kind, id: name };
}

/** A name that tells nobody what it stands for, and is the same each time: what was answered, and whom. */
export function serverHash(serverKey: Uint8Array, ...pieces: readonly Uint8Array[]): Uint8Array {
  return keyedHash(deriveKey(serverKey, "names"), ...pieces);
}

/** The seed of the key pair by which push services know this server. */
export function pushSeed(serverKey: Uint8Array): Uint8Array {
  return deriveKey(serverKey, "vapid");
}

/** The public key for delivering processes: bytes that are sealed to it open with the server key alone. X-Wing. */
export function serverPublicKey(serverKey: Uint8Array): Uint8Array {
  return kemKeyPair(serverSeed(serverKey)).publicKey;
}

function serverSeed(serverKey: Uint8Array): Uint8Array {
  return deriveKey(serverKey, "mandate-kem");
}

/** The account of a request, and its name in the store. */
export interface RequestPlace {
  readonly account: Uint8Array;
  readonly name: string;
}

/** Seals a delivering process's request to the server: KEM ciphertext ‖ sealed object. */
export function sealRequest(
  platform: CryptoPlatform,
  publicKey: Uint8Array,
  place: RequestPlace,
  plain: Uint8Array,
): Uint8Array {
  const { ciphertext, secret } = platform.kem.encapsulate(publicKey);
  return concat(ciphertext, sealObject(requestContext(platform, secret, place), plain));
}

/** Throws CryptoError `corrupt`. */
export async function openRequest(
  platform: CryptoPlatform,
  serverKey: Uint8Array,
  place: RequestPlace,
  bytes: Uint8Array,
): Promise<Uint8Array> {
  if (bytes.length < KEM_CIPHERTEXT_BYTES) throw new CryptoError("corrupt", "request is too short");
  const seed = serverSeed(serverKey);
  const { publicKey } = kemKeyPair(seed);
  const ciphertext = bytes.slice(0, KEM_CIPHERTEXT_BYTES);
  const secret = await platform.kem.decapsulate(ciphertext, publicKey, seed).catch((cause: unknown) => {
    throw new CryptoError("corrupt", "not a ciphertext", { cause });
  });
  return openObject(requestContext(platform, secret, place), bytes.subarray(KEM_CIPHERTEXT_BYTES));
}

function requestContext(platform: CryptoPlatform, secret: Uint8Array, { account, name }: RequestPlace): SealContext {
  return { platform, key: deriveKey(secret, "request"), keyVersion: 0, account, kind: "request", id: name };
}

function contextOf(platform: CryptoPlatform, serverKey: Uint8Array) {
  const key = deriveKey(serverKey, "ticket");
  return { platform, key, keyVersion: 0, account: NOBODY, kind: "ticket", id: "ticket" } as const;
}
