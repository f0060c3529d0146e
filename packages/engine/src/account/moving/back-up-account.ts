import { entryNumber } from "../../bay/entry.ts";
import { listObjects } from "../../bay/list-objects.ts";
import { END_CHECKPOINT, findEnd, findHead, LogEnded } from "../../bay/log-end.ts";
import { listCheckpoints } from "../../bay/log-objects.ts";
import { asStoreFailure } from "../../bay/store-failure.ts";
import type { SigningKeyPair } from "../../crypto/index.ts";
import { EngineError } from "../../errors.ts";
import { folderOf, kindsOf, OBJECT_KINDS, type ObjectKindName } from "../../storage/object-kinds.ts";
import { accountOfPrefix, isDeletion } from "../end-mark.ts";
import { makeRestoredMark, RESTORED_NAME } from "../restored-mark.ts";
import { Copier, type Copying, type CopyReport, isAny } from "./copier.ts";

/** All but the log, which is copied up to an entry. A note comes after its body, so bodies are listed later; what is
 * overwritten comes last. */
const KINDS: readonly ObjectKindName[] = [
  "slot",
  "note",
  ...kindsOf(({ moves }) => moves === "early"),
  "checkpoint",
  "device",
  ...kindsOf(({ writes }) => writes === "over"),
];
/** Ways in come last. */
const BEFORE_SLOTS: readonly ObjectKindName[] = kindsOf((kind) => kind !== OBJECT_KINDS.slot);
/** How often what changed under the copy is copied anew. */
const TRIES = 20;

/**
 * Copies an account as of one moment, object by object, with none of its keys, while its owner and deliveries write on.
 *
 * The moment is that of the log's last entry when a pass begins. All that the account holds then is still there at the
 * pass's end: what is deleted was condemned a day before, or is a note whose mail a checkpoint holds. So if no checkpoint
 * came meanwhile, and the key slots are the same, the pass has everything; else there is another, for what is new.
 *
 * `to` must have nothing of the account. Errors: `not-found` where there is no such account, or it was moved away;
 * `unavailable`, also of an account that is written to without end; `over-quota`.
 */
export async function backUpAccount(copying: Copying): Promise<CopyReport> {
  const { from: store, prefix } = copying;
  const end = await findEnd({ store, prefix });
  if (end && isDeletion(end.bytes)) throw new LogEnded("deleted");
  if (end) throw new EngineError("not-found", "the account was moved to another store");
  const copier = new Copier(copying);
  for (let tries = 1; tries <= TRIES; tries++) {
    const before = await markOf(copying);
    const head = await findHead({ store, prefix });
    for (const kind of KINDS) await copier.copyAll(folderOf(kind));
    await copier.copyAll(folderOf("log"), ({ name }) => entryNumber(name) <= head);
    if ((await markOf(copying)) === before) return copier.report;
  }
  throw new EngineError("unavailable", "the account changes without end: try again at a quieter time");
}

/** Text that must not change while a pass lasts: the newest checkpoint and the slots. */
async function markOf({ from: store, prefix }: Copying): Promise<string> {
  const { covers } = await listCheckpoints({ store, prefix }, 1);
  const slots: string[] = [];
  for await (const { name } of listObjects(store, prefix + folderOf("slot"))) slots.push(name);
  return [covers[0], ...slots].join(" ");
}

/** The host's signing key for the mark of the restore, and randomness for its number. */
export interface Restoring extends Copying {
  readonly signer: SigningKeyPair;
  readonly random: (bytes: number) => Uint8Array;
}

/**
 * Brings back what {@link backUpAccount} copied, to where nothing of the account ever was. Slots go last: nobody opens half
 * an account. Before them goes the mark that tells each host of it, so that no uid shows another mail than before. Killed,
 * it goes on with the next call. Errors: `already-exists` where there is such an account; `conflict` where it was deleted, or
 * where the log goes on otherwise; `unavailable`, `over-quota`.
 */
export async function restoreAccount(restoring: Restoring): Promise<CopyReport> {
  const { to, prefix, signer, random } = restoring;
  if (await isAny(to, prefix + folderOf("slot")))
    throw new EngineError("already-exists", "there is such an account already");
  if (await isAny(to, prefix + END_CHECKPOINT))
    throw new EngineError(
      "conflict",
      "the account was deleted there, and programs that still have it open must not come upon it again: get its mail out of the backup by restante export --salvage",
    );
  await assertNoOtherLog(restoring);
  const copier = new Copier(restoring);
  for (const kind of BEFORE_SLOTS) await copier.copyAll(folderOf(kind), ({ name }) => name !== prefix + RESTORED_NAME);
  const mark = makeRestoredMark(signer, accountOfPrefix(prefix), random(16));
  await asStoreFailure(to.put(prefix + RESTORED_NAME, mark, { priority: "bulk" }));
  // A process that had the account open all the while may have written meanwhile.
  await assertNoOtherLog(restoring);
  await copier.copyAll(folderOf("slot"));
  return copier.report;
}

/** Throws `conflict` if the log here has objects that the backup lacks: a program that still has the account open has written
 * them. They would be told as stored, and be no part of the restored log. */
async function assertNoOtherLog({ from, to, prefix }: Copying): Promise<void> {
  for (const kind of ["log", "checkpoint"] as const) {
    const names = new Set<string>();
    for await (const { name } of listObjects(from, prefix + folderOf(kind))) names.add(name);
    for await (const { name } of listObjects(to, prefix + folderOf(kind)))
      if (!names.has(name))
        throw new EngineError(
          "conflict",
          "there is more of the account's log than in the backup, perhaps by a server that has it open: stop all of them, and restore into a bucket or prefix that never held the account",
        );
  }
}
