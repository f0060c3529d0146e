import type { Mail } from "../../mail/mail.ts";
import { type ModSeq, NO_MODSEQ } from "../../mail/numbers.ts";
import { normalizeAddress } from "../sign-in/users.ts";
import { SUBMISSION, type Submission } from "./submission.ts";

/** The facts of a submission that never change. */
export interface SubmissionFacts {
  readonly id: string;
  readonly email: Uint8Array | undefined;
  readonly envid: string;
  readonly madeMs: number;
  readonly sendAtMs: number;
  /** Normalized, each once. */
  readonly addresses: readonly string[];
  /** Of its email, once somebody asked; "" where it has none. */
  messageId: string | undefined;
}

/** The rest of a submission that its owner forgot: it was made all the same. */
type Spent = Pick<SubmissionFacts, "madeMs" | "addresses">;

/** Submissions that are read side by side, and then others have their turn. */
const READ_AT_ONCE = 64;

/**
 * Facts of all submissions of an account. Each is read once an opening: a submission that is made later costs
 * a look at what changed, however many there are. One that its owner forgot
 * goes from here too, but for what it counts for.
 */
export class SubmissionIndex {
  readonly #mail: Mail;
  readonly #find: (id: string) => Promise<Submission | undefined>;
  /** Records up to this modseq of this epoch are known. */
  #modSeq: ModSeq = NO_MODSEQ;
  #epoch = -1;
  readonly #known = new Map<string, SubmissionFacts>();
  readonly #byEnvelope = new Map<string, SubmissionFacts>();
  readonly #byRecipient = new Map<string, Set<SubmissionFacts>>();
  #spent: Spent[] = [];
  readonly #breathe: () => Promise<void>;
  /** One reading after the other. */
  #reading: Promise<void> = Promise.resolve();

  constructor(
    mail: Mail,
    find: (id: string) => Promise<Submission | undefined>,
    breathe: () => Promise<void> = () => Promise.resolve(),
  ) {
    this.#mail = mail;
    this.#find = find;
    this.#breathe = breathe;
  }

  /** By the envelope's own id; undefined if none has it. Errors: `unavailable`, `corrupt`. */
  async ofEnvelope(envid: string): Promise<SubmissionFacts | undefined> {
    await this.#readNew();
    return this.#byEnvelope.get(envid);
  }

  /** Submissions to one of these addresses, the newest first. Errors: `unavailable`, `corrupt`. */
  async to(addresses: readonly string[]): Promise<readonly SubmissionFacts[]> {
    await this.#readNew();
    const found = new Set(
      addresses.flatMap((address) => [...(this.#byRecipient.get(normalizeAddress(address)) ?? [])]),
    );
    return [...found].sort((a, b) => b.madeMs - a.madeMs || (a.id < b.id ? -1 : 1));
  }

  /** How many recipients those have together that were made after this, also those that were forgotten since they were read
   * here: it never asks for an earlier time again. Errors: `unavailable`, `corrupt`. */
  async recipientsSince(madeMs: number): Promise<number> {
    await this.#readNew();
    this.#spent = this.#spent.filter((one) => one.madeMs > madeMs);
    let count = 0;
    for (const some of [this.#spent, this.#known.values()])
      for (const one of some) if (one.madeMs > madeMs) count += one.addresses.length;
    return count;
  }

  /** Those that were to go before this, the oldest first. Errors: `unavailable`, `corrupt`. */
  async dueBefore(sendAtMs: number): Promise<readonly SubmissionFacts[]> {
    await this.#readNew();
    const found: SubmissionFacts[] = [];
    for (const facts of this.#known.values()) if (facts.sendAtMs < sendAtMs) found.push(facts);
    return found.sort((a, b) => a.sendAtMs - b.sendAtMs || (a.id < b.id ? -1 : 1));
  }

  #readNew(): Promise<void> {
    this.#reading = this.#reading.then(
      () => this.#read(),
      () => this.#read(),
    );
    return this.#reading;
  }

  async #read(): Promise<void> {
    const { epoch, records } = this.#mail.state;
    // Modseqs of another epoch say nothing, and of ends that are forgotten nobody tells.
    if (epoch !== this.#epoch || records.floor(SUBMISSION) > this.#modSeq) this.#forgetAll();
    const upTo = records.changed(SUBMISSION);
    const changed = [...records.since(SUBMISSION, this.#modSeq)];
    for (const { id, value } of changed) if (!value) this.#forget(id);
    const unread = changed.filter(({ id, value }) => value && !this.#known.has(id));
    for (let at = 0; at < unread.length; at += READ_AT_ONCE) {
      if (at > 0) await this.#breathe();
      const found = await Promise.all(unread.slice(at, at + READ_AT_ONCE).map(({ id }) => this.#find(id)));
      // One that went meanwhile is told of by the next look at what changed.
      for (const one of found) if (one) this.#take(one);
    }
    [this.#epoch, this.#modSeq] = [epoch, upTo];
  }

  #take({ id, envid, email, madeMs, sendAtMs, recipients }: Submission): void {
    const addresses = [...new Set(recipients.map(({ address }) => normalizeAddress(address)))];
    const facts: SubmissionFacts = { id, email, envid, madeMs, sendAtMs, addresses, messageId: undefined };
    this.#known.set(id, facts);
    this.#byEnvelope.set(envid, facts);
    for (const address of addresses) {
      const others = this.#byRecipient.get(address);
      if (others) others.add(facts);
      else this.#byRecipient.set(address, new Set([facts]));
    }
  }

  #forget(id: string): void {
    const facts = this.#known.get(id);
    if (!facts) return;
    this.#known.delete(id);
    this.#spent.push({ madeMs: facts.madeMs, addresses: facts.addresses });
    this.#byEnvelope.delete(facts.envid);
    for (const address of facts.addresses) {
      const others = this.#byRecipient.get(address);
      others?.delete(facts);
      if (others?.size === 0) this.#byRecipient.delete(address);
    }
  }

  #forgetAll(): void {
    this.#modSeq = NO_MODSEQ;
    for (const known of [this.#known, this.#byEnvelope, this.#byRecipient]) known.clear();
  }
}
