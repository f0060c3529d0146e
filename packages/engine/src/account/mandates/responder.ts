import { arrange, compose, formatAddrSpec, stripHtml } from "@restante/mime";
import { hexBytes, hexText } from "../../bay/entry.ts";
import { listObjects } from "../../bay/list-objects.ts";
import { asStoreFailure } from "../../bay/store-failure.ts";
import { CryptoError, equalBytes, openRequest, serverHash, utf8 } from "../../crypto/index.ts";
import type { OutboundQueue, QueuePlace } from "../outbound/queue.ts";
import type { Platform } from "../platform.ts";
import { normalizeAddress } from "../sign-in/users.ts";
import { type AnswerRequest, decodeAnswerRequest, REQUESTS } from "./answer-request.ts";
import type { MandateStore } from "./mandate-store.ts";
import { decodeVacationMandate, isAway, type VacationMandate } from "./vacation.ts";

export interface ResponderOptions {
  readonly mandates: MandateStore;
  readonly queue: OutboundQueue;
  readonly platform: Platform;
  readonly serverKey: Uint8Array;
  /** True for an address that is one of the account's own. */
  readonly isOwn: (owner: string, address: string) => Promise<boolean>;
  /** This process sends: it is told what it queued. */
  readonly sender?: { queued(place: QueuePlace): void };
}

const REQUEST_NAME = /^outbound\/request\/([0-9a-f]{32})\.([0-9a-f]{32})$/;
const DAY_MS: number = 24 * 60 * 60_000;
/** A sender is answered once within this: RFC 3834 §2. */
export const ANSWER_SPAN_MS: number = 7 * DAY_MS;
/** Answers of one account within a day. */
export const ANSWERS_PER_DAY = 100;
/** How long it is known who was answered. */
const ANSWERED_KEPT_MS: number = 2 * ANSWER_SPAN_MS;
/** A request that nobody looked at for so long is answered no more. */
const REQUEST_LATE_MS: number = 5 * DAY_MS;
/** Milliseconds between two looks where nothing tells of any, after a store that did not answer, and between two sweeps. */
const LOOK_MS = 60_000;
const SWEEP_MS: number = 60 * 60_000;
/** Accounts whose requests are looked at at once. */
const AT_ONCE = 8;
const WAITING_MAX = 1_000;
const ACCOUNT_CHARS = 32;

/**
 * Answers for those who are away: RFC 3834, RFC 8621 §8. It holds the server key and no account's: what it may answer is what an
 * owner let it know. Any number may run: an answer has the id of its request, and whom an account has answered is a create that
 * one alone wins.
 */
export class Responder {
  readonly #options: ResponderOptions;
  readonly #stopping = new AbortController();
  #wake: () => void = () => undefined;
  #stopWatching: () => void = () => undefined;
  #loop: Promise<void> = Promise.resolve();
  #isRung = true;
  #sweptAt = Number.NEGATIVE_INFINITY;

  constructor(options: ResponderOptions) {
    this.#options = options;
  }

  start(): void {
    this.#stopWatching = this.#options.mandates.store.watch(REQUESTS, () => {
      this.#isRung = true;
      this.#wake();
    });
    this.#loop = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopWatching();
    this.#stopping.abort();
    this.#wake();
    await this.#loop;
  }

  async #run(): Promise<void> {
    const { platform } = this.#options;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      this.#isRung = false;
      try {
        await this.#answerAll(signal);
        if (platform.monotonic() - this.#sweptAt >= SWEEP_MS) await this.#sweep();
      } catch (error) {
        platform.log({ level: "warn", event: "requests for answers can't be looked at", error });
      }
      if (this.#isRung) continue;
      const woken = new AbortController();
      this.#wake = () => woken.abort();
      if (!signal.aborted) await platform.delay(LOOK_MS, woken.signal);
      this.#wake = () => undefined;
    }
  }

  async #answerAll(signal: AbortSignal): Promise<void> {
    const { mandates, platform } = this.#options;
    const running = new Map<string, Promise<void>>();
    let waiting = 0;
    for await (const { name, created, now } of listObjects(mandates.store, REQUESTS)) {
      if (signal.aborted) break;
      // One after the other of an account, so that its answers of the day are counted.
      const account = name.slice(REQUESTS.length, REQUESTS.length + ACCOUNT_CHARS);
      const work = (running.get(account) ?? Promise.resolve())
        .then(() => this.#answer({ name, createdMs: created, ageMs: now - created }))
        .catch((error: unknown) => platform.log({ level: "warn", event: "a mail can't be answered now", error }))
        .finally(() => {
          waiting--;
          if (running.get(account) === work) running.delete(account);
        });
      waiting++;
      running.set(account, work);
      if (running.size >= AT_ONCE || waiting >= WAITING_MAX) await Promise.race(running.values());
    }
    await Promise.all(running.values());
  }

  /** Answers a request, if it is to be, and takes it away. */
  async #answer(stored: { readonly name: string; readonly createdMs: number; readonly ageMs: number }): Promise<void> {
    const { mandates, platform, queue, sender } = this.#options;
    const request = stored.ageMs < REQUEST_LATE_MS ? await this.#open(stored.name) : undefined;
    const vacation = request && (await this.#vacationOf(request));
    const answer = request && vacation && this.#answerTo(request, vacation);
    if (
      request &&
      vacation &&
      answer &&
      (await this.#isWanted(request, vacation)) &&
      (await this.#isFirst(request, stored.name))
    ) {
      const place = { id: this.#idOf(stored.name), releaseMs: stored.createdMs };
      // Where another process was here before it was killed, the queue knows whether it has gone.
      await queue.put(
        {
          ...place,
          account: request.account,
          // Nobody is told what becomes of it.
          address: "",
          // To what is answered nobody answers: RFC 3834 §3.3.
          envelope: { mailFrom: "", recipients: [{ address: answer.to, notify: "NEVER" }] },
          envid: place.id,
          madeMs: request.madeMs,
          needsUtf8: isForeign(request, vacation),
          isSentByMaker: sender !== undefined,
        },
        answer.mail.read(),
      );
      platform.log({ level: "info", event: "answered for who is away", id: place.id });
      sender?.queued(place);
    }
    await asStoreFailure(mandates.store.delete([stored.name], { essential: true }));
  }

  async #open(name: string): Promise<AnswerRequest | undefined> {
    const { mandates, platform, serverKey } = this.#options;
    const [, account] = REQUEST_NAME.exec(name) ?? [];
    if (account === undefined) return undefined;
    const got = await asStoreFailure(mandates.store.get(name));
    if (!got.found) return undefined;
    try {
      const place = { account: hexBytes(account), name };
      return decodeAnswerRequest(place.account, await openRequest(platform.crypto, serverKey, place, got.bytes));
    } catch (error) {
      if (!(error instanceof CryptoError || error instanceof RangeError)) throw error;
      platform.log({ level: "warn", event: "a request for an answer does not open", name });
      return undefined;
    }
  }

  async #vacationOf({ account }: Pick<AnswerRequest, "account">): Promise<VacationMandate | undefined> {
    const { mandates, platform } = this.#options;
    const stored = await mandates.read({ kind: "vacation", account, id: "" });
    if (!stored) return undefined;
    try {
      return decodeVacationMandate(stored.plain);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      platform.log({ level: "warn", event: "a vacation can't be read", error });
      return undefined;
    }
  }

  /** Only to others, and only to those who wrote to the owner: RFC 3834 §2. */
  async #isWanted({ sender, recipients, madeMs }: AnswerRequest, vacation: VacationMandate): Promise<boolean> {
    const { isOwn, platform } = this.#options;
    if (!isAway(vacation, madeMs) || !isAway(vacation, platform.now())) return false;
    if (await isOwn(vacation.address, sender)) return false;
    for (const recipient of recipients) if (await isOwn(vacation.address, recipient)) return true;
    return false;
  }

  /** True if no process answered the sender within the span, and the account's day is not full. Then the sender is answered
   * for this request. */
  async #isFirst({ account, sender }: AnswerRequest, name: string): Promise<boolean> {
    const { mandates } = this.#options;
    const prefix = mandates.answeredPrefix(account, normalizeAddress(sender));
    const mark = utf8(this.#idOf(name));
    let today = 0;
    let number = 0;
    for await (const one of listObjects(mandates.store, mandates.answeredPrefix(account))) {
      const ageMs = one.now - one.created;
      if (ageMs < DAY_MS) today++;
      if (!one.name.startsWith(prefix)) continue;
      number = Math.max(number, Number(one.name.slice(prefix.length)));
      if (ageMs < ANSWER_SPAN_MS) return this.#isOurs(one.name, mark);
    }
    if (today >= ANSWERS_PER_DAY) return false;
    const next = prefix + String(number + 1).padStart(NUMBER_DIGITS, "0");
    const { outcome } = await asStoreFailure(mandates.store.putIfAbsent(next, mark));
    return outcome === "stored";
  }

  /** The same request, whose answerer was killed. */
  async #isOurs(name: string, mark: Uint8Array): Promise<boolean> {
    const got = await asStoreFailure(this.#options.mandates.store.get(name));
    return got.found && equalBytes(got.bytes, mark);
  }

  /** Of the answer to a request: the same whoever makes it. */
  #idOf(name: string): string {
    return hexText(serverHash(this.#options.serverKey, utf8(name)).subarray(0, 16));
  }

  /** Undefined where no mail can say so: a stranger says who they are as they like. */
  #answerTo(request: AnswerRequest, vacation: VacationMandate) {
    try {
      const to = formatAddrSpec(request.sender, { utf8: true });
      return { to, mail: this.#mailOf(request, vacation, to) };
    } catch (error) {
      if (error instanceof RangeError) return undefined;
      throw error;
    }
  }

  #mailOf(request: AnswerRequest, vacation: VacationMandate, to: string) {
    const { platform } = this.#options;
    const { html, text = html === undefined ? "" : stripHtml(html) } = vacation;
    const { messageId } = request;
    return compose(
      {
        headers: [
          { name: "From", form: "addresses", value: [{ email: vacation.address }] },
          { name: "To", form: "addresses", value: [{ email: to }] },
          { name: "Subject", form: "text", value: vacation.subject ?? `Auto: ${request.subject}` },
          { name: "Auto-Submitted", form: "text", value: "auto-replied (vacation)" },
          { name: "X-Auto-Response-Suppress", form: "text", value: "All" },
          ...(messageId === undefined
            ? []
            : ([
                { name: "In-Reply-To", form: "messageIds", value: [messageId] },
                { name: "References", form: "messageIds", value: [...request.references, messageId] },
              ] as const)),
        ],
        body: arrange({
          text: { kind: "text", text },
          html: html === undefined ? undefined : { kind: "text", subtype: "html", text: html },
        }),
      },
      {
        now: () => ({ timeMs: platform.now(), zoneMinutes: 0 }),
        random: platform.crypto.random,
        domain: vacation.address.slice(vacation.address.lastIndexOf("@") + 1),
        utf8: isForeign(request, vacation),
      },
    );
  }

  /** Ends vacations that are over, and forgets senders who were answered long ago. Errors: `unavailable`. */
  async #sweep(): Promise<void> {
    const { mandates, platform } = this.#options;
    this.#sweptAt = platform.monotonic();
    for await (const place of mandates.list("vacation")) {
      const vacation = await this.#vacationOf(place);
      if (vacation?.untilMs === undefined || vacation.untilMs > platform.now()) continue;
      await mandates.end(place);
      await mandates.forgetAnswered(place.account);
    }
    const old: string[] = [];
    for await (const { name, created, now } of listObjects(mandates.store, "outbound/seen/"))
      if (now - created >= ANSWERED_KEPT_MS) old.push(name);
    for (let at = 0; at < old.length; at += SWEPT_AT_ONCE)
      await asStoreFailure(mandates.store.delete(old.slice(at, at + SWEPT_AT_ONCE), { essential: true }));
  }
}

const NUMBER_DIGITS = 6;
const SWEPT_AT_ONCE = 500;

function isForeign({ sender }: AnswerRequest, { address }: VacationMandate): boolean {
  return /[^\x00-\x7f]/.test(sender + address);
}
