import { createWriteStream, type FSWatcher, readdirSync, readFileSync, type WriteStream, watch } from "node:fs";
import { join } from "node:path";
import { finished } from "node:stream/promises";
import { type Log, makeFolder } from "@restante/host";

/** Content of a request file: the address whose dialogues are traced, and the end. */
export interface TraceRequest {
  readonly address: string;
  readonly untilMs: number;
}

/** Octets that one trace may have: who traces a busy program must not fill the disk. */
export const TRACE_BYTES_MAX: number = 16 * 2 ** 20;

/** Octets of one trace that wait for the disk. Lines that come meanwhile are left out, and their number is told. */
export const WAITING_BYTES_MAX: number = 2 ** 20;

/** A request lies in `<data>/traces/<name>.request`; what is told goes to `<name>.log` beside it. */
export const REQUEST_ENDING = ".request";

interface Running extends TraceRequest {
  readonly file: string;
  bytes: number;
  /** Lines that were left out since the last that was written. */
  left: number;
  /** Undefined before the first line. */
  stream: WriteStream | undefined;
}

/**
 * Dialogues that an operator follows (`restante trace`): asked for by a file, since every process of the host may serve the
 * account. A trace ends by itself: at its time, or when it is large. Its lines are written in their order, and nobody who tells
 * one waits for the disk.
 */
export class Traces implements AsyncDisposable {
  readonly #folder: string;
  readonly #now: () => number;
  readonly #log: Log;
  readonly #watcher: FSWatcher;
  #running: readonly Running[] = [];

  private constructor(folder: string, now: () => number, log: Log) {
    this.#folder = folder;
    this.#now = now;
    this.#log = log;
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

  #tell(trace: Running, line: string): void {
    if (!this.#running.includes(trace) || !this.#lasts(trace)) return;
    trace.stream ??= this.#open(trace);
    const text = trace.left === 0 ? line : `${trace.left} lines are left out here\n${line}`;
    const size = Buffer.byteLength(text);
    if (trace.bytes + size > TRACE_BYTES_MAX) {
      trace.bytes = TRACE_BYTES_MAX;
      trace.stream.end();
    } else if (trace.stream.writableLength + size > WAITING_BYTES_MAX) {
      trace.left++;
    } else {
      trace.left = 0;
      trace.bytes += size;
      trace.stream.write(text);
    }
  }

  /** Kept open, so that a file that its reader removed is not made again. */
  #open(trace: Running): WriteStream {
    return createWriteStream(trace.file, { flags: "a", mode: 0o600 }).on("error", (error) => {
      trace.bytes = TRACE_BYTES_MAX;
      // One that ended meanwhile was cut off amid a line.
      if (this.#running.includes(trace)) this.#log({ level: "warn", event: "a trace can't be written", error });
    });
  }

  #look(): void {
    const names = readdirSync(this.#folder).filter((name) => name.endsWith(REQUEST_ENDING));
    const before = this.#running;
    this.#running = names.flatMap((name) => {
      const file = join(this.#folder, `${name.slice(0, -REQUEST_ENDING.length)}.log`);
      const known = before.find((running) => running.file === file);
      if (known) return [known];
      const request = readRequest(join(this.#folder, name));
      return request ? [{ ...request, file, bytes: 0, left: 0, stream: undefined }] : [];
    });
    for (const trace of before) if (!this.#running.includes(trace)) trace.stream?.destroy();
  }

  /** Resolves when all that was told is written. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#watcher.close();
    const streams = this.#running.flatMap(({ stream }) => (stream && !stream.destroyed ? [stream] : []));
    this.#running = [];
    // The log has why a stream failed.
    await Promise.allSettled(streams.map((stream) => finished(stream.end())));
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
