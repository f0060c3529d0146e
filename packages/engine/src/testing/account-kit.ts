import { Account } from "../account/account.ts";
import { Dropbox } from "../account/delivery/dropbox.ts";
import { Unsettled } from "../account/delivery/unsettled.ts";
import { MandateStore } from "../account/mandates/mandate-store.ts";
import type { OutboundMove, OutboundPlace } from "../account/moving/move-outbound.ts";
import { openLog } from "../account/open-log.ts";
import { OutboundQueue } from "../account/outbound/queue.ts";
import type { Platform } from "../account/platform.ts";
import { FOLDERS } from "../account/sign-in/sign-up.ts";
import { accountPrefix, replaces, type User, type UserDirectory } from "../account/sign-in/users.ts";
import {
  type CryptoPlatform,
  decodeRing,
  encodeRing,
  makeRing,
  type Ring,
  ready,
  recipientRecord,
  type SigningKeyPair,
  signingKeyPair,
} from "../crypto/index.ts";
import { EngineError } from "../errors.ts";
import { Mail } from "../mail/mail.ts";
import { type MailboxView, openView } from "../mail/mailbox-view.ts";
import { type ModSeq, NO_MODSEQ } from "../mail/numbers.ts";
import { mailboxChanges } from "../mail/state/feed.ts";
import type { ReadState } from "../mail/state/read-state.ts";
import { nodePlatform } from "../node/crypto-platform.ts";
import type { MemoryPlace } from "../storage/memory.ts";
import type { ObjectStore } from "../storage/object-store.ts";
import { isRewinding } from "./rewinding-log.ts";

/** Kit of the tests of accounts: a clock that they set, and accounts without the slow slots. */

// Keys are made while tests are collected.
await ready;

export const crypto: CryptoPlatform = nodePlatform();
export const signer: SigningKeyPair = signingKeyPair(new Uint8Array(32).fill(9));
/** Store and hosts go by this clock; each look at it takes a millisecond. */
export const clock = { now: 1_700_000_000_000 };
/** Bounds of work are no shorter. */
const BOUND_MS = 2000;
export const platform: Platform = {
  crypto,
  now: () => clock.now++,
  monotonic: () => clock.now,
  // A wait is short. A bound, which a signal ends, is as it is: work may take its time on a busy machine.
  delay: (ms, signal) =>
    new Promise((resolve) => setTimeout(resolve, signal && ms >= BOUND_MS ? ms : Math.min(ms, 5)).unref()),
  trustedHosts: [signer.publicKey],
  log: () => undefined,
};
export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
export async function* stream(...pieces: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const piece of pieces) yield bytes(piece);
}
export const mailText = (n: number, size = 10): string =>
  `Subject: mail ${n}\r\nMessage-ID: <${n}@x>\r\n\r\n${"body\r\n".repeat(size)}`;

/** A ring and an account in a place, as sign-up makes them, without the slow slots. */
export async function makeAccount(
  place: Pick<MemoryPlace, "open">,
): Promise<{ readonly ring: () => Ring; readonly user: User; readonly prefix: string }> {
  const ring = makeRing(crypto);
  const record = recipientRecord(ring);
  const prefix = accountPrefix(record);
  const { bay } = await openLog(place.open(), prefix, platform, ring);
  await new Mail(bay, platform.now).push({ kind: "begin", seconds: 1_700_000_000, folders: FOLDERS });
  await bay.dispose();
  // Each account that is opened wipes its own copy.
  const kept = encodeRing(ring);
  return { ring: () => decodeRing(kept.slice()), user: { address: "a@x", record }, prefix };
}
export const open = (place: Pick<MemoryPlace, "open">, ring: Ring, other: Partial<Platform> = {}): Promise<Account> =>
  Account.open({ store: place.open(), platform: { ...platform, ...other } }, ring);
/** A dropbox for one client, which reads each reply before it goes on. */
export function dropbox(
  place: Pick<MemoryPlace, "open">,
  user: User,
  by: SigningKeyPair = signer,
  users: Pick<UserDirectory, "find"> = { find: async () => user },
  now: () => number = platform.now,
): {
  deliver(before: Uint8Array, message: AsyncIterable<Uint8Array>): Promise<void>;
  report(summary: Uint8Array): Promise<void>;
} {
  const unsettled = new Unsettled(platform);
  const box = new Dropbox({ store: place.open(), platform: { ...platform, now }, signer: by, unsettled, users }, user);
  const client = unsettled.connect();
  return {
    deliver(before, message) {
      client.settle();
      return box.deliver(before, message, client);
    },
    report: (summary) => box.report(summary),
  };
}

/** Everything that a client could see of a state, and what vanished since the modseq `since`. */
export function visible(state: ReadState, since: ModSeq = NO_MODSEQ): unknown {
  /** Where logs rewind, each process has these for itself. */
  const stamp = <T>(number: T): T | undefined => (isRewinding ? undefined : number);
  return state.liveMailboxes().map((mailbox) => ({
    path: mailbox.path,
    numbers: [mailbox.uidNext, mailbox.unseen, mailbox.deleted, mailbox.bytes],
    stamps: stamp([mailbox.uidValidity, mailbox.highestModSeq]),
    vanished: stamp(mailboxChanges(state, mailbox, since)?.vanished),
    messages: Array.from({ length: mailbox.messages.length }, (_, position) => {
      const row = mailbox.messages.at(position);
      const { uid, modSeq } = state.memberships.columns;
      return [
        uid.get(row),
        stamp(modSeq.get(row)),
        state.flagNames(row),
        state.sizeOf(row),
        state.receivedOf(row),
        state.nameOf(row),
      ];
    }),
  }));
}

export async function textOf(account: Account, mailbox: string, position: number): Promise<string> {
  return textIn(account, openView(account.mail, account.mail.getMailbox(mailbox).id, { readOnly: true }), position);
}

/** The text of the message at a position of a view, whatever happened to the mailbox since it was opened. */
export async function textIn(account: Account, view: MailboxView, position: number): Promise<string> {
  const body = await account.contents.openBody(view.message(position));
  const pieces: Uint8Array[] = [];
  for await (const piece of body.read(0, body.size)) pieces.push(piece.slice());
  return Buffer.concat(pieces).toString();
}

/** The texts of all messages of a mailbox, in order. */
export async function textsOf(account: Account, mailbox: string): Promise<string[]> {
  const { length } = openView(account.mail, account.mail.getMailbox(mailbox).id, { readOnly: true });
  const texts: string[] = [];
  for (let position = 0; position < length; position++) texts.push(await textOf(account, mailbox, position));
  return texts;
}

/** Another checkpoint was made meanwhile, or the same one before: that is no failure. */
export function unlessConflict(error: unknown): void {
  if (!(error instanceof EngineError && error.code === "conflict")) throw error;
}

/** Users in memory. */
export class MemoryUsers implements UserDirectory {
  users: User[] = [];

  async find(address: string): Promise<User | undefined> {
    return this.users.find((user) => user.address === address);
  }
  async findLocal(local: string): Promise<User | undefined> {
    return this.users.find((user) => user.address.startsWith(`${local}@`));
  }
  async list(): Promise<readonly User[]> {
    return this.users;
  }
  async add(user: User): Promise<void> {
    this.users.push(user);
  }
  async update(user: User): Promise<void> {
    this.users = this.users.map((known) =>
      known.address === user.address && replaces(user.record, known.record) ? user : known,
    );
  }
  async remove(address: string): Promise<void> {
    this.users = this.users.filter((user) => user.address !== address);
  }
}

/** A store's mail that waits to be sent. */
export function outboundQueue(store: ObjectStore): OutboundQueue {
  return outboundPlace(store).queue;
}

/** The same with mandates, under a server's key. */
export function outboundPlace(store: ObjectStore, serverKey: Uint8Array = new Uint8Array(32).fill(7)): OutboundPlace {
  const options = { store, platform, serverKey };
  return { queue: new OutboundQueue(options), mandates: new MandateStore(options) };
}

/** Both of two stores: what moves between them. */
export function outboundMove(from: ObjectStore, to: ObjectStore): OutboundMove {
  return { from: outboundPlace(from), to: outboundPlace(to) };
}
