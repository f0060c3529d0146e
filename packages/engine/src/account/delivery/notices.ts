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
    const messageId = `${id}@notice.restante.invalid`;
    await mail.ensure(path);
    const text = [
      `Date: ${new Date(platform.now()).toUTCString().replace("GMT", "+0000")}`,
      "From: Restante <restante@notice.restante.invalid>",
      `Subject: ${subject}`,
      `Message-ID: <${messageId}>`,
      "MIME-Version: 1.0",
      "Content-Type: text/plain; charset=utf-8",
      "",
      ...lines,
      "",
    ].join("\r\n");
    await messages.append(path, await messages.write(once(utf8(text)), { mailbox: path, flags: [] }));
    // Killed in between it is told twice, rather than never.
    await mail.writeRecords([{ type: NOTICE, id, value: new Uint8Array(0) }]);
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
