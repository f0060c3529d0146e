import type { Output } from "./output.ts";
import type { Session } from "./session.ts";

export interface NewsOptions {
  readonly session: Session;
  readonly output: Output;
  readonly isClosing: () => boolean;
  /** An error while telling; it ends the connection. */
  readonly onFailure: (error: unknown) => void;
}

/** Events of NOTIFY (RFC 5465), told between commands: never beside one, so that no answer is torn apart. */
export class News {
  readonly #options: NewsOptions;
  #stop: (() => void) | undefined;
  /** Something changed since the client was told. */
  #isThere = false;
  /** No command is being run. */
  #isReading = false;
  #telling: Promise<void> = Promise.resolve();

  constructor(options: NewsOptions) {
    this.#options = options;
  }

  /** From now on, or no more. */
  watch(on: boolean): void {
    this.#stop?.();
    this.#stop = undefined;
    if (!on) return;
    this.#stop = this.#options.session.account?.onChange(() => {
      const isFirst = !this.#isThere;
      this.#isThere = true;
      if (isFirst && this.#isReading) this.#telling = this.#telling.then(() => this.#tell());
    });
  }

  /** Tells what there is while the next command is read. */
  async during<T>(read: () => Promise<T>): Promise<T> {
    if (this.#isThere) await this.#tell();
    this.#isReading = true;
    try {
      return await read();
    } finally {
      this.#isReading = false;
      await this.#telling;
    }
  }

  /** Resolves when nothing is being told. Never rejects. */
  get told(): Promise<void> {
    return this.#telling;
  }

  async end(): Promise<void> {
    this.watch(false);
    await this.#telling;
  }

  async #tell(): Promise<void> {
    const { session, output, isClosing, onFailure } = this.#options;
    try {
      while (this.#isThere && !isClosing()) {
        this.#isThere = false;
        await session.tellNews();
        await output.flush();
      }
    } catch (error) {
      onFailure(error);
    }
  }
}
