import { appendFileSync, type FSWatcher, readdirSync, readFileSync, watch } from "node:fs";
import { join } from "node:path";
import { type Log, makeFolder } from "@restante/host";

/** Content of a request file: the address whose dialogues are traced, and the end. */
export interface TraceRequest {
  readonly address: string;
  readonly untilMs: number;
}

/** Octets that one trace may have: who traces a busy program must not fill the disk. */
export const TRACE_BYTES_MAX: number = 16 * 2 ** 20;

/** A request lies in `<data>/traces/<name>.request`; what is told goes to `<name>.log` beside it. */
export const REQUEST_ENDING = ".request";

interface Running extends TraceRequest {
  readonly file: string;
  bytes: number;
}

/**
 * Dialogues that an operator follows (`restante trace`): asked for by a file, since every process of the host may serve the
 * account. A trace ends by itself: at its time, or when it is large.
 */
export class Traces implements Disposable {
  readonly #folder: string;
  readonly #now: () => number;
  readonly #watcher: FSWatcher;
  #running: readonly Running[] = [];

  private constructor(folder: string, now: () => number, log: Log) {
    this.#folder = folder;
    this.#now = now;
    const warn = (error: unknown): void => log({ level: "warn", event: "traces can't be looked for", error });
    const look = (): void => {
      try {
        this.#look();
      } catch (error) {
        warn(error);
      }
    };
    this.#watcher = watch(folder, look).on("error", warn);
    this.#watcher.unref();
    look();
  }

  static async open(folder: string, now: () => number, log: Log): Promise<Traces> {
    await makeFolder(folder);
    return new Traces(folder, now, log);
  }

  /** The trace of this address, if an operator follows it; undefined otherwise. */
  of(address: string, protocol: string): ((line: string) => void) | undefined {
    // Nearly always there is none.
    if (this.#running.length === 0) return undefined;
    const trace = this.#running.find((running) => running.address === address && this.#lasts(running));
    return trace && ((line) => this.#tell(trace, `${new Date(this.#now()).toISOString()} ${protocol} ${line}\n`));
  }

  #lasts({ untilMs, bytes }: Running): boolean {
    return this.#now() < untilMs && bytes < TRACE_BYTES_MAX;
  }

  #tell(trace: Running, text: string): void {
    trace.bytes += text.length;
    appendFileSync(trace.file, text, { mode: 0o600 });
  }

  #look(): void {
    const names = readdirSync(this.#folder).filter((name) => name.endsWith(REQUEST_ENDING));
    this.#running = names.flatMap((name) => {
      const file = join(this.#folder, `${name.slice(0, -REQUEST_ENDING.length)}.log`);
      const known = this.#running.find((running) => running.file === file);
      const request = known ?? readRequest(join(this.#folder, name));
      return request ? [{ bytes: 0, ...request, file }] : [];
    });
  }

  [Symbol.dispose](): void {
    this.#watcher.close();
    this.#running = [];
  }
}

/** Undefined for one that is gone again. It is renamed into its place, so that no half of it is ever read. */
function readRequest(file: string): TraceRequest | undefined {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as TraceRequest;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    return undefined;
  }
}
