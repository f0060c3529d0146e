/** How often the bar is drawn anew, and how often a line is written where there is no terminal. */
const DRAW_MS = 100;
const LINE_MS = 10_000;
const WIDTH = 24;
const UNITS = ["bytes", "KB", "MB", "GB", "TB"] as const;

export interface ProgressOptions {
  /** Units of the whole work; 0 if that is not known. */
  readonly total: number;
  readonly unit: string;
  /** Word for finished units: `imported`. */
  readonly done: string;
}

/** How a long command fares, on standard error: a bar on a terminal, else a line each ten seconds. */
export class Progress implements Disposable {
  readonly #options: ProgressOptions;
  readonly #isTerminal = process.stderr.isTTY;
  readonly #startedAt = performance.now();
  readonly #timer: NodeJS.Timeout;
  #done = 0;
  #isOver = false;

  constructor(options: ProgressOptions) {
    this.#options = options;
    const tell = (): void => this.#tell();
    this.#timer = setInterval(tell, this.#isTerminal ? DRAW_MS : LINE_MS).unref();
  }

  add(weight: number): void {
    this.#done += weight;
  }

  #tell(): void {
    const line = progressLine(this.#options, this.#done, performance.now() - this.#startedAt, this.#isTerminal);
    // A line wider than the terminal would wrap, and each redraw would begin below the last.
    const shown = line.slice(0, (process.stderr.columns || 80) - 1);
    process.stderr.write(this.#isTerminal ? `\r${shown}\u001b[K` : `restante: ${line}\n`);
  }

  [Symbol.dispose](): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearInterval(this.#timer);
    if (this.#isTerminal) process.stderr.write("\r\u001b[K");
  }
}

/** One line: `[####....]  42 %, 1200 of 2857 messages imported, 300 messages/s, 6 s left`. */
export function progressLine(
  { total, unit, done: verb }: ProgressOptions,
  done: number,
  elapsedMs: number,
  withBar: boolean,
): string {
  const rate = elapsedMs > 0 ? (done * 1000) / elapsedMs : 0;
  const rateText = `${amount(rate >= 10 ? Math.round(rate) : Math.round(rate * 10) / 10, unit)}/s`;
  if (total <= 0) return `${amount(done, unit)} ${verb}, ${rateText}`;
  const share = Math.min(1, done / total);
  const bar = withBar ? `[${"#".repeat(Math.round(share * WIDTH)).padEnd(WIDTH, ".")}] ` : "";
  const left = rate > 0 ? `, ${duration(Math.max(0, total - done) / rate)} left` : "";
  const percent = `${String(Math.floor(share * 100)).padStart(withBar ? 3 : 1)} %`;
  return `${bar}${percent}, ${amount(done, unit, false)} of ${amount(total, unit)} ${verb}, ${rateText}${left}`;
}

function amount(count: number, unit: string, withUnit = true): string {
  if (unit !== "bytes") return withUnit ? `${count} ${unit}` : String(count);
  let [size, at] = [count, 0];
  for (; size >= 1000 && at < UNITS.length - 1; at++) size /= 1000;
  return `${at === 0 ? Math.round(size) : size.toFixed(1)} ${UNITS[at]}`;
}

function duration(seconds: number): string {
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}
