import { Worker } from "node:worker_threads";
import { safeHtml } from "./safe-html.ts";

/** Characters from which on HTML is made safe in a thread of its own: on this one everybody else would wait. */
const THREAD_CHARS_MIN: number = 64 * 1024;
/** Texts that may wait for the thread: more are told that the server is busy. */
const WAITING_MAX = 64;
/** Milliseconds that one text may take; then the thread is ended, and the text can't be shown. */
const TEXT_MS_MAX = 10_000;
/** A thread without work ends after so many milliseconds. */
const IDLE_MS = 30_000;

/** HTML that could not be made safe: there was too much of it, or it took too long. */
export class HtmlTrouble extends Error {
  override readonly name = "HtmlTrouble";
}

interface Job {
  readonly html: string;
  readonly resolve: (html: string) => void;
  readonly reject: (error: Error) => void;
}

/** Makes HTML safe: large texts in a thread, one after the other. */
export class HtmlThread {
  readonly #waiting: Job[] = [];
  #worker: Worker | undefined;
  #isBusy = false;
  #idle: NodeJS.Timeout | undefined;

  /** Throws HtmlTrouble. */
  async clean(html: string): Promise<string> {
    if (html.length < THREAD_CHARS_MIN) return safeHtml(html);
    if (this.#waiting.length >= WAITING_MAX) throw new HtmlTrouble("too many large messages at once");
    return new Promise((resolve, reject) => {
      this.#waiting.push({ html, resolve, reject });
      this.#next();
    });
  }

  async dispose(): Promise<void> {
    clearTimeout(this.#idle);
    await this.#worker?.terminate();
    this.#worker = undefined;
  }

  #next(): void {
    if (this.#isBusy) return;
    const job = this.#waiting.shift();
    if (!job) {
      this.#worker?.unref();
      this.#idle = setTimeout(() => void this.dispose(), IDLE_MS).unref();
      return;
    }
    clearTimeout(this.#idle);
    this.#isBusy = true;
    const worker = this.#worker ?? new Worker(new URL("./html-worker.ts", import.meta.url));
    this.#worker = worker;
    worker.ref();
    const end = (): void => {
      clearTimeout(late);
      worker.off("message", answered);
      worker.off("error", failed);
      this.#isBusy = false;
      this.#next();
    };
    const answered = (html: string): void => {
      job.resolve(html);
      end();
    };
    const fail = (message: string): void => {
      this.#worker = undefined;
      void worker.terminate();
      job.reject(new HtmlTrouble(message));
      end();
    };
    const failed = (): void => fail("it can't be read");
    const late = setTimeout(() => fail("it takes too long"), TEXT_MS_MAX).unref();
    worker.on("message", answered);
    worker.on("error", failed);
    worker.postMessage(job.html);
  }
}
