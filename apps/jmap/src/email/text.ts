/** Text as it may stand in I-JSON (RFC 7493 §2.1, which RFC 8620 §1.5 asks for): no lone surrogates, no noncharacters. */
export function jsonText(text: string): string {
  if (!NOT_ASCII.test(text)) return text;
  return text.toWellFormed().replace(NONCHARACTER, "\ufffd");
}

const NOT_ASCII = /[^\x00-\x7f]/;
const NONCHARACTER = /\p{Noncharacter_Code_Point}/gu;
