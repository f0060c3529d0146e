/** How often the bar is drawn anew. */
const DRAW_MS = 100;
const WIDTH = 30;

/** A progress bar on a terminal; nothing where standard error is none. */
export class Progress implements Disposable {
  readonly #total: number;
  #done = 0;
  #drawnAt = Number.NEGATIVE_INFINITY;

  constructor(total: number) {
    this.#total = Math.max(total, 1);
  }

  add(weight: number): void {
    this.#done += weight;
    if (!process.stderr.isTTY || performance.now() - this.#drawnAt < DRAW_MS) return;
    this.#drawnAt = performance.now();
    const share = Math.min(1, this.#done / this.#total);
    const bar = "#".repeat(Math.round(share * WIDTH)).padEnd(WIDTH, ".");
    process.stderr.write(`\r[${bar}] ${String(Math.floor(share * 100)).padStart(3)} %`);
  }

  [Symbol.dispose](): void {
    if (process.stderr.isTTY) process.stderr.write("\r\u001b[K");
  }
}
