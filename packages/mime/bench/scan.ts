/** Speed of the scanner: `node bench/scan.ts`. Large mails in MB/s; small ones with their IMAP strings in mails/s. */
import { formatBodyStructure, formatEnvelope, scan } from "../src/index.ts";

const header = (type: string): string =>
  `Received: from a.example (a.example [192.0.2.1]) by b.example\r\n\twith ESMTPS id 1234 for <me@example.org>; Tue, 3 Nov 2026 10:00:00 +0100\r\nDKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=x;\r\n\th=from:to:subject:date; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;\r\n\tb=${"abcd".repeat(80)}\r\nFrom: =?utf-8?Q?J=C3=BCrgen?= <j@example.org>\r\nTo: me@example.org, "Some One" <some.one@example.net>\r\nSubject: =?utf-8?B?R3LDvMOfZQ==?= aus Berlin\r\nMessage-ID: <abc.def@example.org>\r\nReferences: <a@x> <b@x> <c@x>\r\nDate: Tue, 3 Nov 2026 10:00:00 +0100\r\nMIME-Version: 1.0\r\nContent-Type: ${type}\r\n\r\n`;
const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const base64 =
  `${"QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5ejAx".padEnd(76, "=")}\r\n`.repeat(20_000);
const large = encode(
  `${header("multipart/mixed; boundary=outer")}--outer\r\nContent-Type: text/plain\r\n\r\n${"Some words of text in a line.\r\n".repeat(50)}--outer\r\nContent-Type: application/pdf; name=x.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n${base64}--outer--\r\n`,
);
const small = encode(
  `${header("multipart/alternative; boundary=inner")}--inner\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n${"Words and words.\r\n".repeat(30)}--inner\r\nContent-Type: text/html; charset=utf-8\r\n\r\n${"<p>Words and words.</p>\r\n".repeat(30)}--inner--\r\n`,
);

function rate(seconds: number, run: () => void): number {
  run();
  const start = performance.now();
  let count = 0;
  while (performance.now() - start < seconds * 1000) {
    run();
    count++;
  }
  return (count / (performance.now() - start)) * 1000;
}

const scans = rate(2, () => scan(large));
console.log(
  `structure of a mail of ${(large.length / 1e6).toFixed(1)} MB: ${((scans * large.length) / 1e6).toFixed(0)} MB/s`,
);
const mails = rate(2, () => {
  const structure = scan(small);
  formatEnvelope(structure.fields);
  formatBodyStructure(structure.root);
});
console.log(`structure, ENVELOPE and BODYSTRUCTURE of a mail of ${small.length} bytes: ${mails.toFixed(0)} mails/s`);
