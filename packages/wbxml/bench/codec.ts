/** Speed of reading and writing: `node bench/codec.ts`. An answer to a Sync with mails of 2 KB, and one of short fields. */
import { decode, type Element, encode } from "../src/index.ts";

const leaf = (tag: string, content: string): Element => ({ tag, children: [], content, isOpaque: false, offset: 0 });
const node = (tag: string, children: readonly Element[]): Element => ({ ...leaf(tag, ""), content: null, children });

function answer(mails: number, body: string): Element {
  const add = (number: number): Element =>
    node("AirSync:Add", [
      leaf("AirSync:ServerId", `5:${number}`),
      node("AirSync:ApplicationData", [
        leaf("Email:To", '"Some One" <some.one@example.net>'),
        leaf("Email:From", '"Jürgen" <j@example.org>'),
        leaf("Email:Subject", "Grüße aus Berlin, und was sonst noch war"),
        leaf("Email:DateReceived", "2026-11-03T09:00:00.000Z"),
        leaf("Email:Importance", "1"),
        leaf("Email:Read", "0"),
        node("AirSyncBase:Body", [
          leaf("AirSyncBase:Type", "1"),
          leaf("AirSyncBase:EstimatedDataSize", String(body.length)),
          leaf("AirSyncBase:Truncated", "1"),
          leaf("AirSyncBase:Data", body),
        ]),
        leaf("Email:MessageClass", "IPM.Note"),
        leaf("Email:InternetCPID", "65001"),
        leaf("AirSyncBase:NativeBodyType", "1"),
      ]),
    ]);
  return node("AirSync:Sync", [
    node("AirSync:Collections", [
      node("AirSync:Collection", [
        leaf("AirSync:SyncKey", "2"),
        node(
          "AirSync:Commands",
          Array.from({ length: mails }, (_, number) => add(number)),
        ),
      ]),
    ]),
  ]);
}

/** MB/s. */
function rate(bytes: number, run: () => void): string {
  run();
  const start = performance.now();
  let count = 0;
  while (performance.now() - start < 1500) {
    run();
    count++;
  }
  return ((count * bytes) / (performance.now() - start) / 1000).toFixed(0);
}

const BODIES = {
  "512 octets": "Some words of text.\r\n".repeat(25).slice(0, 512),
  "2 KB": "Some words of text.\r\n".repeat(98),
  none: "x",
};
for (const [name, body] of Object.entries(BODIES)) {
  const root = answer(512, body);
  const bytes = encode(root);
  const read = rate(bytes.length, () => decode(bytes));
  const written = rate(bytes.length, () => encode(root));
  console.log(`512 mails, body ${name}, ${bytes.length} bytes: read ${read} MB/s, written ${written} MB/s`);
}
