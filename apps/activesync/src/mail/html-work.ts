import { stripHtml } from "@restante/mime";
import { safeHtml } from "./safe-html.ts";

/** What is made of HTML: a page that is safe to show, or its text. The thread has no more than this. */
export type HtmlWork = "clean" | "strip";
export const HTML_WORK: Readonly<Record<HtmlWork, (html: string) => string>> = { clean: safeHtml, strip: stripHtml };
