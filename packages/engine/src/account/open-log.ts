import type { Witness } from "../bay/applied-log.ts";
import type { Log } from "../bay/bay.ts";
import { hexText } from "../bay/entry.ts";
import { LinearBay } from "../bay/linear-bay.ts";
import { ReadingEnded } from "../bay/log-end.ts";
import { corrupt, type Prefetched } from "../bay/log-objects.ts";
import { createPageStore } from "../bay/page-store.ts";
import type { WriterId } from "../bay/writer.ts";
import { equalBytes, type Ring, threadKey } from "../crypto/index.ts";
import { EngineError } from "../errors.ts";
import { loadMail, loadWhatIsLeft, pagesOf } from "../mail/checkpoint/snapshot.ts";
import { Contents } from "../mail/contents/contents.ts";
import { Threads } from "../mail/contents/threads.ts";
import { Mail, mailMachine } from "../mail/mail.ts";
import type { Op } from "../mail/ops/op.ts";
import type { Outcome } from "../mail/ops/outcome.ts";
import type { MailState } from "../mail/state/state.ts";
import type { ObjectStore, WatchOptions } from "../storage/object-store.ts";
import { isUpkeep } from "./care/quiet-entries.ts";
import { openEndMark } from "./end-mark.ts";
import { ringSealer } from "./keys/sealer.ts";
import type { Platform } from "./platform.ts";
import { findRestore, RESTORED } from "./restored-mark.ts";

export type MailLog = Log<MailState, Op, Outcome>;

/** An account's log, at its present end, and what reads the contents that it names. */
export interface OpenLog {
  readonly bay: MailLog;
  readonly contents: Contents;
  readonly threads: Threads;
}

/** Facts about an account that its opener has beforehand. */
export interface OpenKnowing extends Pick<WatchOptions, "isUrgent"> {
  readonly witness?: Witness | undefined;
  readonly prefetched?: Prefetched | undefined;
  /** The key slot that the ring came out of. New keys end all slots before: while it is listed there are none. */
  readonly slot?: string | undefined;
}

export async function openLog(
  store: ObjectStore,
  prefix: string,
  platform: Platform,
  ring: Ring,
  { slot, ...known }: OpenKnowing = {},
): Promise<OpenLog> {
  const sealer = ringSealer(platform.crypto, ring);
  const { breathe } = platform;
  const pages = createPageStore({ store, prefix, sealer, random: platform.crypto.random, breathe });
  const bay: MailLog = await LinearBay.open({
    store,
    prefix,
    machine: mailMachine,
    load: (body, pageStore, covers) => loadMail(body, pageStore, covers, breathe),
    loadLeft: (body, pageStore, covers) => loadWhatIsLeft(body, pageStore, covers, breathe),
    pages,
    sealer,
    openEnd: (bytes) => openEndMark(bytes, ring.account, platform.trustedHosts),
    mayEnd: (state) => slot === undefined || !state.slots.names.includes(slot),
    ...known,
    breathe,
    writer: hexText(platform.crypto.random(8)) as WriterId,
    delay: platform.delay,
    monotonic: platform.monotonic,
    onStoring: (name, ops) => (ops.every(isUpkeep) ? platform.quietEntries?.begin(name) : undefined),
  });
  const catchUp = async (): Promise<void> => {
    await bay.sync();
    await adoptCheckpoint(bay);
  };
  const contents = new Contents(bay, { store, prefix, pages }, platform.crypto, ring, catchUp, breathe);
  return { bay, contents, threads: new Threads(bay, pages, platform.crypto.random, () => threadKey(ring)) };
}

/** A log that was compared with what the host saw before. */
export interface WitnessedLog extends OpenLog {
  /** The store was brought back from a backup, and that is not yet told in the log, or not to this host. */
  readonly restored?: Restored;
}
interface Restored {
  /** By the number that the store tells; undefined where this host's operator did it and the store says nothing. */
  readonly restore: string | undefined;
  /** Nobody raised UIDVALIDITY since, or this host saw what is gone. */
  readonly mustRaise: boolean;
}

/**
 * The same, compared with what this host saw of the account before: a log that shows less, or another history, is open for
 * reading alone. After a restore that comparison locks nothing: what is gone is gone by the word of a trusted host.
 */
export async function openWitnessed(
  store: ObjectStore,
  prefix: string,
  platform: Platform,
  ring: Ring,
  known: Omit<OpenKnowing, "witness"> = {},
): Promise<WitnessedLog> {
  const account = hexText(ring.account);
  const { witnesses, trustedHosts } = platform;
  const restoring = findRestore(store, prefix, ring.account, trustedHosts);
  // Its failure is told where it is waited for.
  restoring.catch(() => undefined);
  const witness = await witnesses?.read(account);
  const log = await openLog(store, prefix, platform, ring, { ...known, witness });
  const { bay } = log;
  try {
    const restore = await restoring;
    if (bay.isUncompared)
      platform.log({ level: "warn", event: "what was seen of the account before is too old to be compared", account });
    const isTold = restore !== undefined && bay.state.records.find(RESTORED, restore) !== undefined;
    const isRestored = witnesses ? await witnesses.isRestored(account, restore) : restore !== undefined;
    if (isRestored) {
      const mustRaise = !isTold || bay.isRolledBack;
      bay.acceptHistory();
      return { ...log, restored: { restore, mustRaise } };
    }
    if (bay.isRolledBack) platform.log({ level: "error", event: "store shows an older history", account });
    if (bay.barred === "cut-off")
      platform.log({ level: "error", event: "somebody ended the account in the store", account });
    return log;
  } catch (error) {
    await bay.dispose();
    throw error;
  }
}

/** After a restore no uid may show another mail than before: the first who signs in says so in the log. Killed in between,
 * it is said once more. */
export async function tellRestored(
  { bay, restored }: WitnessedLog,
  { witnesses, now, crypto }: Platform,
  account: string,
): Promise<void> {
  if (!restored || bay.barred) return;
  const { restore, mustRaise } = restored;
  const mail = new Mail(bay, now);
  if (mustRaise) await mail.push({ kind: "raise", seconds: Math.floor(now() / 1000) });
  // One that this host alone knows of has no number of its own.
  const id = restore ?? hexText(crypto.random(16));
  if (!bay.state.records.find(RESTORED, id))
    await mail.writeRecords([{ type: RESTORED, id, value: new Uint8Array(0) }]);
  await witnesses?.replace(account, bay.witness);
  await witnesses?.clearRestored(account, restore);
}

/** Keeps what was seen of the log outside the store. Resolves with whether it is kept: if not, a rollback goes unseen. */
export async function keepWitness(bay: MailLog, { witnesses, log }: Platform, account: string): Promise<boolean> {
  // The witness never goes back.
  if (bay.barred) return false;
  try {
    await witnesses?.write(account, bay.witness);
    return true;
  } catch (error) {
    log({ level: "warn", event: "witness can't be kept", error });
    return false;
  }
}

/** Goes over to the pages of the current checkpoint, which another process may have written. Throws EngineError. */
export async function adoptCheckpoint(bay: MailLog): Promise<void> {
  const { state } = bay;
  const mark = state.checkpoint;
  if (!mark || mark.covers <= state.pages.covers) return;
  const read = await bay.readManifest(mark.covers).catch((error: unknown) => {
    // Whatever keys it seems to be sealed by: those of the entry that announced it are known here.
    throw error instanceof ReadingEnded ? corrupt(`checkpoint ${mark.covers}`, new Error(error.message)) : error;
  });
  // Deleted: a newer one is current, and a later sync tells of it.
  if (!read) return;
  if (!equalBytes(read.hash, mark.manifest))
    throw new EngineError("corrupt", `checkpoint ${mark.covers} is not the one that the log names`);
  const pages = pagesOf(read.manifest.body, mark.covers);
  if (pages.numbering !== state.pages.numbering) {
    await bay.restart(mark.covers);
    return;
  }
  state.adoptPages(pages);
  bay.noteCheckpoint(read.manifest);
}
