import { describe, expect, test } from "vitest";
import { parseDeliveryReport, parseDispositionReport, reportPart } from "./reports.ts";
import { scan } from "./scanner.ts";

const bytes = (text: string): Uint8Array => Buffer.from(text.replaceAll("\n", "\r\n"), "utf8");

describe("a delivery report", () => {
  test("tells of each recipient: RFC 3464's example, comments and folds", () => {
    const report = parseDeliveryReport(
      bytes(`Original-Envelope-Id: abc (ours)
Reporting-MTA: dns; cs.utk.edu

Original-Recipient: rfc822;louisl@larry.slip.umd.edu
Final-Recipient: rfc822; <l@slip.umd.edu>
Action: Failed (for good)
Status: 4.0.0
Diagnostic-Code: smtp; 426 connection
 timed out

Final-Recipient: utf-8; gr\\x{F6}\\x{DF}e@example.net
Action: delivered
Diagnostic-Code: x-unix; 550 no

Remark: nobody's
`),
    );
    expect(report).toEqual({
      envelopeId: "abc",
      recipients: [
        {
          originalRecipient: "louisl@larry.slip.umd.edu",
          finalRecipient: "l@slip.umd.edu",
          action: "failed",
          reply: "426 connection timed out",
        },
        { originalRecipient: undefined, finalRecipient: "größe@example.net", action: "delivered", reply: undefined },
      ],
    });
  });

  test("of nobody is none, and what has no end is bounded", () => {
    for (const text of ["", "\n\n", "Reporting-MTA: x\n", "Reporting-MTA: x\n\nFinal-Recipient: rfc822; a@b\n"])
      expect(parseDeliveryReport(bytes(text))).toBeUndefined();
    const many = bytes(`Reporting-MTA: x\n${"\nAction: failed\n".repeat(100_000)}`);
    expect(parseDeliveryReport(many)!.recipients).toHaveLength(999);
  });
});

describe("a disposition report", () => {
  test("tells what was done with a message", () => {
    expect(
      parseDispositionReport(
        bytes(`Reporting-UA: pc; Foomail
Original-Recipient: rfc822;b@example.net
Final-Recipient: rfc822; Böb@example.net
Original-Message-ID:  <1@example.com>
Disposition: manual-action / MDN-sent-manually; Displayed/error
Error: first
Error: second
X-Extra: more
`),
      ),
    ).toEqual({
      reportingUa: "pc; Foomail",
      gateway: undefined,
      originalRecipient: "b@example.net",
      finalRecipient: "Böb@example.net",
      originalMessageId: "1@example.com",
      disposition: { actionMode: "manual-action", sendingMode: "mdn-sent-manually", type: "displayed" },
      errors: ["first", "second"],
      extensions: [["X-Extra", "more"]],
    });
  });

  test("without a disposition is none", () => {
    for (const text of ["", "Final-Recipient: rfc822; a@b\n", "Disposition: displayed\n", "Disposition: a/b\n"])
      expect(parseDispositionReport(bytes(text))).toBeUndefined();
  });
});

test("the part that programs read is found in a report alone", () => {
  const message = (type: string, part: string) =>
    scan(
      bytes(`Content-Type: ${type}; boundary=x\n\n--x\n\ntext\n--x\nContent-Type: ${part}\n\nAction: failed\n--x--\n`),
    ).root;
  expect(reportPart(message("multipart/report", "message/delivery-status"))?.kind).toBe("delivery");
  expect(reportPart(message("multipart/report", "message/global-delivery-status"))?.kind).toBe("delivery");
  expect(reportPart(message("multipart/report", "message/disposition-notification"))?.kind).toBe("disposition");
  expect(reportPart(message("multipart/mixed", "message/delivery-status"))).toBeUndefined();
  expect(reportPart(message("multipart/report", "text/plain"))).toBeUndefined();
});
