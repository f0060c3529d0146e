import { composed } from "@restante/mime";

/** Case and compatibility forms don't count, nor do accents' ways of being written: i;unicode-casemap in spirit. */
export function fold(text: string): string {
  return composed(text, "NFKC").toLowerCase();
}

/** The same of a header's text: what a line was folded with is a space. */
export function foldField(text: string): string {
  return fold(text.replaceAll("\t", " "));
}
