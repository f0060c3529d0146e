/** Texts of search results. The engine hands the same result to all sessions that ask the same of a mailbox in which nothing
 * changed: its messages then have the same numbers and uids, and its answer the same text. A text lives as long as its
 * result. */
export class KeptTexts<T extends object> {
  readonly #texts = new WeakMap<T, Map<string, string>>();

  /** `form`: one way to tell it. */
  get(result: T, form: string, format: () => string): string {
    const texts = this.#texts.get(result) ?? new Map<string, string>();
    this.#texts.set(result, texts);
    const text = texts.get(form) ?? format();
    texts.set(form, text);
    return text;
  }
}
