import { entryNumber, hexText } from "../../bay/entry.ts";
import { type ListedObject, listObjects } from "../../bay/list-objects.ts";
import { ANY_ENTRY, END_CHECKPOINT, endLog, type StoredEnd } from "../../bay/log-end.ts";
import { asStoreFailure } from "../../bay/store-failure.ts";
import type { SigningKeyPair } from "../../crypto/index.ts";
import { EngineError } from "../../errors.ts";
import { folderOf } from "../../storage/object-kinds.ts";
import type { ObjectStore } from "../../storage/object-store.ts";
import { accountOfPrefix, makeEndMark, openEndMark } from "../end-mark.ts";
import { deleteMandates } from "../mandates/mandate-store.ts";
import { endMail } from "../outbound/end-mail.ts";
import type { OutboundQueue } from "../outbound/queue.ts";
import { accountPrefix, type User, type UserDirectory } from "../sign-in/users.ts";

/** The log's last entries stay so long after its end: who built upon them within the hour still finds it. */
export const LOG_KEPT_MS: number = 25 * 60 * 60_000;
/** How long after an account's end its mail is looked for among all that waits. What is left then goes when it is due. */
const MAIL_ENDS_MS: number = 7 * 24 * 60 * 60_000;
const DELETED_AT_ONCE = 500;

interface Tools {
  readonly store: ObjectStore;
  /** Signs that the account ended. */
  readonly signer: SigningKeyPair;
  /** Mail that waits to be sent, of all accounts of the store. */
  readonly queue: OutboundQueue;
}

/**
 * Deletes an account. That it ended is written first, so that whatever a crash leaves undone {@link sweepEnded} does.
 * Mail for it is refused from then on, and nothing of it can be opened or changed by any process. Without a queue others end its
 * mail. Errors: `unavailable`, `unknown-outcome`: call again.
 */
export async function deleteAccount(
  tools: Omit<Tools, "queue"> & { readonly users: UserDirectory; readonly queue: OutboundQueue | undefined },
  user: User,
): Promise<void> {
  const { store, signer, queue } = tools;
  const prefix = accountPrefix(user.record);
  const mark = makeEndMark(signer, accountOfPrefix(prefix), "deleted", ANY_ENTRY, undefined);
  await asStoreFailure(store.putIfAbsent(prefix + END_CHECKPOINT, mark, { essential: true }));
  await tools.users.remove(user.address);
  await deleteEnded(tools, prefix);
  if (queue) await endMail(queue, new Set([hexText(accountOfPrefix(prefix))]));
}

/**
 * The ways in go first, then the log gets its end, for the processes that stand at its head. All else goes but the log's
 * other entries, for {@link LOG_KEPT_MS}, and the two objects that say that it ended.
 */
async function deleteEnded({ store, signer }: Omit<Tools, "queue">, prefix: string): Promise<void> {
  await deleteObjects(store, prefix + folderOf("slot"));
  const end = await endLog({ store, prefix }, (entry, before) =>
    makeEndMark(signer, accountOfPrefix(prefix), "deleted", entry, before),
  ).catch(unlessAbsent);
  await deleteRest(store, prefix, end);
  await deleteMandates(store, accountOfPrefix(prefix));
}

/**
 * Deletes what is left of accounts that were deleted, or came for them since: once a day, by any process that can list
 * the store. Only an end that one of the hosts of `trusted` signed is believed. Errors: `unavailable`.
 */
export async function sweepEnded(tools: Tools, trusted: readonly Uint8Array[]): Promise<void> {
  const { store, queue } = tools;
  const lately = new Set<string>();
  for await (const prefix of accountPrefixes(store)) {
    const account = accountOfPrefix(prefix);
    const ageMs = await deletedFor(store, account, trusted);
    if (ageMs === undefined) continue;
    await deleteEnded(tools, prefix);
    if (ageMs < MAIL_ENDS_MS) lately.add(hexText(account));
  }
  if (lately.size > 0) await endMail(queue, lately);
}

/** True for an account that was deleted, by the word of one of the hosts of `trusted`. Errors: `unavailable`. */
export async function isDeleted(
  store: ObjectStore,
  account: Uint8Array,
  trusted: readonly Uint8Array[],
): Promise<boolean> {
  return (await deletedFor(store, account, trusted)) !== undefined;
}

/** How long an account has been deleted, in milliseconds; undefined for one that was not. */
async function deletedFor(
  store: ObjectStore,
  account: Uint8Array,
  trusted: readonly Uint8Array[],
): Promise<number | undefined> {
  const got = await asStoreFailure(store.get(`${hexText(account)}/${END_CHECKPOINT}`));
  const isEnded = got.found && openEndMark(got.bytes, account, trusted)?.reason === "deleted";
  return isEnded ? got.now - got.created : undefined;
}

/** The prefixes of all accounts of which the store holds anything. */
async function* accountPrefixes(store: ObjectStore): AsyncGenerator<string> {
  for (let after = ""; ; ) {
    const { objects } = await asStoreFailure(store.list("", { after, limit: 1 }));
    const [first] = objects;
    if (!first) return;
    const account = first.name.slice(0, first.name.indexOf("/"));
    if (/^[0-9a-f]{32}$/.test(account)) yield `${account}/`;
    // Behind all names of it: "0" is the character after the slash.
    after = `${account}0`;
  }
}

/** All objects but the two that say that the log ended, and its entries while somebody may stand upon them. */
async function deleteRest(store: ObjectStore, prefix: string, end: StoredEnd | undefined): Promise<void> {
  const isGone = ({ name, now }: ListedObject): boolean => {
    if (name === end?.name || name === prefix + END_CHECKPOINT) return false;
    if (!end) return true;
    const isEntry = name.startsWith(prefix + folderOf("log")) && entryNumber(name) < entryNumber(end.name);
    return !isEntry || now - end.created >= LOG_KEPT_MS;
  };
  await deleteObjects(store, prefix, isGone);
}

/** Objects of an account. */
export async function deleteObjects(
  store: ObjectStore,
  prefix: string,
  isWanted: (object: ListedObject) => boolean = () => true,
): Promise<void> {
  const names: string[] = [];
  const flush = async (): Promise<void> => {
    if (names.length > 0) await asStoreFailure(store.delete(names.splice(0), { essential: true }));
  };
  for await (const object of listObjects(store, prefix)) {
    if (!isWanted(object)) continue;
    names.push(object.name);
    if (names.length >= DELETED_AT_ONCE) await flush();
  }
  await flush();
}

/** An account without a log has nothing to end. */
function unlessAbsent(error: unknown): undefined {
  if (!(error instanceof EngineError && error.code === "not-found")) throw error;
}
