import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { openObject, ready, type SealContext } from "../crypto/index.ts";
import type { Digest } from "../mail/digest.ts";
import { type ScanAndSeal, scanAndSeal } from "../mail/intake.ts";
import { nodePlatform } from "./crypto-platform.ts";
import { JOBS_PER_THREAD_MAX, WorkPool } from "./work-pool.ts";

await ready;
const platform = nodePlatform();
const pool = new WorkPool(1);
afterAll(() => Promise.all([pool.dispose(), platform.dispose()]));

const contextOf = (n: number): SealContext => ({
  platform,
  key: new Uint8Array(32).fill(n),
  keyVersion: 0,
  account: new Uint8Array(16).fill(1),
  kind: "body",
  id: `body ${n}`,
});
function mail(n: number, size: number): Uint8Array {
  const head = new TextEncoder().encode(`Subject: ${n}\r\nMessage-ID: <${n}@x>\r\n\r\n`);
  const bytes = Uint8Array.from({ length: size }, (_, at) => (at * n) & 255);
  bytes.set(head.subarray(0, size));
  return bytes;
}
async function* inPieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  // One buffer for all, as sources may have it.
  const piece = new Uint8Array(size);
  for (let at = 0; at < bytes.length; at += size) {
    const part = bytes.subarray(at, at + size);
    piece.set(part);
    yield piece.subarray(0, part.length);
  }
}

async function take(by: ScanAndSeal, n: number, body: AsyncIterable<Uint8Array>) {
  let digest: Digest | undefined;
  const pieces: Uint8Array[] = [];
  for await (const piece of by(body, contextOf(n), 5, (scanned) => {
    digest = scanned;
  }))
    pieces.push(piece.slice());
  return { digest, content: openObject(contextOf(n), Buffer.concat(pieces)) };
}

/** Node's Buffers count as what they are. */
const plain = (digest: Digest | undefined): unknown =>
  Object.fromEntries(
    Object.entries(digest!).map(([name, value]) => [name, typeof value === "number" ? value : Uint8Array.from(value)]),
  );

test("what comes back is what is made here, whatever the pieces", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 255 }),
      fc.oneof(fc.integer({ min: 0, max: 3_000_000 }), fc.constantFrom(0, 65_536, 262_144, 524_288, 524_289)),
      fc.constantFrom(997, 65_536, 262_144, 1_000_000),
      async (n, size, pieceSize) => {
        const bytes = mail(n, size);
        const here = await take(scanAndSeal, n, inPieces(bytes, pieceSize));
        const away = await take(pool.scanAndSeal, n, inPieces(bytes, pieceSize));
        expect(plain(away.digest)).toEqual(plain(here.digest));
        expect(Buffer.compare(away.content, bytes)).toBe(0);
      },
    ),
    { numRuns: 12 },
  );
  expect(pool.threads).toBe(1);
});

test("many at once, more than the threads take, are each their own", async () => {
  const numbers = Array.from({ length: JOBS_PER_THREAD_MAX * 2 }, (_, at) => at + 1);
  const taken = await Promise.all(numbers.map((n) => take(pool.scanAndSeal, n, inPieces(mail(n, 700_000), 50_000))));
  for (const [at, n] of numbers.entries()) expect(Buffer.compare(taken[at]!.content, mail(n, 700_000))).toBe(0);
});

test("a source that fails is told as it failed, and the next body is right", async () => {
  async function* failing(): AsyncGenerator<Uint8Array> {
    yield* inPieces(mail(3, 1_500_000), 100_000);
    throw new Error("client is gone");
  }
  await expect(take(pool.scanAndSeal, 3, failing())).rejects.toThrow("client is gone");
  const { content } = await take(pool.scanAndSeal, 4, inPieces(mail(4, 900_000), 100_000));
  expect(Buffer.compare(content, mail(4, 900_000))).toBe(0);
});

test("who stops in the middle ends the source too, and what its thread still writes reaches nobody", async () => {
  let ended = false;
  async function* watched(): AsyncGenerator<Uint8Array> {
    try {
      yield* inPieces(mail(5, 3_000_000), 100_000);
    } finally {
      ended = true;
    }
  }
  for await (const piece of pool.scanAndSeal(watched(), contextOf(5), 5, () => undefined)) {
    expect(piece.length).toBeGreaterThan(0);
    break;
  }
  expect(ended).toBe(true);
  const next = await Promise.all([6, 7, 8].map((n) => take(pool.scanAndSeal, n, inPieces(mail(n, 2_000_000), 65_536))));
  for (const [at, n] of [6, 7, 8].entries()) expect(Buffer.compare(next[at]!.content, mail(n, 2_000_000))).toBe(0);
});

test("a thread that dies fails its bodies for now; the next has another", async () => {
  const dying = new WorkPool(1);
  async function* endless(): AsyncGenerator<Uint8Array> {
    for (;;) yield* inPieces(mail(9, 1_000_000), 65_536);
  }
  const taking = take(dying.scanAndSeal, 9, endless());
  const told = expect(taking).rejects.toMatchObject({ code: "unavailable" });
  await dying.dispose();
  await told;
  const { content } = await take(dying.scanAndSeal, 10, inPieces(mail(10, 600_000), 65_536));
  expect(Buffer.compare(content, mail(10, 600_000))).toBe(0);
  await dying.dispose();
});
