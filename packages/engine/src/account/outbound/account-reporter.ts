import { compose, type NewMessage, type NewPart } from "@restante/mime";
import { hexText } from "../../bay/entry.ts";
import { orUndefinedIfDamaged } from "../../bay/store-failure.ts";
import { equalBytes, utf8 } from "../../crypto/index.ts";
import { collect } from "../../streams.ts";
import { type Deliverer, Dropbox } from "../delivery/dropbox.ts";
import type { AsideReporter } from "./after-restore.ts";
import type { QueuedMail, RecipientState } from "./queued.ts";
import { encodeReport } from "./report.ts";
import type { Outcome, Reporter } from "./sender.ts";

/** Octets of the header that a report gives back. */
const HEADER_BYTES_MAX: number = 32 * 1024;
/** The lines in front of our own mails. */
const BEFORE: Uint8Array = utf8("Return-Path: <>\r\n");

export interface AccountReporterOptions {
  readonly deliverer: Deliverer;
  /** The host in the sender's address of our own mails. */
  readonly hostName: string;
  readonly read: (mail: QueuedMail) => AsyncIterable<Uint8Array>;
}

/** Tells owners as mail comes to them: by notes that no process without their keys can read. */
export class AccountReporter implements Reporter, AsideReporter {
  readonly #options: AccountReporterOptions;
  /** By account: each has a numbering of its own. */
  readonly #dropboxes = new Map<string, Dropbox>();

  constructor(options: AccountReporterOptions) {
    this.#options = options;
  }

  async report(mail: QueuedMail, { state, recipients }: Outcome): Promise<void> {
    const { platform } = this.#options.deliverer;
    const dropbox = await this.#dropboxOf(mail);
    await dropbox?.report(encodeReport({ id: mail.id, state, atMs: platform.now(), recipients }));
  }

  async tellSender(mail: QueuedMail, kind: "failed" | "delayed", recipients: readonly RecipientState[]): Promise<void> {
    const { deliverer } = this.#options;
    const dropbox = await this.#dropboxOf(mail);
    if (!dropbox) return;
    const message = await this.#statusMail(mail, kind, recipients);
    await dropbox.deliver(BEFORE, message.read(), deliverer.unsettled.connect(), { isNotice: true });
  }

  async tellSetAside(mail: QueuedMail): Promise<void> {
    const { deliverer, read } = this.#options;
    const dropbox = await this.#dropboxOf(mail);
    if (!dropbox) return;
    const lines = [
      "Your mail server was brought back from a backup. When that was made, the attached message waited to be sent to:",
      "",
      ...mail.envelope.recipients.map(({ address }) => `  ${plain(address)}`),
      "",
      "Whether it was sent since is not known, so it is not sent again. If it has not arrived, send it once more.",
      "",
    ];
    const content = await orUndefinedIfDamaged(collect(read(mail)));
    const message = compose(
      {
        headers: this.#headers(mail, "A message may not have been sent"),
        body: {
          kind: "multipart",
          subtype: "mixed",
          parts: [
            { kind: "text", text: lines.join("\r\n") },
            ...(content ? [{ kind: "message", content } as const] : []),
          ],
        },
      },
      this.#tools(mail),
    );
    await dropbox.deliver(BEFORE, message.read(), deliverer.unsettled.connect(), { isNotice: true });
  }

  /** Undefined where the account is gone: there is nobody to tell. */
  async #dropboxOf({ account, address }: QueuedMail): Promise<Dropbox | undefined> {
    const { deliverer } = this.#options;
    const user = await deliverer.users.find(address);
    if (!user || !equalBytes(user.record.account, account)) return undefined;
    const known = this.#dropboxes.get(hexText(account));
    if (known?.isFor(user)) return known;
    const dropbox = new Dropbox(deliverer, user);
    this.#dropboxes.set(hexText(account), dropbox);
    return dropbox;
  }

  /** A delivery status notification: RFC 3464, with the header alone of what it is about. */
  async #statusMail(mail: QueuedMail, kind: "failed" | "delayed", recipients: readonly RecipientState[]) {
    const { hostName } = this.#options;
    const isFailed = kind === "failed";
    const lines = [
      isFailed ? "Your message was not delivered to:" : "Your message waits to be delivered to:",
      "",
      ...recipients.flatMap(({ address, reply }) => [
        `  ${plain(address)}`,
        ...(reply === "" ? [] : [`    ${plain(reply)}`]),
      ]),
      "",
      isFailed ? "It will not be tried again." : "It is tried again: you need do nothing.",
      "",
    ];
    const parts: NewPart[] = [
      { kind: "text", text: lines.join("\r\n") },
      { kind: "message", subtype: "delivery-status", content: utf8(statusText(mail, kind, recipients, hostName)) },
      { kind: "file", type: "text/rfc822-headers", content: await this.#headerOf(mail) },
    ];
    return compose(
      {
        headers: this.#headers(mail, isFailed ? "Undelivered mail" : "Delayed mail"),
        body: { kind: "multipart", subtype: "report", parameters: { "report-type": "delivery-status" }, parts },
      },
      this.#tools(mail),
    );
  }

  #headers(mail: QueuedMail, subject: string): NewMessage["headers"] {
    const email = `mailer-daemon@${this.#options.hostName}`;
    return [
      { name: "From", form: "addresses", value: [{ name: "Mail Delivery System", email }] },
      // A notice has no sender: RFC 8098 §3.
      { name: "To", form: "addresses", value: [{ email: mail.envelope.mailFrom || mail.address }] },
      { name: "Subject", form: "text", value: subject },
      { name: "Auto-Submitted", form: "text", value: "auto-replied" },
    ];
  }

  #tools(mail: QueuedMail): Parameters<typeof compose>[1] {
    const { deliverer, hostName } = this.#options;
    const { platform } = deliverer;
    return {
      now: () => ({ timeMs: platform.now(), zoneMinutes: 0 }),
      random: platform.crypto.random,
      domain: hostName,
      utf8: mail.needsUtf8,
    };
  }

  async #headerOf(mail: QueuedMail): Promise<Uint8Array> {
    let text = "";
    const read = async (): Promise<void> => {
      for await (const piece of this.#options.read(mail)) {
        for (const octet of piece) text += String.fromCharCode(octet);
        const end = /\r?\n\r?\n/.exec(text);
        if (end) text = text.slice(0, end.index + 2);
        if (end || text.length > HEADER_BYTES_MAX) break;
      }
    };
    // Of a mail that is damaged, as much as there is.
    await orUndefinedIfDamaged(read());
    return Uint8Array.from(text.slice(0, HEADER_BYTES_MAX), (char) => char.charCodeAt(0));
  }
}

/** RFC 3464 §2. */
function statusText(
  { envid, madeMs }: QueuedMail,
  kind: "failed" | "delayed",
  recipients: readonly RecipientState[],
  hostName: string,
): string {
  const isFailed = kind === "failed";
  const ofMessage = [
    `Original-Envelope-Id: ${envid}`,
    `Reporting-MTA: dns; ${hostName}`,
    `Arrival-Date: ${new Date(madeMs).toUTCString().replace("GMT", "+0000")}`,
  ];
  const ofEach = recipients.map(({ address, reply }) =>
    [
      `Final-Recipient: ${/[^\x00-\x7f]/.test(address) ? "utf-8" : "rfc822"}; ${plain(address)}`,
      `Action: ${kind}`,
      `Status: ${enhancedStatus(reply) ?? (isFailed ? "5.0.0" : "4.0.0")}`,
      ...(reply === "" ? [] : [`Diagnostic-Code: smtp; ${plain(reply)}`]),
    ].join("\r\n"),
  );
  return `${[ofMessage.join("\r\n"), ...ofEach].join("\r\n\r\n")}\r\n`;
}

/** RFC 3463 §2, where the reply has one. */
function enhancedStatus(reply: string): string | undefined {
  return /^\d{3}[ -]([245]\.\d{1,3}\.\d{1,3})\b/.exec(reply)?.[1];
}

/** One line, without what would be another or turn a terminal round. */
function plain(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Bidi_C}]/gu, " ").slice(0, 500);
}
