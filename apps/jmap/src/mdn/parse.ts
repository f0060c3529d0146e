import { type Body, partBody } from "@restante/engine";
import {
  type DispositionReport,
  decodeCharset,
  decodeParameter,
  decodeUnstructured,
  findHeader,
  type Part,
  parseDispositionReport,
  parseHeaders,
  reportPart,
} from "@restante/mime";
import { blobsOf } from "../blob/open.ts";
import { MDN } from "../core/capabilities.ts";
import { idsOf } from "../core/get.ts";
import { type Context, type Method, method } from "../core/method.ts";
import { ID, list, required } from "../core/types.ts";
import { scanned } from "../email/parse.ts";
import { jsonText } from "../email/text.ts";
import { typed } from "./send.ts";

/** Octets of the part that programs read, and of the text that people do. */
const REPORT_BYTES_MAX: number = 64 * 1024;
const TEXT_BYTES_MAX: number = 256 * 1024;

/** RFC 9007 §2.2. */
export const mdnParse: Method = method(
  "MDN/parse",
  MDN,
  { accountId: required(ID), blobIds: required(list(ID)) },
  async ({ accountId, blobIds }, context) => {
    const blobs = blobsOf(context.session, context);
    const parsed: [string, Readonly<Record<string, unknown>>][] = [];
    const notParsable: string[] = [];
    const notFound: string[] = [];
    for (const blobId of idsOf(blobIds, context)) {
      context.signal.throwIfAborted();
      const body = await blobs.open(blobId);
      const told = body && (await tell(body, context));
      if (told) parsed.push([blobId, told]);
      else (body ? notParsable : notFound).push(blobId);
    }
    const orNull = (ids: readonly string[]) => (ids.length === 0 ? null : ids);
    return {
      accountId,
      parsed: parsed.length === 0 ? null : Object.fromEntries(parsed),
      notParsable: orNull(notParsable),
      notFound: orNull(notFound),
    };
  },
);

/** Undefined for what is no report of this kind. */
async function tell(body: Body, context: Context): Promise<Readonly<Record<string, unknown>> | undefined> {
  const structure = await scanned(body, context);
  const { root } = structure;
  const found = reportPart(root);
  if (found?.kind !== "disposition") return undefined;
  const report = parseDispositionReport(await contentOf(found.part, body, REPORT_BYTES_MAX));
  if (!report) return undefined;
  const subject = findHeader(parseHeaders(structure.header), "subject");
  const text = root.children.find((part) => part.type === "text");
  return {
    forEmailId: null,
    subject: subject === undefined ? null : jsonText(decodeUnstructured(subject)),
    textBody: text ? jsonText(decoded(text, await contentOf(text, body, TEXT_BYTES_MAX))) : null,
    includeOriginalMessage: root.children.some(({ type, subtype }) => type === "message" && subtype === "rfc822"),
    ...objectOf(report),
  };
}

function objectOf({ originalRecipient, finalRecipient, originalMessageId, ...report }: DispositionReport) {
  const { reportingUa = null, gateway = null, disposition, errors, extensions } = report;
  const { actionMode, sendingMode, type } = disposition;
  return {
    reportingUA: reportingUa,
    disposition: { actionMode, sendingMode, type },
    mdnGateway: gateway,
    originalRecipient: originalRecipient === undefined ? null : typed(originalRecipient),
    finalRecipient: finalRecipient === undefined ? null : typed(finalRecipient),
    originalMessageId: originalMessageId === undefined ? null : `<${originalMessageId}>`,
    error: errors.length > 0 ? errors : null,
    extensionFields: extensions.length > 0 ? Object.fromEntries(extensions) : null,
  };
}

async function contentOf(part: Part, whole: Body, bytesMax: number): Promise<Uint8Array> {
  const body = partBody(part, whole);
  const bytes = new Uint8Array(Math.min(body.size, bytesMax));
  let at = 0;
  for await (const piece of body.read(0, bytes.length)) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes.subarray(0, at);
}

function decoded({ parameters }: Part, bytes: Uint8Array): string {
  const charset = decodeParameter(parameters, "charset")?.toLowerCase() ?? "utf-8";
  return decodeCharset(bytes, charset === "us-ascii" ? "utf-8" : charset).text;
}
