import { hexText } from "../../bay/entry.ts";
import { hash, utf8 } from "../../crypto/index.ts";
import type { Threads } from "../../mail/contents/threads.ts";
import type { Mail } from "../../mail/mail.ts";
import type { Platform } from "../platform.ts";
import type { MessageWriter } from "./message-writer.ts";

export interface NoticesOptions {
  readonly mail: Mail;
  readonly threads: Threads;
  readonly messages: MessageWriter;
  readonly platform: Platform;
}

/** Messages that the account itself writes to its owner, each told once: its Message-ID follows from what it tells. */
export class Notices {
  readonly #options: NoticesOptions;

  constructor(options: NoticesOptions) {
    this.#options = options;
  }

  /** Puts a message into the mailbox at `path`, which is made if need be, unless `about` was told before. */
  async tell(path: string, about: string, subject: string, lines: readonly string[]): Promise<void> {
    const { mail, threads, messages, platform } = this.#options;
    const messageId = `${hexText(hash(utf8(about)).subarray(0, 16))}@notice.restante.invalid`;
    if (await threads.knows(messageId)) return;
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
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
