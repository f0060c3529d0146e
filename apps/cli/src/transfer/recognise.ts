import { createHash } from "node:crypto";
import type { AccountSession, Uid } from "@restante/engine";
import { binaryBytes } from "@restante/mime";

/** Octets of the header block that a message is recognised by. */
const HEADER_KEY_BYTES = 4096;
/** Messages whose headers are read at once. */
const AT_ONCE = 256;

/** The key by which a message is recognised: its size, the second of its INTERNALDATE, and the beginning of its header. */
export function recognitionKey(size: number, receivedMs: number, header: Uint8Array): string {
  const digest = createHash("sha256").update(header.subarray(0, HEADER_KEY_BYTES)).digest("base64").slice(0, 22);
  return `${size} ${Math.floor(receivedMs / 1000)} ${digest}`;
}

/** Uids of a mailbox's messages, by their keys. */
export type Known = Map<string, Uid[]>;

export async function listKnown(session: AccountSession, path: string): Promise<Known> {
  const known: Known = new Map();
  const view = session.openView(session.getMailbox(path).id, { readOnly: true });
  for (let first = 0; first < view.length; first += AT_ONCE) {
    const messages = view.messagesIn(first, Math.min(first + AT_ONCE, view.length));
    const facts = messages.map(({ state, row }) => [state.sizeOf(row), state.receivedOf(row).timeMs] as const);
    const headers = await session.readHeaders(messages);
    for (const [at, [size, receivedMs]] of facts.entries()) {
      const key = recognitionKey(size, receivedMs, binaryBytes(headers[at]!.text));
      const uids = known.get(key);
      if (uids) uids.push(view.uidAt(first + at));
      else known.set(key, [view.uidAt(first + at)]);
    }
  }
  return known;
}
