import type { Pace } from "@restante/engine";

/** Octets that are made text together: a multiple of 3. */
const OCTETS_AT_ONCE = 24_576;

/** RFC 4648 §4. */
export async function textOfBase64(bytes: Uint8Array, pace: Pace): Promise<string> {
  const texts: string[] = [];
  for (let at = 0; at < bytes.length; at += OCTETS_AT_ONCE) {
    if (pace.isOver()) await pace.take();
    texts.push(btoa(String.fromCharCode(...bytes.subarray(at, at + OCTETS_AT_ONCE))));
  }
  return texts.join("");
}

/** Undefined for what is no base64. */
export function bytesOfBase64(text: string): Uint8Array | undefined {
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return undefined;
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < binary.length; at++) bytes[at] = binary.charCodeAt(at);
  return bytes;
}
