const NOT_ASCII = /[^\x00-\x7f]/;

/** So many marks in a row are put in order together, as Unicode Annex 15 §13 advises: to order many takes steps by their
 * square, and a stranger's text may have a million on one letter. Those behind \p{M} come to marks by their compatibility
 * forms. */
const MARKS = /[\p{M}\u0e33\u0eb3\uff9e\uff9f]{30}/gu;

/** Case and compatibility forms don't count, nor do accents' ways of being written: i;unicode-casemap in spirit. */
export function fold(text: string): string {
  return NOT_ASCII.test(text) ? compose(text).toLowerCase() : text.toLowerCase();
}

function compose(text: string): string {
  let composed = "";
  let from = 0;
  for (const { 0: marks, index } of text.matchAll(MARKS)) {
    composed += text.slice(from, index + marks.length).normalize("NFKC");
    from = index + marks.length;
  }
  return composed + text.slice(from).normalize("NFKC");
}

/** The same of a header's text: what a line was folded with is a space. */
export function foldField(text: string): string {
  return fold(text.replaceAll("\t", " "));
}
