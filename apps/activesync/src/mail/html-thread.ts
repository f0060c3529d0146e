import { Worker } from "node:worker_threads";
import { Problem } from "@restante/host";
import { HTML_WORK, type HtmlWork } from "./html-work.ts";

/** Characters, and tags, from which on HTML is read in a thread of its own: on this one everybody else would wait. */
const THREAD_CHARS_MIN: number = 64 * 1024;
const THREAD_TAGS_MIN = 4000;
/** Texts that may wait for the thread: more are told that the server is busy. */
const WAITING_MAX = 64;
/** Milliseconds that one text may take; then the thread is ended, and the text can't be shown. */
const TEXT_MS_MAX = 10_000;
/** A thread without work ends after so many milliseconds. */
const IDLE_MS = 30_000;

/** HTML that could not be read: it took too long, or it broke the thread. */
export class HtmlTrouble extends Error {
  override readonly name = "HtmlTrouble";
}

interface Job {
  readonly work: HtmlWork;
  readonly html: string;
  readonly resolve: (html: string) => void;
  readonly reject: (error: Error) => void;
}

/** Reads HTML: large texts in a thread, one after the other. */
export class HtmlThread {
  readonly #waiting: Job[] = [];
  #worker: Worker | undefined;
  #isBusy = false;
  #idle: NodeJS.Timeout | undefined;

  /** HTML as a mail program may show it. Throws HtmlTrouble, and Problem 503 where too many wait. */
  async clean(html: string): Promise<string> {
    return this.#do("clean", html);
  }

  /** The text of HTML. Throws as {@link clean}. */
  async strip(html: string): Promise<string> {
    return this.#do("strip", html);
  }

  async #do(work: HtmlWork, html: string): Promise<string> {
    if (isSmall(html)) return HTML_WORK[work](html);
    // It would be no answer to tell a phone for ever that this can't be shown: it asks again.
    if (this.#waiting.length >= WAITING_MAX)
      throw new Problem(503, "Too many large messages at once", { headers: { "retry-after": RETRY_AFTER_SECONDS } });
    return new Promise((resolve, reject) => {
      this.#waiting.push({ work, html, resolve, reject });
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
    worker.postMessage({ work: job.work, html: job.html });
  }
}

const RETRY_AFTER_SECONDS = "30";

/** True for HTML so small that nobody waits for its conversion. */
export function isSmall(html: string): boolean {
  if (html.length >= THREAD_CHARS_MIN) return false;
  let tags = 0;
  for (let at = html.indexOf("<"); at >= 0; at = html.indexOf("<", at + 1))
    if (++tags === THREAD_TAGS_MIN) return false;
  return true;
}
