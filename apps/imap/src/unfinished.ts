import type { Completion, Unfinished } from "./commands/command.ts";
import { APPENDS_HELD_BYTES_MAX, APPENDS_UNDER_WAY_MAX } from "./limits.ts";

interface Begun {
  readonly answered: Promise<void>;
  readonly heldBytes: number;
}

/** Commands that were read and are not answered yet: APPENDs that are being stored. They are answered in their order, each by a
 * function that never rejects. */
export class UnfinishedCommands {
  readonly #begun: Begun[] = [];

  /** Resolves when all of them are answered. Never rejects. */
  async answered(): Promise<void> {
    await this.#begun.at(-1)?.answered;
  }

  /** Resolves when another may be stored that holds so many bytes. Never rejects. */
  async hasRoom(heldBytes: number): Promise<void> {
    const isFull = (): boolean => {
      const held = this.#begun.reduce((sum, one) => sum + one.heldBytes, heldBytes);
      return this.#begun.length >= APPENDS_UNDER_WAY_MAX || held > APPENDS_HELD_BYTES_MAX;
    };
    while (this.#begun.length > 0 && isFull()) await this.#begun[0]!.answered;
  }

  /** Begins to store one; `answer` is called with what came of it when those before are answered. */
  begin({ heldBytes, finish }: Unfinished, answer: (outcome: PromiseSettledResult<Completion>) => Promise<void>): void {
    const before = this.#begun.at(-1)?.answered;
    // It is looked at when those before it are answered.
    const outcome = Promise.allSettled([finish()]);
    const inTurn = async (): Promise<void> => {
      await before;
      await answer((await outcome)[0]);
    };
    const one = { answered: inTurn(), heldBytes };
    this.#begun.push(one);
    void one.answered.then(() => this.#begun.splice(this.#begun.indexOf(one), 1));
  }
}
