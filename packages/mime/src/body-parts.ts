import type { Parameter } from "./parameters.ts";
import type { Part } from "./scanner.ts";

/** Properties by which a part's list is chosen. */
type Shown = Pick<Part, "kind" | "type" | "subtype" | "parameters" | "id" | "disposition">;
type ShownTree<P> = Shown & { readonly children: readonly P[] };

/** Parts of a message as a reader shows them: RFC 8621 §4.1.4. */
export interface BodyParts<P extends Shown = Part> {
  readonly textBody: readonly P[];
  readonly htmlBody: readonly P[];
  readonly attachments: readonly P[];
}

/** The lists of RFC 8621 §4.1.4, by the algorithm that it gives. */
export function bodyParts<P extends ShownTree<P>>(root: P): BodyParts<P> {
  const lists = { textBody: [] as P[], htmlBody: [] as P[], attachments: [] as P[] };
  sort([root], "mixed", false, lists.htmlBody, lists.textBody, lists.attachments);
  return lists;
}

/** A list is none where another form of the same was found. */
function sort<P extends ShownTree<P>>(
  parts: readonly P[],
  around: string,
  inAlternative: boolean,
  html: P[] | undefined,
  text: P[] | undefined,
  attachments: P[],
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

function isInline(part: Shown, at: number, around: string): boolean {
  if (part.disposition?.value === "attachment") return false;
  if (!isText(part, "plain") && !isText(part, "html") && !isMedia(part)) return false;
  return at === 0 || (around !== "related" && (isMedia(part) || !isNamed(part)));
}

/** True for a part with a file name, in whatever form: RFC 2231 §3 and §4 too. */
function isNamed({ disposition, parameters }: Shown): boolean {
  const has = (list: readonly Parameter[] = [], wanted: string): boolean =>
    list.some(({ name }) => name === wanted || name.startsWith(`${wanted}*`));
  return has(disposition?.parameters, "filename") || has(parameters, "name");
}

function isText({ type, subtype }: Shown, wanted: "plain" | "html"): boolean {
  return type === "text" && subtype === wanted;
}

function isMedia({ type }: Shown): boolean {
  return type === "image" || type === "audio" || type === "video";
}

/**
 * RFC 8621 §4.1.4 (hasAttachment), as it advises: there is an attachment whose Content-Disposition is not inline. An image
 * that has a Content-ID and no disposition is none: it is there to be shown within the HTML.
 */
export function hasAttachment({ attachments }: BodyParts<Shown>): boolean {
  return attachments.some(
    ({ disposition, type, id }) =>
      disposition?.value !== "inline" && !(type === "image" && id !== undefined && disposition === undefined),
  );
}

/** True if a reader that shows HTML gets some: the message was written as HTML, whatever else it has. */
export function isHtml({ htmlBody }: BodyParts<Shown>): boolean {
  return htmlBody.some((part) => isText(part, "html"));
}
