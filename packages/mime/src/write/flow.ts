/** Characters of one line: RFC 3676 §4.2. */
const LINE_CHARS = 78;

/**
 * Text whose paragraphs are lines, as format=flowed: RFC 3676 §4. Long lines are broken behind spaces, and a reader joins them
 * again. Spaces before a line's end go, as §4.2 asks, but for the signature's "-- ". Lines that begin with `>` are quotes:
 * what is broken off them is quoted as deeply. Line ends are CRLF.
 */
export function flow(text: string): string {
  return text
    .split("\r\n")
    .map((line) => flowLine(line).join("\r\n"))
    .join("\r\n");
}

function flowLine(line: string): string[] {
  const [quote] = /^>*/.exec(line)!;
  const rest = line.slice(quote.length);
  // A quote's first space is its reader's: it would be taken for stuffing.
  const space = quote !== "" && rest.startsWith(" ") ? " " : "";
  const content = rest.slice(space.length);
  if (content === SIGNATURE) return [quote + space + content];
  const trimmed = trimSpaces(content);
  if (trimmed === "") return [quote];
  const lines: string[] = [];
  for (let at = 0; at < trimmed.length; ) {
    const stuffing = space === "" && needsStuffing(trimmed, at) ? " " : space;
    const end = breakAfter(trimmed, at, LINE_CHARS - quote.length - stuffing.length);
    lines.push(quote + stuffing + trimmed.slice(at, end));
    at = end;
  }
  return lines;
}

const SIGNATURE = "-- ";

function trimSpaces(text: string): string {
  let end = text.length;
  while (text[end - 1] === " ") end--;
  return text.slice(0, end);
}

/** RFC 3676 §4.4. */
function needsStuffing(text: string, at: number): boolean {
  return text[at] === " " || text[at] === ">" || text.startsWith("From ", at);
}

/** Where a line that begins at `at` is broken: behind a space, the last one that is near enough. */
function breakAfter(text: string, at: number, charsMax: number): number {
  if (text.length - at <= charsMax) return text.length;
  for (let end = at + charsMax; end > at; end--) if (isBreak(text, at, end)) return end;
  for (let end = at + charsMax + 1; end < text.length; end++) if (isBreak(text, at, end)) return end;
  return text.length;
}

/** A line of "-- " alone would be taken for the beginning of a signature: RFC 3676 §4.3. */
function isBreak(text: string, at: number, end: number): boolean {
  return text[end - 1] === " " && text.slice(at, end) !== SIGNATURE;
}
