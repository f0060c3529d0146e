import { stripHtml } from "@restante/mime";
import { safeHtml } from "./safe-html.ts";

/** Conversions of HTML, which are all that the thread runs: `clean` makes a page that is safe to show, `strip` its text. */
export type HtmlWork = "clean" | "strip";
export const HTML_WORK: Readonly<Record<HtmlWork, (html: string) => string>> = { clean: safeHtml, strip: stripHtml };
