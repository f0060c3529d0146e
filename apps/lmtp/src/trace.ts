/** The fields that final delivery puts before a message: RFC 5321 §4.4. */
export interface Trace {
  readonly from: string;
  readonly recipient: string;
  /** The name that the client gave in LHLO; `address` is its network address. */
  readonly client: string;
  readonly address: string;
  readonly server: string;
  readonly id: string;
  readonly time: Date;
}

export function formatTrace({ from, recipient, client, address, server, id, time }: Trace): Uint8Array {
  const place = address === "" ? "" : ` ([${address}])`;
  const lines = [
    `Return-Path: <${clean(from)}>`,
    `Delivered-To: ${clean(recipient)}`,
    `Received: from ${clean(client) || "unknown"}${place}`,
    `\tby ${clean(server)} with LMTP id ${id}`,
    `\tfor <${clean(recipient)}>; ${time.toUTCString().replace("GMT", "+0000")}`,
  ];
  return new TextEncoder().encode(lines.map((line) => `${line}\r\n`).join(""));
}

/** A client's text for a header line: without line ends and control characters. */
function clean(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f]/g, "");
}
