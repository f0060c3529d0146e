import { type ListedObject, listObjects } from "../../bay/list-objects.ts";
import { endLog, findEnd, LogEnded, type StoredEnd } from "../../bay/log-end.ts";
import { asStoreFailure } from "../../bay/store-failure.ts";
import type { SigningKeyPair } from "../../crypto/index.ts";
import { EngineError } from "../../errors.ts";
import { folderOf, kindsOf, type ObjectKindName } from "../../storage/object-kinds.ts";
import { accountOfPrefix, isDeletion, makeEndMark } from "../end-mark.ts";
import { Copier, type Copying, type CopyReport, isAny } from "./copier.ts";
import { type MovedMail, moveOutbound, type OutboundMove } from "./move-outbound.ts";

/** Kinds in the order of the move: large ones that never change under one name; those that the log's end makes final; and the
 * ways in. */
const [BULK, FINAL, LAST] = (["early", "at-end", "last"] as const).map((when) =>
  kindsOf(({ moves }) => moves === when),
) as [ObjectKindName[], ObjectKindName[], ObjectKindName[]];
/** A delivery writes its note within two hours of its body: one this much older than the end is no late one's. */
const LATE_BODY_MS: number = 3 * 60 * 60_000;

export interface Moving extends Copying {
  /** Signs that the account left. */
  readonly signer: SigningKeyPair;
  /** The servers' parts in both. */
  readonly outbound: OutboundMove;
}

/**
 * Moves an account from one store to another, object by object, with none of its keys. Servers may run on both.
 *
 * Objects that never change go first, while the owner still writes. Then the log is ended (`log-end.ts`), and no more
 * objects come. Key slots go last: before they are there nobody can open the account in its new place, so nobody finds half
 * of it. Mail that is delivered to the old place afterwards goes over with the next call; a note that comes twice by that is
 * taken in once, by its number. Mail that waits to be sent goes too ({@link moveOutbound}). Killed at any point, it goes on with the next call.
 *
 * Errors: `not-found` where `from` has no such account; `already-exists` where `to` has one that did not come from there;
 * `conflict` where it has another object of the same name, or the account was moved away from there; `unavailable` and
 * `over-quota`. Objects that went over stay.
 */
export async function moveAccount(moving: Moving): Promise<CopyReport & MovedMail> {
  const copier = new Copier(moving);
  const { from, to, prefix, signer, outbound } = moving;
  const known = await findEnd({ store: from, prefix });
  if (known && isDeletion(known.bytes)) throw new LogEnded("deleted");
  const isFirst = !(await isAny(to, prefix + folderOf("slot")));
  let end = known;
  if (!isFirst) {
    if (!known)
      throw new EngineError("already-exists", "there is such an account already, which did not come from here");
  } else {
    if ((await isAny(to, prefix + folderOf("log"))) && (await findEnd({ store: to, prefix })))
      throw new EngineError(
        "conflict",
        "the account was moved away from there: its objects there must be deleted first",
      );
    for (const kind of BULK) await copier.copyAll(folderOf(kind));
    end = await endLog({ store: from, prefix }, (entry, before) =>
      makeEndMark(signer, accountOfPrefix(prefix), "moved", entry, before),
    );
    for (const kind of [...BULK, ...FINAL]) await copier.copyAll(folderOf(kind), ({ name }) => name !== end!.name);
  }
  // Before the ways in: its owner finds there what waits.
  const mail = await moveOutbound(accountOfPrefix(prefix), outbound, isFirst);
  await finish(moving, copier, end!);
  return { ...copier.report, ...mail };
}

/** Gives the new place its ways in, then what was delivered to the old one. */
async function finish({ from, prefix }: Copying, copier: Copier, end: StoredEnd): Promise<void> {
  for (const kind of LAST) await copier.copyAll(folderOf(kind));
  const notes: ListedObject[] = [];
  for await (const note of listObjects(from, prefix + folderOf("note"))) notes.push(note);
  if (notes.length === 0) return;
  await copier.copyAll(folderOf("body"), ({ created }) => created >= end.created - LATE_BODY_MS);
  await copier.copyEach(notes);
  // These notes are safe; notes that are found here the next time came since.
  const names = notes.map(({ name }) => name);
  await asStoreFailure(from.delete(names, { essential: true }));
}
