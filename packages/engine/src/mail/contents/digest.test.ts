import { scan } from "@restante/mime";
import { expect, test } from "vitest";
import { bytes } from "../../testing/account-kit.ts";
import { digest } from "./digest.ts";
import { decodeSummary, previewOf } from "./summary.ts";

const part = "--b\r\nContent-Type: application/pdf; name=x\r\n\r\nx\r\n";
const manyParts = (count: number) =>
  scan(bytes(`Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n${part.repeat(count)}--b--\r\n`));

test("a digest of many parts lets others have their turn; it is the same as one made at once", async () => {
  const breathsOf = async (count: number): Promise<number> => {
    let breaths = 0;
    const breathe = async (): Promise<void> => void breaths++;
    const structure = manyParts(count);
    expect(await digest(structure, 0, breathe)).toEqual(await digest(structure, 0));
    return breaths;
  };
  expect(await breathsOf(1)).toBe(0);
  expect(await breathsOf(900)).toBeGreaterThanOrEqual(900 / 32 - 1);
});

test("a summary says what lists show: text, whether it is HTML, sizes, attachments", async () => {
  const mail =
    "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: multipart/alternative; boundary=c\r\n\r\n" +
    "--c\r\n\r\nGrüße\r\n aus Berlin\r\n--c\r\nContent-Type: text/html\r\n\r\n<p>Grüße\r\n--c--\r\n" +
    "--b\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\nQUJDRA==\r\n--b--\r\n";
  const summary = decodeSummary((await digest(scan(bytes(mail)), 0)).summary);
  expect(summary).toMatchObject({
    format: 2,
    text: { start: "Grüße\r\n aus Berlin", isWhole: true, octets: 20, isHtml: true },
    hasAttachment: true,
    headerWhole: true,
  });
  expect(summary.format === 2 && [...summary.partOctets]).toEqual([0, 0, 0, 0, 4]);
  expect(previewOf(summary)).toBe("Grüße aus Berlin");
});

test("a header of which a part is kept is told of as such", async () => {
  for (const [length, isWhole] of [
    [60_000, true],
    [70_000, false],
  ] as const) {
    const { summary, header } = await digest(scan(bytes(`X: ${"x".repeat(length)}\r\n\r\n`)), 0);
    expect(decodeSummary(summary).headerWhole).toBe(isWhole);
    expect(header.length).toBe(Math.min(length + 8, 65_537));
  }
});
