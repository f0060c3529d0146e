import { hexText } from "../../bay/entry.ts";
import { EngineError } from "../../errors.ts";
import type { Platform } from "../platform.ts";
import { LEASE_MS, type OutboundQueue, type QueuePlace, type StoredClaim } from "./queue.ts";
import type { Claim, Envelope, QueuedMail, RecipientState } from "./queued.ts";
import { type Due, Schedule } from "./schedule.ts";

/** A mail as a transport gets it: its recipients are those that don't have it yet. */
export interface OutgoingMail {
  readonly id: string;
  readonly envelope: Envelope;
  readonly envid: string;
  /** Octets. */
  readonly size: number;
  readonly needsUtf8: boolean;
  readonly needsEightBit: boolean;
  /** May be called again. */
  read(): AsyncIterable<Uint8Array>;
}

/** The result for one recipient of one exchange. */
export type TransportReply = Pick<RecipientState, "state" | "reply">;

/** Hands a mail to whoever is next on its way. */
export interface Transport {
  /** Resolves with what came of each recipient, in order. Throws {@link TransportTrouble} where nobody got it, or that is not
   * known. `signal` cuts it off. */
  send(mail: OutgoingMail, signal: AbortSignal): Promise<readonly TransportReply[]>;
}

/** An exchange that came to nothing. `operator`: a sign-in or a certificate, which is none of the sender's business. */
export class TransportTrouble extends Error {
  readonly kind: "later" | "operator";

  constructor(kind: TransportTrouble["kind"], message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "TransportTrouble";
    this.kind = kind;
  }
}

/** The state of a mail as its owner is told it. */
export interface Outcome {
  /** `sent`: all is settled. */
  readonly state: "waiting" | "sent" | "canceled";
  readonly recipients: readonly RecipientState[];
}

/** Tells the owner of a mail what became of it. */
export interface Reporter {
  /** Errors: `unavailable`, `unknown-outcome`: it is called again. */
  report(mail: QueuedMail, outcome: Outcome): Promise<void>;
  /** By a mail: some recipients never get it, or it takes long. Errors: as {@link report}. */
  tellSender(mail: QueuedMail, kind: "failed" | "delayed", recipients: readonly RecipientState[]): Promise<void>;
}

export interface SenderOptions {
  readonly queue: OutboundQueue;
  readonly transport: Transport;
  readonly reporter: Reporter;
  readonly platform: Platform;
  /** Milliseconds after which what was not sent never is. */
  readonly giveUpMs: number;
  /** True for an account that was deleted: its mail is sent no more. Errors: `unavailable`. */
  readonly isDeleted: (account: Uint8Array) => Promise<boolean>;
  /** Done before anything is sent, again until it is. Errors: `unavailable`, `unknown-outcome`. */
  readonly settle?: () => Promise<unknown>;
}

/** Mails in hand at once. */
const AT_ONCE_MAX = 20;
/** Milliseconds that an exchange may take: less than {@link LEASE_MS}. */
export const EXCHANGE_MS: number = 10 * 60_000;
/** Milliseconds that others leave a mail alone whose maker sends. */
export const MAKER_MS = 60_000;
/** Milliseconds after which a mail is tried again, by how often it was; give or take {@link JITTER}. */
const RETRY_MS: readonly number[] = [1, 5, 15, 30, 60, 120].map((minutes) => minutes * 60_000);
const JITTER = 0.1;
/** Milliseconds after which its sender is told that a mail takes long. */
export const DELAY_TOLD_MS: number = 4 * 60 * 60_000;
/** Milliseconds after which it is told that a mail which is being moved is still here. */
const MOVE_LATE_MS: number = 60 * 60_000;
/** Milliseconds between two looks at the queue where nothing tells of it. */
const LOOK_MS = 60_000;
/** Milliseconds after which a store that did not answer is asked again. */
const STORE_RETRY_MS = 5_000;
/** Milliseconds between two sweeps. */
const SWEEP_MS: number = 24 * 60 * 60_000;

/** Mails that ended lately, of which the store may tell once more. */
const ENDED_MAX = 1_000;
/** A reason that costs nothing to make. */
const NO_REASON = "over";

interface Scheduled extends Due {
  readonly place: QueuePlace;
  /** This process queued it. */
  readonly isOurs: boolean;
  /** It was queued just now: nobody is known to have claimed it. */
  readonly isFresh: boolean;
}

/** A mail in hand. */
interface Running {
  readonly work: Promise<void>;
  /** The same mail, queued meanwhile: it is looked at once more. */
  again: Scheduled | undefined;
}

/**
 * Empties the queue: any number of processes of any number of hosts may do so. The process with the last claim of a mail has
 * it in hand; the results are written into that claim before anybody else may begin.
 */
export class Sender {
  readonly #options: SenderOptions;
  /** Our name in claims. */
  readonly #holder: string;
  readonly #schedule = new Schedule<Scheduled>();
  readonly #running = new Map<string, Running>();
  readonly #ended = new Set<string>();
  readonly #stopping = new AbortController();
  #wake: () => void = () => undefined;
  #stopWatching: () => void = () => undefined;
  #loop: Promise<void> = Promise.resolve();
  #lookedAt = Number.NEGATIVE_INFINITY;
  #sweptAt = Number.NEGATIVE_INFINITY;

  constructor(options: SenderOptions) {
    this.#options = options;
    this.#holder = hexText(options.platform.crypto.random(16));
  }

  /** Begins. */
  start(): void {
    this.#stopWatching = this.#options.queue.watch((place) => {
      if (place) this.#note(place);
      else this.#lookedAt = Number.NEGATIVE_INFINITY;
      this.#wake();
    });
    this.#loop = this.#run();
  }

  /** Begins no more, and waits for the exchanges under way. */
  async stop(): Promise<void> {
    this.#stopWatching();
    this.#stopping.abort();
    this.#wake();
    await this.#loop;
    await Promise.all([...this.#running.values()].map(({ work }) => work));
  }

  /** This process has queued a mail: it is sent at once, if it is due. */
  queued(place: QueuePlace): void {
    const one: Scheduled = { id: place.id, place, dueMs: place.releaseMs, isOurs: true, isFresh: true };
    const running = this.#running.get(place.id);
    // The store may have told of it before, as of anybody's.
    if (running) running.again = one;
    else this.#schedule.set(one);
    this.#wake();
  }

  /** Mails that are known to wait. */
  get waitingCount(): number {
    return this.#schedule.size + this.#running.size;
  }

  /** A mail that somebody queued. */
  #note(place: QueuePlace): void {
    const { id, releaseMs } = place;
    if (this.#schedule.has(id) || this.#running.has(id) || this.#ended.has(id)) return;
    this.#schedule.set({ id, place, dueMs: releaseMs, isOurs: false, isFresh: false });
  }

  async #run(): Promise<void> {
    const { platform } = this.#options;
    const { signal } = this.#stopping;
    await this.#settle();
    while (!signal.aborted) {
      await this.#look();
      const now = platform.now();
      while (this.#running.size < AT_ONCE_MAX) {
        const next = this.#schedule.take(now);
        if (!next) break;
        this.#running.set(next.id, { work: this.#attend(next), again: undefined });
      }
      await this.#wait(now);
    }
  }

  async #settle(): Promise<void> {
    const { settle, platform } = this.#options;
    const { signal } = this.#stopping;
    while (settle && !signal.aborted) {
      try {
        await settle();
        return;
      } catch (error) {
        platform.log({ level: "warn", event: "the queue can't be looked at", error });
        await platform.delay(STORE_RETRY_MS, signal);
      }
    }
  }

  /** Until something is due, or came. */
  async #wait(now: number): Promise<void> {
    const isFull = this.#running.size >= AT_ONCE_MAX;
    const dueMs = isFull ? undefined : this.#schedule.nextMs;
    const next = dueMs === undefined ? LOOK_MS : Math.max(0, Math.min(LOOK_MS, dueMs - now));
    const woken = new AbortController();
    const { signal } = this.#stopping;
    if (signal.aborted) return;
    this.#wake = () => woken.abort(NO_REASON);
    await this.#options.platform.delay(next, woken.signal);
    this.#wake = () => undefined;
  }

  /** Schedules mails that others queued; once in a while all mails, since a hint may be lost. */
  async #look(): Promise<void> {
    const { queue, platform } = this.#options;
    const now = platform.monotonic();
    if (now - this.#lookedAt < LOOK_MS) return;
    this.#lookedAt = now;
    try {
      const waiting = now - this.#sweptAt < SWEEP_MS ? undefined : new Set<string>();
      // A mail that waits again, although it has ended, goes while that is known.
      if (waiting) this.#ended.clear();
      for await (const place of queue.list()) {
        this.#note(place);
        waiting?.add(place.id);
      }
      if (!waiting) return;
      await queue.sweep(waiting);
      this.#sweptAt = now;
    } catch (error) {
      platform.log({ level: "warn", event: "the queue can't be looked at", error });
    }
  }

  async #attend(scheduled: Scheduled): Promise<void> {
    const { id } = scheduled;
    const dueMs = await this.#dueAfter(scheduled);
    const again = this.#running.get(id)?.again;
    this.#running.delete(id);
    if (dueMs === undefined) this.#noteEnded(id);
    if (again) this.#schedule.set(again);
    else if (dueMs !== undefined) this.#schedule.set({ ...scheduled, dueMs, isFresh: false });
    this.#wake();
  }

  #noteEnded(id: string): void {
    this.#ended.add(id);
    const [oldest] = this.#ended;
    if (this.#ended.size > ENDED_MAX) this.#ended.delete(oldest!);
  }

  /** Does what there is to do. Resolves with when it is due again; undefined if it waits no more. */
  async #dueAfter(scheduled: Scheduled): Promise<number | undefined> {
    const { platform } = this.#options;
    try {
      return await this.#process(scheduled);
    } catch (error) {
      const isLost = error instanceof EngineError && error.code === "corrupt";
      platform.log({
        level: isLost ? "error" : "warn",
        event: "a mail can't be sent now",
        id: scheduled.id,
        error,
      });
      // A damaged mail is looked at again when somebody may have mended it.
      return platform.now() + (isLost ? RETRY_MS.at(-1)! : STORE_RETRY_MS);
    }
  }

  /** Resolves with when it is due again; undefined if it waits no more. */
  async #process({ place, isOurs, isFresh }: Scheduled): Promise<number | undefined> {
    const { queue, platform, isDeleted } = this.#options;
    // That nobody was quicker is told by the claim.
    const last = isFresh ? undefined : await queue.lastClaim(place.id);
    const later = last && this.#waitFor(place.id, last);
    if (later !== undefined) return later;
    const opened = await queue.open(place);
    if (!opened) return undefined;
    const { mail, ageMs } = opened;
    if (!last && !isOurs && mail.isSentByMaker && ageMs < MAKER_MS) return platform.now() + MAKER_MS - ageMs;
    if (!isFresh && (await this.#isOver(place))) return undefined;
    if (!isFresh && (await isDeleted(mail.account))) {
      const isBusy = (await queue.seize(place.id, "canceled")) === "busy";
      if (!isBusy) await queue.end(place, "canceled");
      return isBusy ? platform.now() + STORE_RETRY_MS : undefined;
    }
    if (last?.claim.state === "canceled") {
      await this.#end(place, mail, last.number, { state: "canceled", recipients: last.claim.recipients });
      return undefined;
    }
    const before = last?.claim ?? freshClaim(mail);
    const number = (last?.number ?? 0) + 1;
    const claim: Claim = { ...before, holder: this.#holder, state: "sending", dueMs: 0, tries: before.tries + 1 };
    // Somebody else has it now, or its owner took it back: a lease is waited for.
    if (!(await queue.claim(place.id, number, claim))) return platform.now() + (isFresh ? 0 : STORE_RETRY_MS);
    // Claims go with their mail: where others ended it since we looked, its first claim was free again.
    if (await this.#isOver(place)) return undefined;
    return this.#exchange(place, mail, number, claim);
  }

  /** True for a mail that has ended: the rest of it is deleted. */
  async #isOver(place: QueuePlace): Promise<boolean> {
    const { queue } = this.#options;
    if (!(await queue.isDone(place.id))) return false;
    // Its end was noted by who ended it, and one that went to another store has not ended.
    await queue.drop(place);
    return true;
  }

  /** When a claim lets others at its mail; undefined if it does now. */
  #waitFor(id: string, { claim, ageMs }: StoredClaim): number | undefined {
    const { platform } = this.#options;
    const now = platform.now();
    // Whoever moves it takes it away from here.
    if (claim.state === "moved") {
      if (ageMs >= MOVE_LATE_MS)
        platform.log({ level: "warn", event: "a mail waits for its account's move to go on", id });
      return now + RETRY_MS.at(-1)!;
    }
    if (claim.state === "sending") return ageMs < LEASE_MS ? now + LEASE_MS - ageMs : undefined;
    return claim.state === "waiting" && claim.dueMs > now ? claim.dueMs : undefined;
  }

  async #exchange(place: QueuePlace, mail: QueuedMail, number: number, claim: Claim): Promise<number | undefined> {
    const { queue, platform, giveUpMs } = this.#options;
    const { recipients: tried, isOperators } = await this.#send(mail, claim.recipients);
    const now = platform.now();
    const isOver = now - mail.releaseMs >= giveUpMs && !isOperators;
    const recipients = isOver ? tried.map(givenUp) : tried;
    if (recipients.every(({ state }) => state !== "waiting")) {
      // Known before anything else: killed from here on, nobody sends it again.
      await this.#insist(() => queue.keep(place.id, number, { ...claim, state: "waiting", recipients }));
      await this.#end(place, mail, number, { state: "sent", recipients });
      return undefined;
    }
    const isLate = now - mail.releaseMs >= DELAY_TOLD_MS && !claim.isDelayTold;
    const dueMs = now + this.#pause(claim.tries);
    const kept: Claim = { ...claim, state: "waiting", dueMs, isDelayTold: claim.isDelayTold || isLate, recipients };
    await this.#insist(() => queue.keep(place.id, number, kept));
    if (differ(recipients, claim.recipients)) await this.#report(mail, { state: "waiting", recipients });
    if (isLate) await this.#tell(mail, "delayed", recipients, "DELAY");
    return dueMs;
  }

  /** One exchange for those who have it not yet. */
  async #send(
    mail: QueuedMail,
    recipients: readonly RecipientState[],
  ): Promise<{ readonly recipients: readonly RecipientState[]; readonly isOperators: boolean }> {
    const { queue, transport, platform } = this.#options;
    const waiting = mail.envelope.recipients.filter((_, at) => recipients[at]?.state === "waiting");
    if (waiting.length === 0) return { recipients, isOperators: false };
    const { id, envid, size, needsUtf8, needsEightBit } = mail;
    const envelope = { ...mail.envelope, recipients: waiting };
    const outgoing = { id, envelope, envid, size, needsUtf8, needsEightBit, read: () => queue.read(mail) };
    const cut = new AbortController();
    void platform.delay(EXCHANGE_MS, cut.signal).then(() => cut.abort(NO_REASON));
    try {
      const replies = await transport.send(outgoing, cut.signal);
      let next = 0;
      const after = recipients.map((one) => (one.state === "waiting" ? { ...one, ...replies[next++]! } : one));
      platform.log({ level: "info", event: "sent", id, ...countsOf(after) });
      return { recipients: after, isOperators: false };
    } catch (error) {
      if (!(error instanceof TransportTrouble)) throw error;
      const isOperators = error.kind === "operator";
      platform.log({ level: isOperators ? "error" : "warn", event: "a mail was not taken", id, error });
      const reply = isOperators ? "" : error.message;
      return {
        recipients: recipients.map((one) => (one.state === "waiting" && reply !== "" ? { ...one, reply } : one)),
        isOperators,
      };
    } finally {
      cut.abort(NO_REASON);
    }
  }

  /** Its owner is told, and it goes: in this order. Of those who never get it a mail tells too. */
  async #end(place: QueuePlace, mail: QueuedMail, claims: number, outcome: Outcome): Promise<void> {
    const { queue } = this.#options;
    // Each until it is done, and none again because a later one fails.
    await this.#report(mail, outcome);
    if (outcome.state === "sent") await this.#insist(() => this.#tell(mail, "failed", outcome.recipients, "FAILURE"));
    const ending = outcome.state === "canceled" ? "canceled" : "sent";
    await this.#insist(() => queue.end(place, ending, { claims, content: mail.content }));
  }

  async #report(mail: QueuedMail, outcome: Outcome): Promise<void> {
    await this.#insist(() => this.#options.reporter.report(mail, outcome));
  }

  /** Tells the sender of recipients that the envelope asks reports on: RFC 3461 §4.1. */
  async #tell(
    mail: QueuedMail,
    kind: "failed" | "delayed",
    recipients: readonly RecipientState[],
    word: "FAILURE" | "DELAY",
  ): Promise<void> {
    const state = kind === "failed" ? "failed" : "waiting";
    const told = recipients.filter(
      (one, at) => one.state === state && wants(mail.envelope.recipients[at]?.notify, word),
    );
    if (told.length > 0) await this.#options.reporter.tellSender(mail, kind, told);
  }

  /** Writes the result of an exchange, until that is done: nobody else may begin before, and a lease may end. */
  async #insist(write: () => Promise<void>): Promise<void> {
    const { platform } = this.#options;
    for (;;) {
      try {
        await write();
        return;
      } catch (error) {
        platform.log({ level: "warn", event: "what came of a mail can't be written yet", error });
        if (this.#stopping.signal.aborted) throw error;
        await platform.delay(STORE_RETRY_MS, this.#stopping.signal);
      }
    }
  }

  #pause(tries: number): number {
    const { platform } = this.#options;
    const byte = platform.crypto.random(1)[0]!;
    const pause = RETRY_MS[Math.min(tries - 1, RETRY_MS.length - 1)]!;
    return pause * (1 + JITTER * (byte / 127.5 - 1));
  }
}

function freshClaim({ envelope }: QueuedMail): Claim {
  return {
    holder: "",
    state: "waiting",
    dueMs: 0,
    tries: 0,
    isDelayTold: false,
    recipients: envelope.recipients.map(({ address }) => ({ address, state: "waiting", reply: "" })),
  };
}

function givenUp(recipient: RecipientState): RecipientState {
  return recipient.state === "waiting" ? { ...recipient, state: "failed" } : recipient;
}

function differ(a: readonly RecipientState[], b: readonly RecipientState[]): boolean {
  return a.some(({ state, reply }, at) => state !== b[at]?.state || reply !== b[at]?.reply);
}

function wants(notify: string | undefined, word: string): boolean {
  return (notify ?? "FAILURE,DELAY").toUpperCase().split(",").includes(word);
}

function countsOf(recipients: readonly RecipientState[]): Readonly<Record<RecipientState["state"], number>> {
  const counts = { waiting: 0, sent: 0, failed: 0 };
  for (const { state } of recipients) counts[state]++;
  return counts;
}
