import { parseHeaders } from "@restante/mime";
import { hexText } from "../../bay/entry.ts";
import { asStoreFailure } from "../../bay/store-failure.ts";
import {
  bodyContext,
  encapsulate,
  hostId,
  isSameRecord,
  makeNote,
  type NoteOrigin,
  type SigningKeyPair,
  sealRequest,
  wrapForDelivery,
} from "../../crypto/index.ts";
import { EngineError } from "../../errors.ts";
import { encodeDelivered } from "../../mail/contents/delivered.ts";
import { decodeHeader } from "../../mail/contents/header.ts";
import { takeBody } from "../../mail/intake.ts";
import { bodyName } from "../../mail/ops/names.ts";
import { noteName } from "../../mail/ops/note-name.ts";
import { STREAM_SILENT_MS } from "../../mail/state/note-streams.ts";
import type { NewObject, ObjectStore } from "../../storage/object-store.ts";
import { chain, tap } from "../../streams.ts";
import { answerRequestOf, encodeAnswerRequest, REQUESTS } from "../mandates/answer-request.ts";
import { FactsReader } from "../mandates/facts-reader.ts";
import { isAway } from "../mandates/vacation.ts";
import type { Platform } from "../platform.ts";
import { isLimited, limitsOf, QuotaExceeded } from "../quota.ts";
import { accountOf, accountPrefix, type User, type UserDirectory } from "../sign-in/users.ts";
import type { Handover, SealedNote, Unsettled } from "./unsettled.ts";

const MEBIBYTE: number = 2 ** 20;
/** After so long without a delivery another stream is begun, well before readers forget the old one: of a stream that they
 * do not know all lower numbers seem to be missing. */
const STREAM_IDLE_MS: number = STREAM_SILENT_MS / 3;

/** A delivering process: its store, the host's signing key, and lookups. */
export interface Deliverer {
  readonly store: ObjectStore;
  readonly platform: Platform;
  readonly signer: SigningKeyPair;
  readonly unsettled: Unsettled;
  readonly users: Pick<UserDirectory, "find">;
  /** The server's public key, to which requests for answers are sealed; absent where nothing is answered. */
  readonly serverPublicKey?: Uint8Array | undefined;
}

/** Deliveries with dense numbers. */
interface Stream {
  readonly name: Uint8Array;
  counter: number;
  /** Numbers that will never come, which the next note tells. */
  givenUp: number[];
  lastMs: number;
}

/**
 * Where mail for one account is put by those who can't read it: public-key delivery. Nothing here opens anything, not
 * even what was delivered a second ago.
 */
export class Dropbox {
  readonly #deliverer: Deliverer;
  readonly #user: User;
  readonly #prefix: string;
  /** Of whose dense numbers none may be missing: random, so that no two dropboxes share one. */
  #stream: Stream;
  readonly #facts: FactsReader;
  /** Octets and messages that were put since the facts that were read last were made. */
  #added = { since: 0, bytes: 0, messages: 0 };

  constructor(deliverer: Deliverer, user: User) {
    this.#deliverer = deliverer;
    this.#user = user;
    this.#prefix = accountPrefix(user.record);
    this.#stream = this.#newStream();
    this.#facts = new FactsReader(deliverer, user.record);
  }

  /** True if mail is sealed to the key that this user has. */
  isFor({ record }: User): boolean {
    return record === this.#user.record || isSameRecord(record, this.#user.record);
  }

  /**
   * Stores a message, sealed to the account's owner; durable when it resolves. `before` stands in front of the message
   * (Return-Path and the like) and is no part of what a second try is known by. Errors: `unavailable`, `over-quota`,
   * `unknown-outcome`; `not-found` if the account was deleted meanwhile. Throws `QuotaExceeded` where the account is full.
   */
  async deliver(
    before: Uint8Array,
    message: AsyncIterable<Uint8Array>,
    client: Handover,
    { isNotice = false }: { readonly isNotice?: boolean } = {},
  ): Promise<void> {
    const { unsettled } = this.#deliverer;
    if (!isNotice) await this.#checkRoom();
    const stream = this.#streamNow();
    const counter = ++stream.counter;
    const { givenUp } = stream;
    let note: SealedNote | undefined;
    try {
      using hash = unsettled.createFingerprint();
      hash.update(this.#user.record.account);
      let size = 0;
      const counted = tap(message, (piece) => {
        size += piece.length;
        hash.update(piece);
      });
      const sealed = await this.#seal(before, counted, { stream: stream.name, counter, givenUp });
      const fingerprint = hexText(hash.end());
      const earlier = unsettled.find(fingerprint);
      note = earlier ? undefined : sealed;
      await this.#put(fingerprint, earlier ?? sealed, { client, isAgain: earlier !== undefined });
      if (note) stream.givenUp = stream.givenUp.filter((number) => !givenUp.includes(number));
      await this.#assertThere();
      if (!earlier) this.#noteAdded(size);
    } catch (error) {
      // A note whose outcome is unknown may yet come, under its number.
      if (isUnknown(error)) throw error;
      note = undefined;
      throw error;
    } finally {
      if (!note) stream.givenUp.push(counter);
    }
  }

  /**
   * Stores what is no mail, and takes no part of the owner's room: a report of what became of mail that they sent. Durable when
   * it resolves. Errors: as {@link deliver}.
   */
  async report(summary: Uint8Array): Promise<void> {
    const { store, platform, signer } = this.#deliverer;
    const { record } = this.#user;
    const stream = this.#streamNow();
    const counter = ++stream.counter;
    const { givenUp } = stream;
    const name = noteName(platform.now(), platform.crypto.random(8));
    const kem = encapsulate(platform.crypto, record);
    const origin = { host: hostId(signer.publicKey), stream: stream.name, counter, givenUp };
    const note = makeNote(platform.crypto, record, { name, kem, origin, summary }, signer);
    try {
      await asStoreFailure(store.put(this.#prefix + name, note, { essential: true }));
      stream.givenUp = stream.givenUp.filter((number) => !givenUp.includes(number));
    } catch (error) {
      if (!isUnknown(error)) stream.givenUp.push(counter);
      throw error;
    }
  }

  /** The stream that the next delivery belongs to. */
  #streamNow(): Stream {
    const nowMs = this.#deliverer.platform.now();
    if (nowMs - this.#stream.lastMs >= STREAM_IDLE_MS) this.#stream = this.#newStream();
    this.#stream.lastMs = nowMs;
    return this.#stream;
  }

  #newStream(): Stream {
    const { crypto, now } = this.#deliverer.platform;
    return { name: crypto.random(16), counter: 0, givenUp: [], lastMs: now() };
  }

  /** By what its owner's programs said last, and what came by here since: the last mail may be one too many. */
  async #checkRoom(): Promise<void> {
    const { platform, serverPublicKey } = this.#deliverer;
    // Asked for in time: while the mail is read.
    if (serverPublicKey) void this.#facts.read();
    if (!isLimited(limitsOf(platform, accountOf(this.#prefix)))) return;
    const facts = await this.#facts.read();
    if (!facts) return;
    if (facts.madeMs !== this.#added.since) this.#added = { since: facts.madeMs, bytes: 0, messages: 0 };
    const {
      mebibytes,
      messages,
      mebibytesMax = Number.POSITIVE_INFINITY,
      messagesMax = Number.POSITIVE_INFINITY,
    } = facts;
    // The size is told rounded up: no mail is refused that has room.
    const isFull = (mebibytes - 1) * MEBIBYTE + this.#added.bytes >= mebibytesMax * MEBIBYTE;
    if (isFull || messages + this.#added.messages >= messagesMax) throw new QuotaExceeded();
  }

  #noteAdded(size: number): void {
    this.#added.bytes += size;
    this.#added.messages++;
  }

  /** Throws `not-found` if the account was deleted meanwhile: nobody would read the mail. */
  async #assertThere(): Promise<void> {
    const found = await this.#deliverer.users.find(this.#user.address);
    if (!found || accountPrefix(found.record) !== this.#prefix)
      throw new EngineError("not-found", "the account was deleted");
  }

  /** `isAgain`: an earlier put of the note has no known outcome. */
  async #put(
    fingerprint: string,
    note: SealedNote,
    { client, isAgain }: { readonly client: Handover; readonly isAgain: boolean },
  ): Promise<void> {
    const { store, unsettled } = this.#deliverer;
    unsettled.hold(fingerprint, note, client);
    try {
      await asStoreFailure(store.put(this.#prefix + note.name, note.bytes, { along: note.along }));
    } catch (error) {
      // This put was surely not done, but the earlier one may have been.
      if (isAgain || isUnknown(error)) unsettled.doubt(fingerprint, client);
      else unsettled.drop(fingerprint, client);
      throw error;
    }
  }

  /** The message's note; its body is stored already if it is large. */
  async #seal(
    before: Uint8Array,
    message: AsyncIterable<Uint8Array>,
    numbered: Pick<NoteOrigin, "stream" | "counter" | "givenUp">,
  ): Promise<SealedNote> {
    const { store, platform, signer } = this.#deliverer;
    const { record } = this.#user;
    const kem = encapsulate(platform.crypto, record);
    const id = platform.crypto.random(16);
    const key = platform.crypto.random(32);
    const receivedMs = platform.now();
    const bodyId = hexText(id);
    const salvage = { key, receivedMs, mailbox: "", flags: [] };
    const taken = await takeBody(chain([before], message), {
      seal: bodyContext(platform.crypto, record.account, bodyId, key),
      preamble: wrapForDelivery(platform.crypto, record, kem, bodyId, salvage),
      receivedMs,
      putLarge: (content) => asStoreFailure(store.put(this.#prefix + bodyName(id), content)),
      breathe: platform.breathe,
    });
    const name = noteName(receivedMs, platform.crypto.random(8));
    const summary = encodeDelivered({
      ...taken.digest,
      bodyId: id,
      key,
      receivedMs,
      receivedZone: 0,
      objectLength: taken.inline ? 0 : taken.length,
    });
    const origin = { host: hostId(signer.publicKey), ...numbered };
    const { sealed, inline } = taken;
    const body = sealed && inline ? { body: sealed } : {};
    const along = sealed && !inline ? [{ name: this.#prefix + bodyName(id), content: sealed }] : [];
    const request = await this.#request(decodeHeader(taken.digest.header), receivedMs);
    if (request) along.push(request);
    return { name, bytes: makeNote(platform.crypto, record, { name, kem, origin, summary, ...body }, signer), along };
  }

  /** A request for an answer while the owner is away: it rides with the note, so that both are stored or neither is. */
  async #request(header: Uint8Array, receivedMs: number): Promise<NewObject | undefined> {
    const { platform, serverPublicKey } = this.#deliverer;
    if (!serverPublicKey) return undefined;
    const away = (await this.#facts.read())?.away;
    if (!away || !isAway({ isEnabled: true, ...away }, receivedMs)) return undefined;
    const { account } = this.#user.record;
    const request = answerRequestOf(parseHeaders(header), { account, address: this.#user.address }, receivedMs);
    if (!request) return undefined;
    const name = `${REQUESTS}${hexText(account)}.${hexText(platform.crypto.random(16))}`;
    const plain = encodeAnswerRequest(request);
    return { name, content: sealRequest(platform.crypto, serverPublicKey, { account, name }, plain) };
  }
}

function isUnknown(error: unknown): boolean {
  return error instanceof EngineError && error.code === "unknown-outcome";
}
