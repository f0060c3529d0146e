import { compose } from "@restante/mime";
import { hexText } from "../../bay/entry.ts";
import { hash, utf8 } from "../../crypto/index.ts";
import type { Mail } from "../../mail/mail.ts";
import type { Platform } from "../platform.ts";
import type { MessageWriter } from "./message-writer.ts";

export interface NoticesOptions {
  readonly mail: Mail;
  readonly messages: MessageWriter;
  readonly platform: Platform;
}

/** Records of what was told. A mail can't pretend that something was: any stranger may write any Message-ID. */
const NOTICE = "notice";
const DOMAIN = "notice.restante.invalid";

/** Messages that the account itself writes to its owner, each told once. */
export class Notices {
  readonly #options: NoticesOptions;

  constructor(options: NoticesOptions) {
    this.#options = options;
  }

  /** Puts a message into the mailbox at `path`, which is made if need be, unless `about` was told before. */
  async tell(path: string, about: string, subject: string, lines: readonly string[]): Promise<void> {
    const { mail, messages, platform } = this.#options;
    const id = hexText(hash(utf8(about)).subarray(0, 16));
    if (mail.state.records.find(NOTICE, id)) return;
    await mail.ensure(path);
    const message = compose(
      {
        headers: [
          { name: "From", form: "addresses", value: [{ name: "Restante", email: `restante@${DOMAIN}` }] },
          { name: "Subject", form: "text", value: subject },
          { name: "Message-ID", form: "messageIds", value: [`${id}@${DOMAIN}`] },
        ],
        body: { kind: "text", text: [...lines, ""].join("\r\n") },
      },
      {
        now: () => ({ timeMs: platform.now(), zoneMinutes: 0 }),
        random: platform.crypto.random,
        domain: DOMAIN,
      },
    );
    await messages.append(mail.getMailbox(path).id, await messages.write(message.read(), { mailbox: path, flags: [] }));
    // Killed in between it is told twice, rather than never.
    await mail.writeRecords([{ type: NOTICE, id, value: new Uint8Array(0) }]);
  }
}
