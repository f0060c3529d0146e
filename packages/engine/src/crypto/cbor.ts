import { decode } from "cborg";
import { CryptoError } from "./errors.ts";

/** One CBOR item that fills the bytes. Throws CryptoError `corrupt`, whose message says `what` it was to be. */
export function decodeCbor(bytes: Uint8Array, what: string): unknown {
  try {
    return decode(bytes, { strict: true });
  } catch (cause) {
    throw new CryptoError("corrupt", `${what} can't be read`, { cause });
  }
}
