import { decodeRaw } from "./binary.ts";
import { decodeWords } from "./encoded-words.ts";
import { ADDRESSES_MAX } from "./limits.ts";
import { commentEnd, readQuoted, trimSpace } from "./tokens.ts";

/** An address as RFC 5322 §3.4 has it. Texts are binary, as they are written; `displayName` decodes. */
export interface Mailbox {
  readonly kind: "mailbox";
  readonly name: string | undefined;
  /** `@a,@b`: RFC 5322 §4.4, obsolete. */
  readonly route: string | undefined;
  readonly local: string;
  readonly domain: string;
}
export interface Group {
  readonly kind: "group";
  readonly name: string;
  readonly members: readonly Mailbox[];
}
export type Address = Mailbox | Group;

/** A name as Unicode. */
export function displayName(name: string): string {
  return decodeWords(name);
}

type Token =
  | { readonly kind: "word"; readonly text: string; readonly quoted: boolean; readonly spaced: boolean }
  | { readonly kind: "comment"; readonly text: string }
  | { readonly kind: "special"; readonly text: string };

const SPECIALS = new Set(["<", ">", "@", ",", ";", ":", "."]);

function* tokens(text: string): Generator<Token> {
  let spaced = false;
  for (let at = 0; at < text.length; ) {
    const char = text[at]!;
    if (char === " " || char === "\t" || char === "\r" || char === "\n") {
      spaced = true;
      at++;
      continue;
    }
    if (char === "(") {
      const end = commentEnd(text, at);
      yield { kind: "comment", text: trimSpace(text.slice(at + 1, end - (text[end - 1] === ")" ? 1 : 0))) };
      spaced = true;
      at = end;
      continue;
    }
    if (char === '"') {
      const quoted = readQuoted(text, at);
      yield { kind: "word", text: quoted.value, quoted: true, spaced };
      at = quoted.end;
    } else if (char === "[") {
      const close = text.indexOf("]", at);
      const end = close < 0 ? text.length : close + 1;
      yield { kind: "word", text: text.slice(at, end), quoted: false, spaced };
      at = end;
    } else if (SPECIALS.has(char)) {
      yield { kind: "special", text: char };
      at++;
    } else {
      const start = at;
      while (at < text.length && !SPECIALS.has(text[at]!) && !' \t\r\n("'.includes(text[at]!)) at++;
      yield { kind: "word", text: text.slice(start, at), quoted: false, spaced };
    }
    spaced = false;
  }
}

/** Addresses of a field. Never throws: what is no address becomes one with an empty domain, or is passed over. */
export function parseAddresses(value: string): Address[] {
  const reader = new AddressReader([...tokens(value)]);
  return reader.readAll();
}

class AddressReader {
  readonly #tokens: readonly Token[];
  #at = 0;
  #count = 0;

  constructor(all: readonly Token[]) {
    this.#tokens = all;
  }

  #special(): string | undefined {
    const token = this.#tokens[this.#at];
    return token?.kind === "special" ? token.text : undefined;
  }

  readAll(): Address[] {
    const addresses: Address[] = [];
    while (this.#at < this.#tokens.length && this.#count < ADDRESSES_MAX) {
      const address = this.#readAddress(true);
      if (address) addresses.push(address);
      // A separator, or a token that no address can begin with.
      if (this.#special() !== undefined) this.#at++;
    }
    return addresses;
  }

  #readAddress(groups: boolean): Address | undefined {
    this.#count++;
    const words: { text: string; quoted: boolean; spaced: boolean }[] = [];
    let comment: string | undefined;
    for (; ; this.#at++) {
      const token = this.#tokens[this.#at];
      if (!token) break;
      if (token.kind === "comment") comment = token.text;
      else if (token.kind === "word") words.push({ ...token });
      else if (token.text === ".") words.push({ text: ".", quoted: false, spaced: false });
      else if (token.text === "<") return this.#readAngle(phrase(words));
      else if (token.text === "@") return this.#readDomain(words, comment);
      else if (token.text === ":" && groups) return this.#readGroup(phrase(words));
      else break;
    }
    this.#skipComments((text) => {
      comment = text;
    });
    if (words.length === 0) return undefined;
    const text = phrase(words);
    // Several words are a person's name; one may be a mailbox of this host.
    if (words.length > 1 ? words.some(({ spaced }, at) => at > 0 && spaced) : text.includes(" "))
      return { kind: "mailbox", name: text, route: undefined, local: "", domain: "" };
    return { kind: "mailbox", name: comment, route: undefined, local: text, domain: "" };
  }

  #skipComments(found: (text: string) => void): void {
    for (let token = this.#tokens[this.#at]; token?.kind === "comment"; token = this.#tokens[++this.#at])
      found(token.text);
  }

  /** `<[route:]local@domain>`; what follows up to the next separator is passed over. */
  #readAngle(name: string): Mailbox {
    this.#at++;
    let route: string | undefined;
    if (this.#special() === "@") route = this.#readRoute();
    let local = "";
    let domain = "";
    let inDomain = false;
    for (; ; this.#at++) {
      const token = this.#tokens[this.#at];
      if (!token || (token.kind === "special" && (token.text === ">" || token.text === ","))) break;
      if (token.kind === "comment") continue;
      if (token.kind === "special" && token.text === "@" && !inDomain) inDomain = true;
      else if (inDomain) domain += token.text;
      else local += token.text;
    }
    if (this.#special() === ">") this.#at++;
    while (this.#at < this.#tokens.length && this.#special() !== "," && this.#special() !== ";") this.#at++;
    return { kind: "mailbox", name: name === "" ? undefined : name, route, local, domain };
  }

  #readRoute(): string {
    let route = "";
    for (; ; this.#at++) {
      const token = this.#tokens[this.#at];
      if (!token || (token.kind === "special" && (token.text === ":" || token.text === ">"))) break;
      if (token.kind !== "comment") route += token.text;
    }
    if (this.#special() === ":") this.#at++;
    return route;
  }

  #readDomain(words: readonly { text: string }[], before: string | undefined): Mailbox {
    this.#at++;
    let domain = "";
    // A word may follow. The flag saves a look at the text, which would copy it each time that it has grown.
    let open = true;
    let comment = before;
    for (; ; this.#at++) {
      const token = this.#tokens[this.#at];
      if (!token) break;
      if (token.kind === "comment") comment = token.text;
      else if (token.kind === "word") {
        if (token.spaced && !open) {
          // A second address with no comma between: the old `a@b <c@d>` and the like.
          if (this.#next("<"))
            return this.#readAngle(`${words.map(({ text }) => text).join("")}@${domain} ${token.text}`);
          break;
        }
        domain += token.text;
        if (token.text !== "") open = token.text.endsWith(".");
      } else if (token.text === ".") {
        domain += ".";
        open = true;
      } else if (token.text === "<") return this.#readAngle(`${words.map(({ text }) => text).join("")}@${domain}`);
      else break;
    }
    return { kind: "mailbox", name: comment, route: undefined, local: words.map(({ text }) => text).join(""), domain };
  }

  #next(special: string): boolean {
    const token = this.#tokens[this.#at + 1];
    return token?.kind === "special" && token.text === special;
  }

  #readGroup(name: string): Group {
    this.#at++;
    const members: Mailbox[] = [];
    while (this.#at < this.#tokens.length && this.#special() !== ";" && this.#count < ADDRESSES_MAX) {
      const member = this.#readAddress(false);
      if (member?.kind === "mailbox") members.push(member);
      if (this.#special() !== undefined && this.#special() !== ";") this.#at++;
    }
    return { kind: "group", name, members };
  }
}

/** Words of a phrase with single spaces where there was space. */
function phrase(words: readonly { text: string; spaced: boolean }[]): string {
  return words.map(({ text, spaced }, at) => (at > 0 && spaced ? ` ${text}` : text)).join("");
}

/** An address as people write it, in Unicode. */
export function formatAddress(address: Mailbox): string {
  const spec = address.domain === "" ? address.local : `${address.local}@${address.domain}`;
  return decodeRaw(spec);
}
