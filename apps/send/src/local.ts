import type { OutgoingMail, Transport, TransportReply } from "@restante/engine";
import { EngineError } from "@restante/engine";

export interface LocalTransportOptions {
  /** Puts a mail into the mailbox of an address; resolves with whether there is one. Errors: the engine's. */
  readonly deliver: (address: string, mailFrom: string, message: AsyncIterable<Uint8Array>) => Promise<boolean>;
}

/** Of one whose turn did not come before the exchange was cut off. */
const CUT_OFF: TransportReply = { state: "waiting", reply: "451 4.3.0 Try again later" };

/** Where there is no smarthost: those who have a mailbox here get their mail, and nobody else. */
export class LocalTransport implements Transport {
  readonly #options: LocalTransportOptions;

  constructor(options: LocalTransportOptions) {
    this.#options = options;
  }

  async send(mail: OutgoingMail, signal: AbortSignal): Promise<readonly TransportReply[]> {
    const replies: TransportReply[] = [];
    for (const { address } of mail.envelope.recipients)
      replies.push(signal.aborted ? CUT_OFF : await this.#deliver(address, mail));
    return replies;
  }

  async #deliver(address: string, mail: OutgoingMail): Promise<TransportReply> {
    try {
      if (await this.#options.deliver(address, mail.envelope.mailFrom, mail.read()))
        return { state: "sent", reply: "250 2.1.5 Delivered here" };
      return { state: "failed", reply: "550 5.1.1 Nobody has this address here, and mail goes nowhere else" };
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      const isFull = error.code === "over-quota";
      return { state: "waiting", reply: isFull ? "452 4.2.2 The mailbox is full" : "451 4.3.0 Try again later" };
    }
  }
}
