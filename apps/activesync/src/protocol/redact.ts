import type { Element } from "wbxml";

/** Characters of one document in a trace. */
const CHARS_MAX = 4096;
/** Numbers, and what the server made of numbers: SyncKeys, ServerIds, statuses. */
const PLAIN = /^[\d:]{1,24}$/;
const UTF8 = new TextDecoder();

/** A document for a trace: its tags, and numbers; of all other texts the length. */
export function redactElement(root: Element): string {
  let left = CHARS_MAX;
  const parts: string[] = [];
  const say = (text: string): void => {
    left -= text.length;
    parts.push(text);
  };
  // As deep as what was decoded, which has its own bound.
  const write = ({ tag, children, content }: Element, page: string): void => {
    if (left <= 0) return;
    const [own = "", name = ""] = tag.split(":");
    say(`<${own === page ? name : tag}>`);
    if (content !== null) say(redactText(content));
    for (const child of children) write(child, own);
    say("</>");
  };
  write(root, "");
  return left <= 0 ? `${parts.join("").slice(0, CHARS_MAX)}…` : parts.join("");
}

function redactText(content: Uint8Array | string): string {
  if (content.length > 24) return `[${content.length}]`;
  const text = typeof content === "string" ? content : UTF8.decode(content);
  return PLAIN.test(text) ? text : `[${content.length}]`;
}
