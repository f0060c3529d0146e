import { entryNumber } from "../../bay/entry.ts";
import { listObjects } from "../../bay/list-objects.ts";
import { END_CHECKPOINT, findEnd, findHead, LogEnded } from "../../bay/log-end.ts";
import { listCheckpoints } from "../../bay/log-objects.ts";
import { EngineError } from "../../errors.ts";
import { folderOf, kindsOf, type ObjectKindName } from "../../storage/object-kinds.ts";
import { isDeletion } from "../end-mark.ts";
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
/** Ways in come last: nobody opens half an account. */
const BACK: readonly ObjectKindName[] = [
  ...kindsOf(({ moves }) => moves !== "last"),
  ...kindsOf(({ moves }) => moves === "last"),
];
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

/** What must not change while a pass lasts. */
async function markOf({ from: store, prefix }: Copying): Promise<string> {
  const { covers } = await listCheckpoints({ store, prefix }, 1);
  const slots: string[] = [];
  for await (const { name } of listObjects(store, prefix + folderOf("slot"))) slots.push(name);
  return [covers[0], ...slots].join(" ");
}

/**
 * Brings back what {@link backUpAccount} copied. Slots go last: nobody opens half an account. Killed, it goes on with the
 * next call. The account must be marked as restored before (`markRestored`), so that no uid shows another mail than before.
 * Errors: `already-exists` where there is such an account; `conflict` where it was deleted; `unavailable`, `over-quota`.
 */
export async function restoreAccount(copying: Copying): Promise<CopyReport> {
  const { to, prefix } = copying;
  if (await isAny(to, prefix + folderOf("slot")))
    throw new EngineError("already-exists", "there is such an account already");
  if (await isAny(to, prefix + END_CHECKPOINT))
    throw new EngineError(
      "conflict",
      "the account was deleted there, and programs that still have it open must not come upon it again: get its mail out of the backup by restante export --salvage",
    );
  const copier = new Copier(copying);
  for (const kind of BACK) await copier.copyAll(folderOf(kind));
  return copier.report;
}
