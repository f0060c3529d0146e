import { decodeWords } from "./encoded-words.ts";

export interface BaseSubject {
  readonly base: string;
  readonly isReplyOrForward: boolean;
}

/** The base subject of a Subject field's value (binary text): RFC 5256 §2.1. */
export function baseSubject(value: string): BaseSubject {
  return baseSubjectOf(decodeWords(value));
}

/** The same of a value that is decoded. */
export function baseSubjectOf(text: string): BaseSubject {
  const stripper = new SubjectStripper(text.replace(/\s+/g, " "));
  stripper.strip();
  return { base: stripper.base, isReplyOrForward: stripper.isReplyOrForward };
}

/** Narrows a subject from both ends, so that no text is copied however much there is to strip. Its white space is single
 * spaces. */
class SubjectStripper {
  readonly #text: string;
  /** The same in lower case, character by character. */
  readonly #lower: string;
  #from = 0;
  #to: number;
  isReplyOrForward = false;

  constructor(text: string) {
    this.#text = text;
    this.#lower = text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
    this.#to = text.length;
  }

  get base(): string {
    return this.#text.slice(this.#from, this.#to);
  }

  /** RFC 5256 §2.1, steps 2 to 6. */
  strip(): void {
    do {
      while (this.#stripTrailer()) this.isReplyOrForward = true;
      while (this.#stripLeader() || this.#stripBlob());
    } while (this.#stripForward());
  }

  /** `subj-trailer`: true for "(fwd)". */
  #stripTrailer(): boolean {
    while (this.#to > this.#from && this.#text[this.#to - 1] === " ") this.#to--;
    if (this.#to - this.#from < 5 || !this.#lower.startsWith("(fwd)", this.#to - 5)) return false;
    this.#to -= 5;
    return true;
  }

  /** `*subj-blob subj-refwd` with one blob: those before it are stripped one by one, since more follows them. */
  #stripLeader(): boolean {
    this.#from = this.#skipSpaces(this.#from);
    let at = this.#blobEnd(this.#from) ?? this.#from;
    if (this.#lower.startsWith("re", at)) at += 2;
    else if (this.#lower.startsWith("fwd", at)) at += 3;
    else if (this.#lower.startsWith("fw", at)) at += 2;
    else return false;
    at = this.#skipSpaces(at);
    at = this.#blobEnd(at) ?? at;
    if (at >= this.#to || this.#text[at] !== ":") return false;
    this.#from = this.#skipSpaces(at + 1);
    this.isReplyOrForward = true;
    return true;
  }

  /** A blob before something else. */
  #stripBlob(): boolean {
    const end = this.#blobEnd(this.#from);
    if (end === undefined || end === this.#to) return false;
    this.#from = end;
    return true;
  }

  #stripForward(): boolean {
    const isForward =
      this.#to - this.#from >= 6 && this.#lower.startsWith("[fwd:", this.#from) && this.#text[this.#to - 1] === "]";
    if (!isForward) return false;
    this.#from += 5;
    this.#to--;
    this.isReplyOrForward = true;
    return true;
  }

  /** The end of the `subj-blob` at `at`, with the spaces behind it, if one is there. */
  #blobEnd(at: number): number | undefined {
    if (this.#text[at] !== "[") return undefined;
    for (let end = at + 1; end < this.#to; end++) {
      const char = this.#text[end];
      if (char === "[") return undefined;
      if (char === "]") return this.#skipSpaces(end + 1);
    }
    return undefined;
  }

  #skipSpaces(at: number): number {
    while (at < this.#to && this.#text[at] === " ") at++;
    return at;
  }
}
