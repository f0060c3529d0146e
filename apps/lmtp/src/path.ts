/** Characters of a path: RFC 5321 §4.5.3.1.3 has 256 octets, and mail servers send longer ones on. */
const PATH_CHARS_MAX = 1_000;
const QUOTED = /"(?:[^"\\]|\\.)*"/y;
/** A source route, which is passed over: RFC 5321 appendix C. */
const ROUTE = /^@[^\s,:@]+(?:,@[^\s,:@]+)*:/;
const CONTROLS = /[\u0000-\u001f\u007f-\u009f\u200b\u2060\ufeff]/;

export interface ReadPath {
  /** Without the angles; "" is nobody. */
  readonly address: string;
  /** Text behind the path, with the space before it. */
  readonly rest: string;
}

/**
 * The path of MAIL and RCPT (RFC 5321 §4.1.2) as mail servers send it, which is more than the grammar has: any octets between
 * angles but spaces and angles themselves, which a quoted string may have. Whoever refuses for good what a mail server already
 * took makes it bounce. Undefined for what is no path.
 */
export function readPath(text: string): ReadPath | undefined {
  const start = /^ *</.exec(text)?.[0].length;
  if (start === undefined) return undefined;
  let at = start;
  for (; at < text.length && text[at] !== ">"; at++) {
    if (text[at] === '"') {
      QUOTED.lastIndex = at;
      const quoted = QUOTED.exec(text);
      if (!quoted) return undefined;
      at += quoted[0].length - 1;
    } else if (text[at] === "<" || text[at] === " ") return undefined;
  }
  const rest = text.slice(at + 1);
  if (at === text.length || at - start > PATH_CHARS_MAX || !/^(?: |$)/.test(rest)) return undefined;
  const path = text.slice(start, at);
  return CONTROLS.test(path) ? undefined : { address: path.replace(ROUTE, ""), rest };
}
