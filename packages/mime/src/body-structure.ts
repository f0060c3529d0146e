/** Reads BODYSTRUCTURE back: a list of strings, numbers, NIL and lists. */
export type Structured = string | number | undefined | readonly Structured[];

const WORD = /[^ ()"]+/y;
const PLAIN = /[^"\\]*/y;

/** Throws RangeError on text that `formatBodyStructure` does not make. */
export function parseStructured(text: string): Structured {
  let at = 0;
  function value(): Structured {
    const char = text[at];
    if (char === "(") return list();
    if (char === '"') return quoted();
    WORD.lastIndex = at;
    const match = WORD.exec(text)?.[0];
    if (match === undefined) throw new RangeError("not a structure");
    at += match.length;
    return match === "NIL" ? undefined : Number(match);
  }
  function list(): Structured[] {
    const items: Structured[] = [];
    at++;
    while (text[at] !== ")") {
      if (at >= text.length) throw new RangeError("structure ends early");
      if (text[at] === " ") at++;
      else items.push(value());
    }
    at++;
    return items;
  }
  function quoted(): string {
    let out = "";
    for (at++; ; ) {
      PLAIN.lastIndex = at;
      const [plain] = PLAIN.exec(text)!;
      at += plain.length;
      out += plain;
      if (text[at] === '"') break;
      // A backslash and what it stands before.
      if (at + 1 >= text.length) throw new RangeError("structure ends early");
      out += text[at + 1];
      at += 2;
    }
    at++;
    return out;
  }
  const result = value();
  if (at !== text.length) throw new RangeError("text behind the structure");
  return result;
}

/** BODY out of BODYSTRUCTURE: the same without extension data, RFC 9051 §7.5.2. */
export function bodyFromBodyStructure(text: string): string {
  return formatBasic(parseStructured(text));
}

function formatBasic(part: Structured): string {
  if (!isList(part)) throw new RangeError("not a part");
  if (isList(part[0]) || typeof part[0] !== "string") {
    let count = part.findIndex((item) => !isList(item));
    if (count < 0) count = part.length;
    const children = part.slice(0, count);
    return `(${children.map(formatBasic).join("")} ${format(part[count])})`;
  }
  const isMessage = part[0] === "message" && isList(part[7]);
  const basic = part.slice(0, isMessage ? 10 : part[0] === "text" ? 8 : 7);
  return `(${basic.map((item, index) => (isMessage && index === 8 ? formatBasic(item) : format(item))).join(" ")})`;
}

function isList(value: Structured): value is readonly Structured[] {
  return Array.isArray(value);
}

function format(value: Structured): string {
  if (value === undefined) return "NIL";
  if (typeof value === "number") return String(value);
  if (typeof value === "string") return `"${value.replace(/["\\]/g, "\\$&")}"`;
  // Addresses stand side by side, parameters with spaces between: RFC 9051 §9.
  return `(${value.map(format).join(value.every(isList) && value.length > 0 ? "" : " ")})`;
}
