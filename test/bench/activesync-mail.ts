import type { LineClient } from "../kit/line-client.ts";

/** A mail of 2 to 6 KB, every second one HTML. */
export function mailOf(n: number, more = ""): string {
  const isHtml = n % 2 === 1;
  const line = "Lorem ipsum dolor sit amet, consetetur sadipscing elitr, sed diam nonumy eirmod tempor.\r\n";
  const words = (isHtml ? `<p>${line}</p>` : line).repeat(18 + ((n * 7) % 45));
  return [
    `From: "Person ${n % 97}" <p${n % 97}@example.net>`,
    "To: demo@example.org",
    `Subject: mail number ${n} about things`,
    `Message-ID: <${n}@bench>`,
    "Date: Mon, 30 Nov 2026 10:00:00 +0000",
    "MIME-Version: 1.0",
    `Content-Type: text/${isHtml ? "html" : "plain"}; charset=utf-8`,
    more,
    isHtml ? `<html><head><style>p { margin: 0 }</style></head><body>${words}</body></html>` : words,
  ].join("\r\n");
}

/** Appends mails to INBOX, fifty by one command. */
export async function append(client: LineClient, mails: readonly string[]): Promise<void> {
  for (let at = 0; at < mails.length; at += 50)
    await client.command(
      `APPEND INBOX${mails
        .slice(at, at + 50)
        .map((mail) => ` {${Buffer.byteLength(mail)}+}\r\n${mail}`)
        .join("")}`,
    );
}

/** The value below which so much of them lie. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!;
}
