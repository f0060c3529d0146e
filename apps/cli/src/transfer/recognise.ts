import { createHash } from "node:crypto";
import type { AccountSession } from "@restante/engine";
import { binaryBytes } from "@restante/mime";

/** Octets of the header block that a message is recognised by. */
const HEADER_KEY_BYTES = 4096;
/** Messages whose headers are read at once. */
const AT_ONCE = 256;

/** What a message is recognised by: its size, the second of its INTERNALDATE, and the beginning of its header. */
export function recognitionKey(size: number, receivedMs: number, header: Uint8Array): string {
  const digest = createHash("sha256").update(header.subarray(0, HEADER_KEY_BYTES)).digest("base64").slice(0, 22);
  return `${size} ${Math.floor(receivedMs / 1000)} ${digest}`;
}

/** How many messages of each key a mailbox holds. */
export async function countMessages(session: AccountSession, path: string): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  const view = session.openView(path, { readOnly: true });
  for (let first = 0; first < view.length; first += AT_ONCE) {
    const messages = view.messagesIn(first, Math.min(first + AT_ONCE, view.length));
    const facts = messages.map(({ state, row }) => [state.sizeOf(row), state.receivedOf(row).timeMs] as const);
    const headers = await session.readHeaders(messages);
    for (const [at, [size, receivedMs]] of facts.entries()) {
      const key = recognitionKey(size, receivedMs, binaryBytes(headers[at]!.text));
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
  }
  return counts;
}
