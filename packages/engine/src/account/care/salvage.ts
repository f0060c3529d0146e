import { entryNumber, hexText } from "../../bay/entry.ts";
import { listObjects } from "../../bay/list-objects.ts";
import { isEnd } from "../../bay/log-end.ts";
import { LogObjects } from "../../bay/log-objects.ts";
import { asStoreFailure } from "../../bay/store-failure.ts";
import {
  bodyContext,
  CryptoError,
  openNote,
  openPreamble,
  openRange,
  preambleLength,
  type Ring,
} from "../../crypto/index.ts";
import { EngineError } from "../../errors.ts";
import { readPack } from "../../mail/checkpoint/pack.ts";
import type { Body } from "../../mail/contents/contents.ts";
import { decodeDelivered } from "../../mail/contents/delivered.ts";
import { emailsOf } from "../../mail/contents/open-entry.ts";
import { bodyId } from "../../mail/ops/names.ts";
import { decodeOp } from "../../mail/ops/op-codec.ts";
import { folderOf, kindIn, salvagedKinds } from "../../storage/object-kinds.ts";
import { ringSealer } from "../keys/sealer.ts";
import { openSlots, passwordSecret } from "../keys/slots.ts";
import type { SignUp } from "../sign-in/sign-up.ts";
import { accountPrefix, type User } from "../sign-in/users.ts";
import { UPLOAD_PATH } from "../uploads.ts";

/**
 * Gives the mails back when checkpoints or pages are damaged. Every body carries its own key, wrapped, and when it came,
 * where to and with which flags; so this reads bodies straight from where they may lie: packs, notes, log entries and
 * objects of their own. No state is needed, so none can be wrong; what it can't know is what happened since: moves,
 * flags, and that a mail was deleted a short while ago.
 */
export interface SalvagedMail {
  readonly id: string;
  readonly key: Uint8Array;
  readonly receivedMs: number;
  /** The mailbox's path when it arrived; "" for a delivery. */
  readonly mailbox: string;
  readonly flags: readonly string[];
  readonly body: Body;
}

/** Objects that could not be read; the list is filled while the mails are read. */
export interface SalvageReport {
  readonly damaged: string[];
}

export interface StoredBody {
  readonly id: string;
  readonly name: string;
  readonly offset: number;
  readonly length: number;
}
type Tools = Pick<SignUp, "store" | "platform">;

/** First bytes of a body that are read at once: any preamble fits. */
const PREAMBLE_READ_BYTES: number = 68 * 1024;
/** Where bodies may lie; the order is that of preference. */
const FOLDERS: readonly string[] = salvagedKinds().map(folderOf);

/** The mails that the store holds, each once. Errors: `not-permitted` for a wrong password, `unavailable`. */
export async function* salvage(
  tools: Tools & Pick<SignUp, "pepper">,
  user: User,
  password: string,
  report: SalvageReport,
): AsyncGenerator<SalvagedMail> {
  const { pepper } = tools;
  const prefix = accountPrefix(user.record);
  // Which slots are valid stands in the log, which may be what is damaged.
  const { value: opened } = await openSlots(tools, prefix, passwordSecret(pepper, password)).next();
  if (!opened) throw new EngineError("not-permitted", "wrong password");
  using ring = opened.ring;
  yield* findMails(tools, prefix, ring, report, () => true);
}

/** Mails of these ids wherever they lie, each once and whole. Where there is no `report`, nothing is passed by that may be
 * whole the next time. Errors: `unavailable`. */
export async function* findMails(
  tools: Tools,
  prefix: string,
  ring: Ring,
  report: SalvageReport | undefined,
  isWanted: (id: string) => boolean,
): AsyncGenerator<SalvagedMail & { readonly place: StoredBody }> {
  const { store, platform } = tools;
  const finder = new BodyFinder(tools, prefix, ring);
  const seen = new Set<string>();
  for (const folder of FOLDERS)
    for await (const { name, size } of listObjects(store, prefix + folder)) {
      const short = name.slice(prefix.length);
      try {
        for (const place of await finder.placesIn(short, size)) {
          if (seen.has(place.id) || !isWanted(place.id)) continue;
          const mail = await openPlace(tools, prefix, ring, place);
          // An upload that was never used is no mail.
          if (mail.mailbox !== UPLOAD_PATH) yield { ...mail, place };
          seen.add(place.id);
        }
      } catch (error) {
        if (!report && !isDamage(error)) throw error;
        // A store that is away shows in the next listing.
        report?.damaged.push(short);
        platform.log({ level: "warn", event: "an object can't be salvaged", object: short, error });
      }
    }
}

/** True for an error of the stored bytes: it will be the same the next time. */
function isDamage(error: unknown): boolean {
  if (error instanceof EngineError) return error.code === "corrupt";
  return error instanceof CryptoError || error instanceof RangeError;
}

/** Finds which bodies an object holds. */
class BodyFinder {
  readonly #tools: Tools;
  readonly #prefix: string;
  readonly #ring: Ring;
  readonly #log: LogObjects;

  constructor(tools: Tools, prefix: string, ring: Ring) {
    this.#tools = tools;
    this.#prefix = prefix;
    this.#ring = ring;
    const { store, platform } = tools;
    this.#log = new LogObjects({ store, prefix, sealer: ringSealer(platform.crypto, ring), ...platform });
  }

  async placesIn(name: string, size: number): Promise<readonly StoredBody[]> {
    const kind = kindIn(name);
    if (kind === "body") return [{ id: hexText(bodyId(name)), name, offset: 0, length: size }];
    const got = await asStoreFailure(this.#tools.store.get(this.#prefix + name));
    if (!got.found) return [];
    if (kind === "pack") return readPack(got.bytes).map((body) => ({ ...body, id: hexText(body.id), name }));
    return kind === "log" ? this.#inEntry(name, got.bytes) : this.#inNote(name, got.bytes);
  }

  #inEntry(name: string, bytes: Uint8Array): StoredBody[] {
    if (isEnd(bytes)) return [];
    const { head, spans } = this.#log.openEntry(entryNumber(name), bytes);
    return head.ops.flatMap(({ bytes: encoded, attachmentLengths }, at) => {
      if (attachmentLengths.length === 0) return [];
      const op = decodeOp(encoded);
      return emailsOf(op).flatMap(({ id, place }) => {
        const span = place.in === "entry" ? spans[at]?.[place.attachment] : undefined;
        return span ? [{ id: hexText(id), name, ...span }] : [];
      });
    });
  }

  async #inNote(name: string, bytes: Uint8Array): Promise<StoredBody[]> {
    const { summary, bodyOffset } = await openNote(this.#tools.platform.crypto, this.#ring, name, bytes, []);
    const { bodyId: id, objectLength } = decodeDelivered(summary);
    if (objectLength > 0) return [];
    return [{ id: hexText(id), name, offset: bodyOffset, length: bytes.length - bodyOffset }];
  }
}

async function openPlace(
  { store, platform }: Tools,
  prefix: string,
  ring: Ring,
  place: StoredBody,
): Promise<SalvagedMail> {
  const { id, name, offset, length } = place;
  const read = async (start: number, end: number): Promise<Uint8Array> => {
    const range = { start: offset + start, end: offset + Math.min(end, length) };
    const got = await asStoreFailure(store.get(prefix + name, range));
    if (!got.found) throw new EngineError("corrupt", "a message's body went while it was read");
    return got.bytes;
  };
  const first = await read(0, PREAMBLE_READ_BYTES);
  const { key, receivedMs, mailbox, flags } = await openPreamble(platform.crypto, ring, id, first);
  const sealedAt = preambleLength(first);
  const context = bodyContext(platform.crypto, ring.account, id, key);
  const readSealed = (start: number, end: number): Promise<Uint8Array> => read(sealedAt + start, sealedAt + end);
  // How long it is stands in no place but the pages; and what can't be read to its end may lie whole elsewhere.
  let size = 0;
  for await (const piece of openRange(context, readSealed, 0, Number.MAX_SAFE_INTEGER)) size += piece.length;
  const body: Body = { size, read: (start, end) => openRange(context, readSealed, start, end) };
  return { id, key, receivedMs, mailbox, flags, body };
}
