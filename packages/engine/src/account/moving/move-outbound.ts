import { hexText } from "../../bay/entry.ts";
import { listObjects } from "../../bay/list-objects.ts";
import { asStoreFailure, orUndefinedIfDamaged } from "../../bay/store-failure.ts";
import { deleteMandates, type MandateKind, type MandateStore } from "../mandates/mandate-store.ts";
import type { OutboundQueue, QueuePlace } from "../outbound/queue.ts";
import type { Claim } from "../outbound/queued.ts";

/** The server's part in one store, under its key there. */
export interface OutboundPlace {
  readonly queue: OutboundQueue;
  readonly mandates: MandateStore;
}

export interface OutboundMove {
  readonly from: OutboundPlace;
  readonly to: OutboundPlace;
}

export interface MovedMail {
  /** Mails that wait in the new place now. */
  readonly mails: number;
  /** Mails that a sender has in hand just now: the next call takes what is left of them. */
  readonly busy: number;
  /** Mails that nobody can read, whose-ever they are: they stay. */
  readonly unreadable: number;
}

const NOTHING: MovedMail = { mails: 0, busy: 0, unreadable: 0 };
const KINDS: readonly MandateKind[] = ["vacation", "push"];

/**
 * Takes the mail of an account that waits to be sent to another store, and its mandates, sealed anew to the server key there.
 * Servers may send in both: a mail is won by a claim before it goes, as its sending is, and is there before it ends here. One that is
 * in a sender's hands stays, and is known there as one that nobody begins or takes back. Killed, it goes on with the next call.
 *
 * `isFirst`: its owner can't come in there yet. What they end there is not to come again, so mandates go over before that alone.
 * Errors: `unavailable`, `unknown-outcome`, `over-quota`.
 */
export async function moveOutbound(
  account: Uint8Array,
  { from, to }: OutboundMove,
  isFirst: boolean,
): Promise<MovedMail> {
  // Accounts in buckets of their own share what is no account's.
  if (await from.queue.isIn(to.queue)) return NOTHING;
  if (isFirst) await copyMandates(account, from.mandates, to.mandates);
  if (from.mandates.hasKeyOf(to.mandates)) await copyAsTheyAre(account, from.mandates, to.mandates);
  await deleteMandates(from.mandates.store, account);
  const moved = { ...NOTHING };
  for await (const place of from.queue.list()) {
    const owner = await orUndefinedIfDamaged(from.queue.accountOf(place));
    if (owner === undefined) {
      if (await from.queue.has(place)) moved.unreadable++;
    } else if (owner === hexText(account)) {
      const outcome = await orUndefinedIfDamaged(moveMail(place, from.queue, to.queue));
      if (outcome !== "over") moved[outcome ?? "unreadable"]++;
    }
  }
  return moved;
}

async function moveMail(place: QueuePlace, from: OutboundQueue, to: OutboundQueue): Promise<"mails" | "busy" | "over"> {
  const mail = (await from.open(place))?.mail;
  if (!mail) return "over";
  const seized = await from.seize(place.id, "moved");
  if (seized === "over") {
    await from.drop(place);
    return "over";
  }
  if (seized === "busy") {
    await to.bar(place.id);
    return "busy";
  }
  // Its account was there before, and a mover left it half moved: nobody there would ever begin it.
  if ((await to.lastClaim(place.id))?.claim.state === "moved") await to.drop(place);
  // First what is known of its recipients: whoever sends it there finds that.
  if (isKnown(seized.claim)) await to.claim(place.id, 1, claimThere(seized.claim));
  await to.unbar(place.id);
  const { content, size, needsEightBit, ...rest } = mail;
  // It went with an earlier call, and has ended there since.
  const isOver = await to.isDone(place.id);
  if (!isOver) await to.put({ ...rest, isSentByMaker: false }, from.read(mail));
  // Nobody is told: whoever sends it there does.
  await from.end(place, "elsewhere", { claims: seized.number, content });
  return isOver ? "over" : "mails";
}

/** True for a claim that tells anything. */
function isKnown({ state, tries }: Claim): boolean {
  return tries > 0 || state === "canceled";
}

function claimThere(claim: Claim): Claim {
  return claim.state === "moved" ? { ...claim, state: "waiting" } : claim;
}

async function copyMandates(account: Uint8Array, from: MandateStore, to: MandateStore): Promise<void> {
  for (const kind of KINDS)
    for await (const place of from.list(kind, account)) {
      const one = await from.read(place);
      if (one) await to.put(place, one.plain);
    }
}

/** Requests for answers, and who was answered: by names that this key gave, and no other would find. */
async function copyAsTheyAre(account: Uint8Array, from: MandateStore, to: MandateStore): Promise<void> {
  for (const prefix of from.keyedPrefixes(account))
    for await (const { name } of listObjects(from.store, prefix)) {
      const got = await asStoreFailure(from.store.get(name));
      if (got.found) await asStoreFailure(to.store.put(name, got.bytes));
    }
}
