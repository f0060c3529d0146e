import type { Message } from "@restante/engine";
import { HeaderBlock } from "@restante/mime";
import { expect, test } from "vitest";
import type { Context } from "../context.ts";
import { findByMessageId } from "./drafts.ts";

const ID = "0123abcd@example.org";

function find(...headers: readonly string[]): Promise<Message | undefined> {
  const blocks = headers.map((header) => new HeaderBlock(Buffer.from(`${header}\r\n\r\n`)));
  const context = { session: { readHeaders: async () => blocks } } as unknown as Context;
  const messages = headers.map((header) => ({ header }) as unknown as Message);
  return findByMessageId(context, messages, ID);
}

test.each([[`Message-ID: <${ID}>`], [`message-id:\r\n <${ID}>`], [`Message-ID: (of a phone) <${ID}>`]])(
  "%j is a draft's Message-ID",
  async (header) => {
    expect(await find("Message-ID: <other@example.org>", header)).toEqual({ header });
  },
);

test.each([
  [`Message-ID: <x${ID}>`],
  [`Message-ID: <${ID}.example.com>`],
  [`Message-ID: <other@example.org> (${ID})`],
  [`Message-ID: (<${ID}>) <other@example.org>`],
  [`Message-ID: ${ID}`],
  [`Message-ID: <other@example.org> <${ID}>`],
  [`In-Reply-To: <${ID}>`],
])("%j is another's", async (header) => {
  expect(await find(header)).toBeUndefined();
});
