import type { NewEmail } from "../mail/ops/op.ts";

/** For tests: an email of nothing but an id, which is made of these octets. */
export function bareEmail(octets: readonly number[], flags: readonly string[] = []): NewEmail {
  const id = new Uint8Array(16);
  id.set(octets);
  const none = new Uint8Array(0);
  return {
    id,
    key: new Uint8Array(32),
    size: 1,
    place: { in: "object", length: 1 },
    receivedMs: 0,
    receivedZone: 0,
    sentMs: 0,
    sentZone: 0,
    thread: new Uint8Array(8),
    ids: none,
    header: none,
    summary: none,
    flags,
  };
}
