import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { nodePlatform } from "../node/crypto-platform.ts";
import { extent } from "../testing/extent.ts";
import {
  type CryptoPlatform,
  concat,
  currentVersion,
  decapsulate,
  encapsulate,
  formatCode,
  HEADER_BYTES,
  hostId,
  makeNote,
  makeRing,
  makeSlot,
  openNote,
  openObject,
  openPreamble,
  openRange,
  openSlot,
  openSpan,
  paddedLength,
  parseCode,
  preambleLength,
  purposeKey,
  type ReadSpan,
  ready,
  recipientRecord,
  SEGMENT_CONTENT_BYTES,
  type SealContext,
  Secret,
  sealedLength,
  sealObject,
  sealStream,
  sign,
  signingKeyPair,
  sodiumKem,
  sodiumOpen,
  sodiumSeal,
  sodiumVerify,
  TAG_BYTES,
  utf8,
  wrapForDelivery,
  wrapForOwner,
} from "./index.ts";

// Keys are made while tests are collected.
await ready;

const platform: CryptoPlatform = nodePlatform();
const account = new Uint8Array(16).fill(1);
const context = (more: Partial<SealContext> = {}): SealContext => ({
  platform,
  key: new Uint8Array(32).fill(2),
  keyVersion: 1,
  account,
  kind: "body",
  id: "an id",
  ...more,
});
const filled = (size: number): Uint8Array => new Uint8Array(size).map((_, i) => (i * 7 + (i >> 8)) & 255);
/** Around every edge that the format has. */
const SIZES = [0, 1, 511, 512, 513, 4087, 4096, 65_535, 65_536, 65_537, 131_072, 200_000, extent(4_200_000, 420_000)];

async function* inPieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}
async function joined(source: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for await (const piece of source) pieces.push(piece.slice());
  return concat(...pieces);
}

describe("sealed objects", () => {
  test.each(SIZES)("%i bytes open as they were sealed, padded, whole and streamed", async (size) => {
    const content = filled(size);
    const sealed = sealObject(context(), content);
    expect(sealed.length).toBe(sealedLength(size));
    expect(openObject(context(), sealed)).toEqual(content);
    const streamed = await joined(sealStream(context(), inPieces(content, 1000)));
    expect(streamed.length).toBe(sealed.length);
    expect(openObject(context(), streamed)).toEqual(content);
  });

  test("a range at every segment's edge is that range", async () => {
    const size = 3 * SEGMENT_CONTENT_BYTES + 100;
    const content = filled(size);
    const sealed = sealObject(context(), content);
    const edges = [0, 1, 65_535, 65_536, 65_537, 131_072, 196_608, size - 1, size];
    for (const start of edges)
      for (const end of edges.filter((edge) => edge >= start)) {
        const read = async (from: number, to: number): Promise<Uint8Array> => sealed.slice(from, to);
        expect(await joined(openRange(context(), read, start, end))).toEqual(content.subarray(start, end));
        expect(openSpan(context(), sealed, start, end)).toEqual(content.subarray(start, end));
      }
  });

  test.each([0, 1, 2])(
    "a range that ends within segment %i of an object that is cut off there is not given",
    async (last) => {
      const sealed = sealObject(context(), filled(3 * SEGMENT_CONTENT_BYTES));
      const cut = sealed.subarray(0, last === 0 ? HEADER_BYTES : sealedLength(last * SEGMENT_CONTENT_BYTES, "none"));
      const end = last * SEGMENT_CONTENT_BYTES + 1;
      const read = async (from: number, to: number): Promise<Uint8Array> => cut.slice(from, to);
      await expect(joined(openRange(context(), read, 0, end))).rejects.toMatchObject({ code: "corrupt" });
      expect(() => openSpan(context(), cut, 0, end)).toThrow(/cut off|ends early/);
    },
  );

  test("ranges that are read at once, some of them left early, don't get in each other's room", async () => {
    const contents = Array.from({ length: 6 }, (_, n) => filled(21 * SEGMENT_CONTENT_BYTES - n).fill(n, 0, 100_000));
    const sealed = contents.map((content) => sealObject(context(), content));
    let turn = 0;
    const readOf =
      (n: number): ReadSpan =>
      async (from, to, room) => {
        const bytes = sealed[n]!.subarray(from, to);
        for (let wait = turn++ % 3; wait > 0; wait--) await new Promise((resolve) => setImmediate(resolve));
        if (!room) return bytes;
        room.set(bytes);
        return room.subarray(0, bytes.length);
      };
    const readSome = async (n: number, round: number): Promise<void> => {
      let at = round * 1000;
      for await (const piece of openRange(context(), readOf(n), at, contents[n]!.length)) {
        expect(Buffer.compare(piece, contents[n]!.subarray(at, at + piece.length))).toBe(0);
        at += piece.length;
        if ((n + round) % 2 === 0 && at > n * 300_000) return;
        await new Promise((resolve) => setImmediate(resolve));
      }
      expect(at).toBe(contents[n]!.length);
    };
    for (let round = 0; round < 4; round++) await Promise.all(contents.map((_, n) => readSome(n, round)));
  });

  test("a range reads no more than the segments it needs, and the header", async () => {
    const sealed = sealObject(context(), filled(20 * SEGMENT_CONTENT_BYTES));
    let bytes = 0;
    const read = async (from: number, to: number): Promise<Uint8Array> => {
      const piece = sealed.slice(from, to);
      bytes += piece.length;
      return piece;
    };
    await joined(openRange(context(), read, 10 * SEGMENT_CONTENT_BYTES, 10 * SEGMENT_CONTENT_BYTES + 5));
    expect(bytes).toBeLessThan(70_000);
  });

  test("every flipped bit, cut and added byte is found out", () => {
    const sealed = sealObject(context(), filled(40));
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      const bad = sealed.slice();
      bad[bit >> 3]! ^= 1 << (bit & 7);
      expect(() => openObject(context(), bad)).toThrow();
    }
    for (let length = 0; length < sealed.length; length += 13)
      expect(() => openObject(context(), sealed.slice(0, length))).toThrow();
    expect(() => openObject(context(), concat(sealed, new Uint8Array(1)))).toThrow();
  });

  test("segments can't be left out or swapped", () => {
    const content = filled(3 * SEGMENT_CONTENT_BYTES);
    const sealed = sealObject(context(), content);
    const segment = SEGMENT_CONTENT_BYTES + 25;
    const head = sealed.length - sealedLength(content.length) + 48;
    const at = (n: number): Uint8Array => sealed.slice(head + n * segment, head + (n + 1) * segment);
    const rest = sealed.slice(head + 3 * segment);
    const start = sealed.slice(0, head);
    expect(openObject(context(), concat(start, at(0), at(1), at(2), rest))).toEqual(content);
    expect(() => openObject(context(), concat(start, at(1), at(0), at(2), rest))).toThrow();
    expect(() => openObject(context(), concat(start, at(0), at(2), rest))).toThrow();
    expect(() => openObject(context(), concat(start, at(0)))).toThrow();
  });

  test("an object opens as nothing else, for nobody else", () => {
    const sealed = sealObject(context(), filled(100));
    for (const other of [
      { kind: "rows" },
      { id: "other" },
      { account: new Uint8Array(16) },
      { key: new Uint8Array(32) },
    ] as const)
      expect(() => openObject(context(other), sealed)).toThrow();
  });

  test("padding hides sizes: few lengths, never more than an eighth over", () => {
    fc.assert(
      fc.property(fc.integer({ min: 513, max: 10_000_000 }), (size) => {
        const padded = paddedLength(size);
        expect(padded).toBeGreaterThanOrEqual(size);
        expect(padded).toBeLessThanOrEqual(size * 1.12 + 1);
      }),
    );
    expect([0, 1, 512].map((size) => paddedLength(size))).toEqual([512, 512, 512]);
    expect([600, 5000].map((size) => paddedLength(size, "power-of-two"))).toEqual([1024, 8192]);
  });
});

test("node:crypto and libsodium seal to the same bytes and open each other's", () => {
  const key = filled(32);
  const nonce = filled(12);
  for (const size of [0, 1, 5000, 70_000]) {
    const plain = filled(size);
    const [sealed, ours] = [new Uint8Array(size + TAG_BYTES), new Uint8Array(size + TAG_BYTES)];
    sodiumSeal(key, nonce, utf8("ad"), plain, sealed);
    platform.aeadSeal(key, nonce, utf8("ad"), plain, ours);
    expect(ours).toEqual(sealed);
    expect(new Uint8Array(platform.aeadOpen(key, nonce, utf8("ad"), sealed))).toEqual(plain);
    expect(sodiumOpen(key, nonce, utf8("ad"), sealed)).toEqual(plain);
    sealed[0]! ^= 1;
    expect(() => platform.aeadOpen(key, nonce, utf8("ad"), sealed)).toThrow("do not open");
  }
});

describe("key slots", () => {
  const weak = { memoryKiB: 1024, passes: 1, parallelism: 1 };

  test("a password opens its slot, another does not, nor does it under another name or without the pepper", async () => {
    const ring = makeRing(platform);
    const pepper = filled(32);
    const secret = { kind: "password", secret: utf8("correct horse"), pepper } as const;
    const slot = await makeSlot(platform, "slot/password-000001", secret, ring, { parameters: weak });
    const opened = await openSlot(platform, "slot/password-000001", slot, secret);
    expect(opened?.account).toEqual(ring.account);
    expect(opened && purposeKey(opened, 1, "log")).toEqual(purposeKey(ring, 1, "log"));
    expect(
      await openSlot(platform, "slot/password-000001", slot, { ...secret, secret: utf8("wrong") }),
    ).toBeUndefined();
    const { pepper: _, ...plain } = secret;
    expect(await openSlot(platform, "slot/password-000001", slot, plain)).toBeUndefined();
    await expect(openSlot(platform, "slot/password-000002", slot, secret)).rejects.toThrow();
  });

  test("a slot that asks for gigabytes or for hours is refused before it costs anything", async () => {
    const secret = { kind: "password", secret: utf8("x") } as const;
    const slot = await makeSlot(platform, "s", secret, makeRing(platform), { parameters: weak });
    for (const [at, value] of [
      [50, 0x7fffffff],
      [54, 1000],
      [50, 0],
    ] as const) {
      const bad = slot.slice();
      new DataView(bad.buffer).setUint32(at, value);
      await expect(openSlot(platform, "s", bad, secret)).rejects.toThrow("asks for too much");
    }
  });

  test("a recovery code opens its slot, in any spelling; one wrong character is no code", async () => {
    const ring = makeRing(platform);
    const code = platform.random(16);
    const slot = await makeSlot(platform, "slot/recovery-1", { kind: "recovery", secret: code }, ring);
    const text = formatCode(code);
    const parsed = parseCode(text.toUpperCase().replaceAll("-", " "));
    expect(parsed).toEqual(code);
    expect((await openSlot(platform, "slot/recovery-1", slot, { kind: "recovery", secret: parsed! }))?.account).toEqual(
      ring.account,
    );
    const wrong = `${text[0] === "0" ? "1" : "0"}${text.slice(1)}`;
    expect(parseCode(wrong)).toBeUndefined();
  });
});

describe("notes and bodies", () => {
  const host = signingKeyPair(filled(32));
  const origin = { host: new Uint8Array(8), stream: filled(16), counter: 3, givenUp: [1] };

  test("what is sealed to a public key opens with the ring; name and signer are bound", async () => {
    const ring = makeRing(platform);
    const to = recipientRecord(ring);
    const kem = encapsulate(platform, to);
    const note = {
      name: "note/1",
      kem,
      origin: { ...origin, host: hostId(host.publicKey) },
      summary: filled(700),
      body: filled(50),
    };
    const bytes = makeNote(platform, to, note, host);
    const opened = await openNote(platform, ring, "note/1", bytes, [host.publicKey]);
    expect(opened).toMatchObject({ verified: true, summary: filled(700) });
    expect(bytes.slice(opened.bodyOffset)).toEqual(filled(50));
    expect(opened.origin).toMatchObject({ counter: 3, givenUp: [1] });
    // A host that is not trusted; a forger who writes the trusted host's name; another ring.
    expect((await openNote(platform, ring, "note/1", bytes, [])).verified).toBe(false);
    const forged = makeNote(platform, to, note, signingKeyPair(new Uint8Array(32)));
    expect((await openNote(platform, ring, "note/1", forged, [host.publicKey])).verified).toBe(false);
    await expect(openNote(platform, ring, "note/2", bytes, [host.publicKey])).rejects.toThrow();
    await expect(openNote(platform, makeRing(platform), "note/1", bytes, [host.publicKey])).rejects.toThrow();
  });

  test("no damage to a note makes it another note", async () => {
    const ring = makeRing(platform);
    const to = recipientRecord(ring);
    const note = {
      name: "n",
      kem: encapsulate(platform, to),
      origin: { ...origin, host: hostId(host.publicKey) },
      summary: filled(20),
    };
    const bytes = makeNote(platform, to, note, host);
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), async (at, change) => {
        const bad = bytes.slice();
        bad[at]! ^= change;
        let verified = false;
        try {
          ({ verified } = await openNote(platform, ring, "n", bad, [host.publicKey]));
        } catch {
          return;
        }
        expect(verified).toBe(false);
      }),
      { numRuns: 150 },
    );
  });

  test("a body says for itself what it takes to give it back", async () => {
    const ring = makeRing(platform);
    const salvage = { key: filled(32), receivedMs: 123_456, mailbox: "Work/Läufe", flags: ["\\Seen", "$Label"] };
    const kem = encapsulate(platform, recipientRecord(ring));
    for (const preamble of [
      wrapForOwner(platform, ring, "b1", salvage),
      wrapForDelivery(platform, recipientRecord(ring), kem, "b1", salvage),
    ]) {
      const body = concat(preamble, filled(100));
      expect(preambleLength(body)).toBe(preamble.length);
      expect(await openPreamble(platform, ring, "b1", body)).toEqual(salvage);
      await expect(openPreamble(platform, ring, "b2", body)).rejects.toThrow();
    }
    expect(await decapsulate(platform, ring, currentVersion(ring).version, kem.ciphertext)).toEqual(kem.secret);
  });
});

describe("X-Wing", () => {
  const kems = { node: platform.kem, sodium: sodiumKem(platform.random) };
  const ring = makeRing(platform);
  const { kemPublicKey, kemSeed } = currentVersion(ring);

  test.each([
    ["node", "sodium"],
    ["sodium", "node"],
    ["node", "node"],
  ] as const)("what %s makes %s opens", async (maker, opener) => {
    for (let round = 0; round < 20; round++) {
      const { ciphertext, secret } = kems[maker].encapsulate(kemPublicKey);
      expect(await kems[opener].decapsulate(ciphertext, kemPublicKey, kemSeed.bytes)).toEqual(secret);
    }
  });

  test("a ciphertext that was changed, cut off or is a point of low order gives no secret, and no other error", async () => {
    const { ciphertext, secret } = platform.kem.encapsulate(kemPublicKey);
    for (const bad of [
      ciphertext.with(0, ciphertext[0]! ^ 1),
      ciphertext.with(1119, ciphertext[1119]! ^ 1),
      ciphertext.subarray(1),
      concat(ciphertext.subarray(0, 1088), new Uint8Array(32)),
    ]) {
      try {
        expect(await decapsulate(platform, ring, 1, bad)).not.toEqual(secret);
      } catch (error) {
        expect(error).toMatchObject({ name: "CryptoError", code: "corrupt" });
      }
    }
  });
});

test("both platforms find the same signatures good: one octet changed anywhere, another length or signer, and none is", async () => {
  const [host, other] = [signingKeyPair(filled(32).with(0, 1)), signingKeyPair(filled(32).with(0, 2))];
  const message = utf8("a note's head");
  const signature = sign(message, host.secretKey);
  const verdicts = (...asked: Parameters<typeof sodiumVerify>): Promise<boolean[]> =>
    Promise.all([sodiumVerify(...asked), platform.verify(...asked)]);
  expect(await verdicts(signature, message, host.publicKey)).toEqual([true, true]);
  const changed = (bytes: Uint8Array): Uint8Array[] => [...bytes.keys()].map((at) => bytes.with(at, bytes[at]! ^ 1));
  for (const bad of [...changed(signature), signature.subarray(1), new Uint8Array(65), new Uint8Array(0)])
    expect(await verdicts(bad, message, host.publicKey)).toEqual([false, false]);
  for (const bad of [...changed(message), new Uint8Array(0)])
    expect(await verdicts(signature, bad, host.publicKey)).toEqual([false, false]);
  for (const bad of [other.publicKey, ...changed(host.publicKey), new Uint8Array(32), new Uint8Array(31)])
    expect(await verdicts(signature, message, bad)).toEqual([false, false]);
});

test("a secret prints as nothing but its name, and is gone once it is disposed of", () => {
  const bytes = utf8("hunter2");
  const secret = new Secret(bytes);
  for (const text of [String(secret), JSON.stringify({ secret }), `${secret}`]) expect(text).not.toContain("hunter2");
  expect(bytes.every((byte) => byte === 0)).toBe(true);
  const held = secret.bytes;
  expect(held).toEqual(utf8("hunter2"));
  secret[Symbol.dispose]();
  expect(held.every((byte) => byte === 0)).toBe(true);
  expect(() => secret.bytes).toThrow("wiped");
});
