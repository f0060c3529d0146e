import { EMAIL_CHARS_MAX } from "./limits.ts";
import { RequestTooLarge } from "./problems.ts";

/** Characters of emails and parts that an answer may still hold. */
export class AnswerBudget {
  #left: number;

  constructor(charsMax: number = EMAIL_CHARS_MAX) {
    this.#left = charsMax;
  }

  get left(): number {
    return this.#left;
  }

  /** Throws {@link RequestTooLarge} if there is no room for so many. */
  take(chars: number): void {
    this.#left -= chars;
    if (this.#left < 0)
      throw new RequestTooLarge("more than one answer may hold: ask for fewer emails, or less of them");
  }
}
