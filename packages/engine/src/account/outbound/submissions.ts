import { type DispositionReport, HeaderBlock, parseMessageIds } from "@restante/mime";
import { purposeKey, type Ring } from "../../crypto/index.ts";
import { EngineError } from "../../errors.ts";
import type { Body, Contents } from "../../mail/contents/contents.ts";
import type { Mail } from "../../mail/mail.ts";
import type { Platform } from "../platform.ts";
import { beginningOf } from "./outgoing.ts";
import type { Report } from "./report.ts";
import { readStatus, withStatus } from "./status-mail.ts";
import { deliveredOf, type Submission } from "./submission.ts";
import { type SubmissionFacts, SubmissionIndex } from "./submission-index.ts";
import { SubmissionWriter } from "./submission-writer.ts";
import {
  cancelSubmission,
  findRepeated,
  findSubmission,
  handOver,
  listSubmissions,
  type SubmitRequest,
  type SubmitTools,
  submit,
} from "./submit.ts";

export interface SubmissionsOptions {
  readonly mail: Mail;
  readonly contents: Contents;
  readonly platform: Platform;
  readonly ring: Ring;
}

/** Gives an email's octets; undefined if it is gone. */
export type ReadEmail = Parameters<typeof handOver>[1];

/** Messages that went to one address and are looked at for one that is named. */
const MESSAGES_MAX = 200;

/** The mail that an account has sent, is sending, and will send. */
export class Submissions {
  readonly #options: SubmissionsOptions;
  #handedOver: Promise<void> | undefined;
  readonly #index: SubmissionIndex;
  readonly #writer: SubmissionWriter;

  constructor(options: SubmissionsOptions) {
    this.#options = options;
    this.#writer = new SubmissionWriter(options.mail, (id) => this.find(id));
    this.#index = new SubmissionIndex(options.mail, (id) => this.find(id), options.platform.breathe);
  }

  /** Throws `SubmitRefusal`; errors: `not-permitted` where no mail is sent, `unavailable`, `unknown-outcome`, `over-quota`. */
  async submit(address: string, request: SubmitRequest): Promise<Submission> {
    return submit(request, this.#toolsFor(address));
  }

  /** The newest first. Errors: `unavailable`, `corrupt`. */
  list(): Promise<Submission[]> {
    return listSubmissions(this.#options);
  }

  /** Undefined if there is none. Errors: `unavailable`, `corrupt`. */
  find(id: string): Promise<Submission | undefined> {
    return findSubmission(id, this.#options);
  }

  /** The submission by this repeat key; undefined if there is none. Errors: `unavailable`, `corrupt`. */
  findRepeated(address: string, repeatKey: string): Promise<Submission | undefined> {
    return findRepeated(repeatKey, this.#toolsFor(address));
  }

  /** Resolves with whether it is taken back; undefined if there is none. Errors: `unavailable`, `unknown-outcome`. */
  cancel(address: string, id: string): Promise<boolean | undefined> {
    return cancelSubmission(id, this.#toolsFor(address));
  }

  /** Forgets submissions, whatever becomes of them. Errors: `unavailable`, `unknown-outcome`. */
  async forget(ids: readonly string[]): Promise<void> {
    await this.#writer.write([], ids);
  }

  /** Writes a report into its submission's record. A submission that its owner forgot stays forgotten. Errors: `unavailable`. */
  async take({ id, state, recipients: said }: Report): Promise<void> {
    await this.#writer.change(id, (one) => withReport(one, state, said));
  }

  /**
   * A mail came that may say what became of another: RFC 3464, RFC 8098. It counts where it names an envelope or a message of ours; all
   * else says nothing. `email` is its id, 16 bytes; `read` gives an email's octets. Again is no error. Errors: `unavailable`.
   */
  async takeStatus(email: Uint8Array, mail: Body, read: ReadEmail): Promise<void> {
    const status = await readStatus(mail);
    const id =
      status?.kind === "delivery"
        ? (await this.#index.ofEnvelope(status.report.envelopeId ?? ""))?.id
        : status && (await this.#findMessage(status.report, read));
    if (status && id !== undefined) await this.#writer.change(id, (one) => withStatus(one, status, email));
  }

  /** Only of those that went to who says it: each is opened, once. */
  async #findMessage(report: DispositionReport, read: ReadEmail): Promise<string | undefined> {
    const { originalMessageId: wanted, originalRecipient, finalRecipient } = report;
    if (wanted === undefined) return undefined;
    const sent = await this.#index.to([originalRecipient, finalRecipient].filter((one) => one !== undefined));
    for (const facts of sent.slice(0, MESSAGES_MAX)) {
      facts.messageId ??= await messageIdOf(facts, read);
      if (facts.messageId === wanted) return facts.id;
    }
    return undefined;
  }

  /** Once an opening: what a process that was killed left out is put into the queue. `read` gives an email's octets. */
  handOver(address: string, read: ReadEmail, tellUnknown: (one: Submission) => Promise<void>): Promise<void> {
    if (!this.#options.platform.outbound) return Promise.resolve();
    this.#handedOver ??= handOver(this.#toolsFor(address), read, tellUnknown).catch((error: unknown) => {
      this.#handedOver = undefined;
      this.#options.platform.log({ level: "warn", event: "what was submitted can't be looked at", error });
    });
    return this.#handedOver;
  }

  #toolsFor(address: string): SubmitTools {
    const { mail, contents, platform, ring } = this.#options;
    const { outbound } = platform;
    if (!outbound) throw new EngineError("not-permitted", "this server sends no mail");
    return {
      mail,
      contents,
      platform,
      outbound,
      account: ring.account,
      address,
      index: this.#index,
      writer: this.#writer,
      repeatSecret: purposeKey(ring, ring.versions[0]!.version, "repeat"),
    };
  }
}

/** "" where there is none, or no email of the account any more. */
async function messageIdOf({ email }: SubmissionFacts, read: ReadEmail): Promise<string> {
  const body = email && (await read(email));
  const header = body && new HeaderBlock(await beginningOf(body));
  const [own] = header ? parseMessageIds(header.values("message-id")[0] ?? "") : [];
  return own ?? "";
}

function withReport(one: Submission, state: Report["state"], said: Report["recipients"]): Submission {
  const byAddress = new Map(said.map((recipient) => [recipient.address, recipient]));
  const recipients = one.recipients.map((recipient) => {
    const now = byAddress.get(recipient.address);
    // A settled recipient stays so: a report from a slow host, or from the store that the account left, may come late.
    if (now?.state === "waiting" && recipient.state !== "waiting") return recipient;
    // A delivery status from outside tells more than that the next server took the mail.
    const isKnown = recipient.delivered === "yes" || recipient.delivered === "no";
    return now
      ? { ...recipient, ...now, delivered: isKnown ? recipient.delivered : deliveredOf(now.state) }
      : recipient;
  });
  const isGone = state === "sent" || recipients.some((recipient) => recipient.state === "sent");
  return {
    ...one,
    recipients,
    undoStatus: state === "canceled" ? "canceled" : isGone ? "final" : one.undoStatus,
    isHanded: true,
  };
}
