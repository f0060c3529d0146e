import type { Parameter } from "./parameters.ts";
import type { Part } from "./scanner.ts";

/** Parts of a message as a reader shows them: RFC 8621 §4.1.4. */
export interface BodyParts {
  readonly textBody: readonly Part[];
  readonly htmlBody: readonly Part[];
  readonly attachments: readonly Part[];
}

/** A list that parts are put into; none where another form of the same was found. */
type List = Part[] | undefined;

/** The lists of RFC 8621 §4.1.4, by the algorithm that it gives. */
export function bodyParts(root: Part): BodyParts {
  const lists = { textBody: [] as Part[], htmlBody: [] as Part[], attachments: [] as Part[] };
  sort([root], "mixed", false, lists.htmlBody, lists.textBody, lists.attachments);
  return lists;
}

function sort(
  parts: readonly Part[],
  around: string,
  inAlternative: boolean,
  html: List,
  text: List,
  attachments: Part[],
): void {
  const [texts, htmls] = [text?.length ?? -1, html?.length ?? -1];
  for (const [at, part] of parts.entries()) {
    if (part.kind === "multipart")
      sort(part.children, part.subtype, inAlternative || part.subtype === "alternative", html, text, attachments);
    else if (!isInline(part, at, around)) attachments.push(part);
    else if (around === "alternative")
      (isText(part, "plain") ? text : isText(part, "html") ? html : attachments)?.push(part);
    else {
      if (inAlternative && isText(part, "plain")) html = undefined;
      if (inAlternative && isText(part, "html")) text = undefined;
      text?.push(part);
      html?.push(part);
      if ((!text || !html) && isMedia(part)) attachments.push(part);
    }
  }
  if (around !== "alternative" || !text || !html) return;
  // Where there is one form alone it stands for the other too.
  if (texts === text.length && htmls !== html.length) text.push(...html.slice(htmls));
  else if (htmls === html.length && texts !== text.length) html.push(...text.slice(texts));
}

function isInline(part: Part, at: number, around: string): boolean {
  if (part.disposition?.value === "attachment") return false;
  if (!isText(part, "plain") && !isText(part, "html") && !isMedia(part)) return false;
  return at === 0 || (around !== "related" && (isMedia(part) || !isNamed(part)));
}

/** Whether it has a file name, in whatever form: RFC 2231 §3 and §4 too. */
function isNamed({ disposition, parameters }: Part): boolean {
  const has = (list: readonly Parameter[] = [], wanted: string): boolean =>
    list.some(({ name }) => name === wanted || name.startsWith(`${wanted}*`));
  return has(disposition?.parameters, "filename") || has(parameters, "name");
}

function isText({ type, subtype }: Part, wanted: "plain" | "html"): boolean {
  return type === "text" && subtype === wanted;
}

function isMedia({ type }: Part): boolean {
  return type === "image" || type === "audio" || type === "video";
}

/**
 * RFC 8621 §4.1.4 (hasAttachment), as it advises: there is an attachment whose Content-Disposition is not inline. An image
 * that has a Content-ID and no disposition is none: it is there to be shown within the HTML.
 */
export function hasAttachment({ attachments }: BodyParts): boolean {
  return attachments.some(
    ({ disposition, type, id }) =>
      disposition?.value !== "inline" && !(type === "image" && id !== undefined && disposition === undefined),
  );
}

/** Whether a reader that shows HTML is given some: the message was written as HTML, whatever else it has. */
export function isHtml({ htmlBody }: BodyParts): boolean {
  return htmlBody.some((part) => isText(part, "html"));
}
