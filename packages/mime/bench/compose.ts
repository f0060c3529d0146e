/** Speed (by processor time) and memory of the writer: `node --expose-gc bench/compose.ts`. A streamed attachment, and an original attached as it is. */
import { compose, look, type NewPart } from "../src/index.ts";

/** Milliseconds of this process's processor time: others may be at work beside it. */
function processorMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

const SIZE = 100 * 2 ** 20;
const PIECE = new Uint8Array(64 * 1024).map((_, at) => (at * 7) % 251);
const LINES = new TextEncoder().encode(
  `${"Words and words, 78 of them in a line that is as long as such lines may be here"}\r\n`.repeat(800),
);
const OPTIONS = {
  now: () => ({ timeMs: 0, zoneMinutes: 0 }),
  random: (bytes: number) => new Uint8Array(bytes),
  domain: "example.org",
};

function stream(piece: Uint8Array): { readonly length: number; readonly read: () => Iterable<Uint8Array> } {
  const count = Math.floor(SIZE / piece.length);
  return {
    length: count * piece.length,
    *read() {
      for (let i = 0; i < count; i++) yield piece;
    },
  };
}

/** Megabytes in use above what was there before, at most. */
async function measure(name: string, attachment: NewPart): Promise<void> {
  const body: NewPart = {
    kind: "multipart",
    subtype: "mixed",
    parts: [{ kind: "text", text: "See there." }, attachment],
  };
  const bytesIn = "content" in attachment ? attachment.content.length : 0;
  globalThis.gc?.();
  const { rss } = process.memoryUsage();
  let most = 0;
  let written = 0;
  let pieces = 0;
  const start = processorMs();
  const message = compose({ headers: [], body }, OPTIONS);
  for await (const piece of message.read()) {
    written += piece.length;
    if (++pieces % 16 === 0) most = Math.max(most, process.memoryUsage.rss());
  }
  const seconds = (processorMs() - start) / 1000;
  if (written !== message.length) throw new Error("not as long as it said");
  const rate = (bytesIn / 1e6 / seconds).toFixed(0);
  console.log(`${name}: ${rate} MB/s of content, ${((most - rss) / 2 ** 20).toFixed(1)} MB of memory`);
}

for (let round = 0; round < 3; round++)
  await measure("attachment of 100 MB in base64", { kind: "file", type: "application/pdf", content: stream(PIECE) });
const original = stream(LINES);
const start = processorMs();
const facts = await look(original);
console.log(`looked through: ${(original.length / 1e3 / (processorMs() - start)).toFixed(0)} MB/s`);
await measure("message of 100 MB as it is", { kind: "message", content: { ...original, facts } });
const text = "Grüße aus Berlin, und noch ein paar Wörter mehr.\n".repeat(200_000);
const began = processorMs();
const { length } = compose({ headers: [], body: { kind: "text", text } }, OPTIONS);
console.log(`text in quoted-printable: ${(length / 1e3 / (processorMs() - began)).toFixed(0)} MB/s`);
let mails = 0;
const until = processorMs() + 2000;
for (; processorMs() < until; mails++)
  compose(
    {
      headers: [
        { name: "From", form: "addresses", value: [{ name: "Jürgen", email: "j@example.org" }] },
        { name: "To", form: "addresses", value: [{ name: "Some One", email: "s@example.org" }] },
        { name: "Subject", form: "text", value: "Grüße aus Berlin" },
      ],
      body: { kind: "text", text: "Words and words.\n".repeat(30) },
    },
    OPTIONS,
  );
console.log(`small mails: ${(mails / 2).toFixed(0)} mails/s`);
