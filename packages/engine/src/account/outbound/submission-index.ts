import type { Mail } from "../../mail/mail.ts";
import { normalizeAddress } from "../sign-in/users.ts";
import { SUBMISSION, type Submission } from "./submission.ts";

/** The facts of a submission that never change, by which a report from outside finds it. */
export interface SubmissionFacts {
  readonly id: string;
  readonly email: Uint8Array | undefined;
  readonly madeMs: number;
  /** Of its email, once somebody asked; "" where it has none. */
  messageId: string | undefined;
}

/** Finds submissions by what reports name. Each is read once an opening, however many reports come. */
export class SubmissionIndex {
  readonly #mail: Mail;
  readonly #find: (id: string) => Promise<Submission | undefined>;
  readonly #known = new Set<string>();
  readonly #byEnvelope = new Map<string, SubmissionFacts>();
  readonly #byRecipient = new Map<string, SubmissionFacts[]>();

  constructor(mail: Mail, find: (id: string) => Promise<Submission | undefined>) {
    this.#mail = mail;
    this.#find = find;
  }

  /** By the envelope's own id; undefined if none has it. Errors: `unavailable`, `corrupt`. */
  async ofEnvelope(envid: string): Promise<SubmissionFacts | undefined> {
    await this.#readNew();
    return this.#byEnvelope.get(envid);
  }

  /** Submissions to one of these addresses, the newest first. Errors: `unavailable`, `corrupt`. */
  async to(addresses: readonly string[]): Promise<readonly SubmissionFacts[]> {
    await this.#readNew();
    const found = new Set(addresses.flatMap((address) => this.#byRecipient.get(normalizeAddress(address)) ?? []));
    return [...found].sort((a, b) => b.madeMs - a.madeMs || (a.id < b.id ? -1 : 1));
  }

  async #readNew(): Promise<void> {
    for (const { id } of this.#mail.state.records.list(SUBMISSION)) {
      if (this.#known.has(id)) continue;
      const one = await this.#find(id);
      // It went meanwhile, or another report has read it.
      if (!one || this.#known.has(id)) continue;
      this.#known.add(id);
      this.#take(one);
    }
  }

  #take({ id, envid, email, madeMs, recipients }: Submission): void {
    const facts: SubmissionFacts = { id, email, madeMs, messageId: undefined };
    this.#byEnvelope.set(envid, facts);
    for (const address of new Set(recipients.map((one) => normalizeAddress(one.address)))) {
      const others = this.#byRecipient.get(address);
      if (others) others.push(facts);
      else this.#byRecipient.set(address, [facts]);
    }
  }
}
