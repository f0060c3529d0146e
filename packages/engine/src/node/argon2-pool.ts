import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { CryptoError } from "../crypto/errors.ts";
import type { Argon2Lane, Argon2Parameters } from "../crypto/platform.ts";
import { PASSWORD_PARAMETERS } from "../crypto/slot.ts";

/** Sign-ins that may wait for a thread, lane by lane; beyond it the protocol answers that it is busy. A flood of
 * strangers fills its own lane only. */
export const ARGON2_QUEUE_MAX = 32;
export const ARGON2_THREADS_MAX = 2;
/** Memory of one of our slots. A job that asks for more is done alone: a store may hold slots that were made to take memory. */
const LARGE_KIB: number = PASSWORD_PARAMETERS.memoryKiB;
/** A thread without work ends after this: it holds 64 MiB. */
const THREAD_IDLE_MS = 30_000;

export interface Argon2Job {
  readonly password: Uint8Array;
  readonly salt: Uint8Array;
  readonly parameters: Argon2Parameters;
  readonly bytes: number;
}
interface Waiting {
  readonly job: Argon2Job;
  readonly resolve: (key: Uint8Array) => void;
  readonly reject: (error: unknown) => void;
}

/** One or two threads that do nothing but Argon2id. They start with the first job and don't keep the process alive. */
export class Argon2Pool {
  readonly #waiting: Readonly<Record<Argon2Lane, Waiting[]>> = { known: [], stranger: [] };
  readonly #idle: { readonly worker: Worker; readonly timer: NodeJS.Timeout }[] = [];
  readonly #workers = new Set<Worker>();
  readonly #threadsMax: number;
  #largeRuns = false;

  constructor(threadsMax: number = Math.min(ARGON2_THREADS_MAX, availableParallelism())) {
    this.#threadsMax = threadsMax;
  }

  hash(job: Argon2Job, lane: Argon2Lane): Promise<Uint8Array> {
    const waiting = this.#waiting[lane];
    if (waiting.length >= ARGON2_QUEUE_MAX) return Promise.reject(new CryptoError("busy", "too many sign-ins at once"));
    return new Promise((resolve, reject) => {
      waiting.push({ job, resolve, reject });
      this.#next();
    });
  }

  /** Threads that run now. */
  get threads(): number {
    return this.#workers.size;
  }

  async dispose(): Promise<void> {
    await Promise.all([...this.#workers].map((worker) => worker.terminate()));
  }

  #next(): void {
    const { known, stranger } = this.#waiting;
    const lane = [known, stranger].find((waiting) => waiting.some(this.#mayRun));
    const worker = lane && this.#take();
    if (!worker) return;
    const { job, resolve, reject } = lane.splice(lane.findIndex(this.#mayRun), 1)[0]!;
    if (isLarge(job)) this.#largeRuns = true;
    const done = (): void => {
      if (isLarge(job)) this.#largeRuns = false;
      worker.off("message", answered);
      worker.off("error", failed);
    };
    const answered = (key: Uint8Array): void => {
      done();
      this.#release(worker);
      resolve(key);
    };
    const failed = (error: unknown): void => {
      done();
      this.#workers.delete(worker);
      reject(error);
      this.#next();
    };
    worker.on("message", answered);
    worker.on("error", failed);
    worker.ref();
    worker.postMessage(job);
  }

  readonly #mayRun = ({ job }: Waiting): boolean => !this.#largeRuns || !isLarge(job);

  #take(): Worker | undefined {
    const idle = this.#idle.pop();
    if (idle) {
      clearTimeout(idle.timer);
      return idle.worker;
    }
    if (this.#workers.size >= this.#threadsMax) return undefined;
    const worker = new Worker(new URL("./argon2-worker.ts", import.meta.url));
    this.#workers.add(worker);
    return worker;
  }

  #release(worker: Worker): void {
    worker.unref();
    const timer = setTimeout(() => {
      this.#idle.splice(
        this.#idle.findIndex((item) => item.worker === worker),
        1,
      );
      this.#workers.delete(worker);
      void worker.terminate();
    }, THREAD_IDLE_MS);
    timer.unref();
    this.#idle.push({ worker, timer });
    this.#next();
  }
}

function isLarge({ parameters }: Argon2Job): boolean {
  return parameters.memoryKiB > LARGE_KIB;
}
