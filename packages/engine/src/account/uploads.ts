import { hexText } from "../bay/entry.ts";
import { listObjects } from "../bay/list-objects.ts";
import { asDamage, asStoreFailure, eachOrDamage, orDamage } from "../bay/store-failure.ts";
import {
  bodyContext,
  openPreamble,
  openRange,
  preambleLength,
  type Ring,
  sealStream,
  wrapForOwner,
} from "../crypto/index.ts";
import { EngineError } from "../errors.ts";
import type { Body } from "../mail/contents/contents.ts";
import { bodyId, bodyName } from "../mail/ops/names.ts";
import type { ReadState } from "../mail/state/read-state.ts";
import { folderOf } from "../storage/object-kinds.ts";
import type { ObjectStore } from "../storage/object-store.ts";
import { chain, tap } from "../streams.ts";
import type { Platform } from "./platform.ts";

/** Octets that an account's uploads hold at once, and octets of one. */
export const UPLOADS_BYTES_MAX: number = 500 * 2 ** 20;
/** Stands in an upload's preamble in the place of a mailbox's path, which no mailbox has: it is no mail that was lost. */
export const UPLOAD_PATH = "\u0000upload";
/** First bytes of a body that are read at once: any preamble fits. */
const PREAMBLE_READ_BYTES: number = 68 * 1024;

export interface UploadTools {
  readonly store: ObjectStore;
  readonly prefix: string;
  readonly platform: Platform;
  readonly ring: Ring;
  readonly state: () => ReadState;
}

/**
 * Uploads of clients (RFC 8620 §6.1): each is a body as an email's, under a key of its own, that nothing names. The
 * collector takes it after some hours; until then every process of the account finds it.
 */
export class Uploads {
  readonly #tools: UploadTools;
  /** Uploads of this process: octets by id, in hex. */
  readonly #sizes = new Map<string, number>();
  /** Octets of all that nothing names, as of the last look and what came since. */
  #held: number | undefined;

  constructor(tools: UploadTools) {
    this.#tools = tools;
  }

  /** Stores it as it streams. Resolves with its id, 16 bytes, and how many octets came. Errors: `over-quota`,
   * `unavailable`; what the source throws. */
  async write(source: AsyncIterable<Uint8Array>): Promise<{ readonly id: Uint8Array; readonly size: number }> {
    const { store, prefix, platform, ring } = this.#tools;
    const room = await this.#room();
    const id = platform.crypto.random(16);
    const key = platform.crypto.random(32);
    const context = bodyContext(platform.crypto, ring.account, hexText(id), key);
    const salvage = { key, receivedMs: platform.now(), mailbox: UPLOAD_PATH, flags: [] };
    const preamble = wrapForOwner(platform.crypto, ring, hexText(id), salvage);
    let size = 0;
    const counted = tap(source, (chunk) => {
      size += chunk.length;
      if (size > room) throw new EngineError("over-quota", "too much was uploaded and not used yet: try again later");
    });
    const content = chain([preamble], sealStream(context, counted));
    await asStoreFailure(store.put(prefix + bodyName(id), content));
    this.#held = (this.#held ?? 0) + size;
    this.#sizes.set(hexText(id), size);
    return { id, size };
  }

  /** The upload with this id; undefined if there is none, or no more. Errors: `unavailable`, `corrupt`. */
  async open(id: Uint8Array): Promise<Body | undefined> {
    const { store, prefix, platform, ring } = this.#tools;
    const name = prefix + bodyName(id);
    const got = await asStoreFailure(store.get(name, { start: 0, end: PREAMBLE_READ_BYTES }));
    if (!got.found) return undefined;
    const sealedAt = orDamage(() => preambleLength(got.bytes));
    const { key } = await openPreamble(platform.crypto, ring, hexText(id), got.bytes).catch((error: unknown) => {
      throw asDamage(error);
    });
    const context = bodyContext(platform.crypto, ring.account, hexText(id), key);
    const read = async (start: number, end: number): Promise<Uint8Array> => {
      const from = sealedAt + start;
      if (sealedAt + end <= got.bytes.length) return got.bytes.subarray(from, sealedAt + end);
      const more = await asStoreFailure(store.get(name, { start: from, end: sealedAt + end }));
      if (!more.found) throw new EngineError("corrupt", "an upload went while it was read");
      return more.bytes;
    };
    const octets = (start: number, end: number): AsyncIterable<Uint8Array> =>
      eachOrDamage(openRange(context, read, start, end));
    const size = this.#sizes.get(hexText(id)) ?? (await countOf(octets(0, Number.MAX_SAFE_INTEGER)));
    this.#sizes.set(hexText(id), size);
    return { size, read: (start, end) => octets(start, Math.min(end, size)) };
  }

  /** Octets that one more may have. Errors: `over-quota`, `unavailable`. */
  async #room(): Promise<number> {
    const room = (): number => UPLOADS_BYTES_MAX - (this.#held ?? UPLOADS_BYTES_MAX);
    // Some may have been used, or collected.
    if (room() <= 0) this.#held = await this.#look();
    if (room() <= 0) throw new EngineError("over-quota", "too much was uploaded and not used yet: try again later");
    return room();
  }

  async #look(): Promise<number> {
    const { store, prefix, state } = this.#tools;
    let held = 0;
    for await (const { name, size } of listObjects(store, prefix + folderOf("body")))
      if (state().findEmail(bodyId(name.slice(prefix.length))) === undefined) held += size;
    return held;
  }
}

async function countOf(pieces: AsyncIterable<Uint8Array>): Promise<number> {
  let octets = 0;
  for await (const piece of pieces) octets += piece.length;
  return octets;
}
