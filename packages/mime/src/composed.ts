/** So many marks on one letter no writing has: Unicode's Stream-Safe Text (Annex 15, §13) cuts there too. Composing takes time by
 * the square of them. */
const MARKS = /[\p{M}\u0e33\u0eb3\uff9e\uff9f]{30}/gu;
const NOT_ASCII = /[^\x00-\x7f]/;

/** Text in Unicode's form NFC or NFKC, in time by its length, whatever a stranger has piled up in it. */
export function composed(text: string, form: "NFC" | "NFKC" = "NFC"): string {
  if (!NOT_ASCII.test(text)) return text;
  let out = "";
  let from = 0;
  for (const { 0: marks, index } of text.matchAll(MARKS)) {
    out += text.slice(from, index + marks.length).normalize(form);
    from = index + marks.length;
  }
  return out + text.slice(from).normalize(form);
}
