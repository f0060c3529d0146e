import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { EngineError } from "../errors.ts";
import type { Digest } from "../mail/digest.ts";
import { type ScanAndSeal, scanAndSeal } from "../mail/intake.ts";
import { Channel } from "./channel.ts";
import { type FromThread, ROOM_BYTES, ROOMS, SpareRooms, type ToThread } from "./work-protocol.ts";

/** Bodies at once for each thread, with a megabyte of rooms each; those beyond are sealed by who takes them in. */
export const JOBS_PER_THREAD_MAX = 8;
/** A thread without work ends after this. */
const THREAD_IDLE_MS = 60_000;

interface Thread {
  readonly worker: Worker;
  readonly jobs: Map<number, Job>;
  idle: NodeJS.Timeout | undefined;
}

type Event =
  | { readonly kind: "sealed"; readonly room: ArrayBuffer; readonly length: number }
  | { readonly kind: "done"; readonly digest: Digest }
  | { readonly kind: "failed"; readonly error: unknown };

interface Job {
  readonly events: Channel<Event>;
  /** One for each plain room that may be on its way; "ended" once nobody waits for the body. */
  readonly credits: Channel<"room" | "ended">;
  ended: boolean;
  readonly say: (message: ToThreadOfJob, ...rooms: readonly ArrayBuffer[]) => void;
}
type ToThreadOfJob = ToThread extends infer Message ? (Message extends ToThread ? Omit<Message, "job"> : never) : never;

/**
 * Threads that scan and seal large bodies, so that their octets cost the main thread nothing but copies. Rooms full of them
 * go there and come back, and are used again. Threads start with the first large body and don't keep the process alive.
 */
export class WorkPool {
  readonly #threadsMax: number;
  readonly #threads = new Set<Thread>();
  readonly #spare = new SpareRooms(ROOMS * 2);
  #nextJob = 1;

  constructor(threadsMax: number = Math.max(1, availableParallelism() - 1)) {
    this.#threadsMax = threadsMax;
  }

  /** Threads that run now. */
  get threads(): number {
    return this.#threads.size;
  }

  async dispose(): Promise<void> {
    await Promise.all([...this.#threads].map(({ worker }) => worker.terminate()));
  }

  /** Errors: `unavailable` if the thread dies; what `source` throws. */
  readonly scanAndSeal: ScanAndSeal = (source, seal, receivedMs, done) => {
    const thread = this.#pickThread();
    return thread ? this.#away(thread, source, seal, receivedMs, done) : scanAndSeal(source, seal, receivedMs, done);
  };

  async *#away(
    thread: Thread,
    source: AsyncIterable<Uint8Array>,
    { platform: _, ...seal }: Parameters<ScanAndSeal>[1],
    receivedMs: number,
    done: (digest: Digest) => void,
  ): AsyncGenerator<Uint8Array> {
    const { job, end } = this.#begin(thread);
    job.say({ kind: "begin", seal, receivedMs });
    const fed = feed(job, source, this.#spare).catch((error: unknown) => job.events.put({ kind: "failed", error }));
    try {
      for (;;) {
        const event = await job.events.take();
        if (event.kind === "failed") throw event.error;
        if (event.kind === "done") return done(event.digest);
        yield new Uint8Array(event.room, 0, event.length);
        job.say({ kind: "read", room: event.room }, event.room);
      }
    } finally {
      job.ended = true;
      job.credits.put("ended");
      job.say({ kind: "drop" });
      // The source is read by one at a time: who goes on with it comes after us.
      await fed;
      end();
    }
  }

  #pickThread(): Thread | undefined {
    const [least] = [...this.#threads].sort((a, b) => a.jobs.size - b.jobs.size);
    if (least?.jobs.size === 0) return least;
    if (this.#threads.size < this.#threadsMax) return this.#startThread();
    return least && least.jobs.size < JOBS_PER_THREAD_MAX ? least : undefined;
  }

  #startThread(): Thread {
    const worker = new Worker(new URL("./work-thread.ts", import.meta.url));
    const thread: Thread = { worker, jobs: new Map(), idle: undefined };
    worker.on("message", (message: FromThread) => {
      const job = thread.jobs.get(message.job);
      if (message.kind === "taken") {
        this.#spare.giveBack(message.room);
        job?.credits.put("room");
      } else if (message.kind === "failed") job?.events.put({ kind: "failed", error: unavailable(message.message) });
      else job?.events.put(message);
    });
    const end = (cause: unknown): void => {
      this.#threads.delete(thread);
      for (const job of thread.jobs.values()) job.events.put({ kind: "failed", error: unavailable(cause) });
    };
    worker.on("error", end);
    worker.on("exit", end);
    this.#threads.add(thread);
    return thread;
  }

  #begin(thread: Thread): { readonly job: Job; readonly end: () => void } {
    clearTimeout(thread.idle);
    const id = this.#nextJob++;
    const job: Job = {
      events: new Channel(),
      credits: new Channel(),
      ended: false,
      say: (message, ...rooms) => thread.worker.postMessage({ ...message, job: id }, rooms),
    };
    for (let n = 0; n < ROOMS; n++) job.credits.put("room");
    thread.jobs.set(id, job);
    thread.worker.ref();
    return { job, end: () => this.#end(thread, id) };
  }

  #end(thread: Thread, id: number): void {
    thread.jobs.delete(id);
    if (thread.jobs.size > 0) return;
    thread.worker.unref();
    thread.idle = setTimeout(() => {
      this.#threads.delete(thread);
      void thread.worker.terminate();
    }, THREAD_IDLE_MS).unref();
  }
}

/** Sends the octets of `source` there, a room full at a time. */
async function feed(job: Job, source: AsyncIterable<Uint8Array>, spare: SpareRooms): Promise<void> {
  let room: Uint8Array<ArrayBuffer> | undefined;
  let filled = 0;
  const flush = (): void => {
    if (room) job.say({ kind: "plain", room: room.buffer, length: filled }, room.buffer);
    room = undefined;
    filled = 0;
  };
  for await (const piece of source)
    for (let at = 0; at < piece.length; ) {
      if (job.ended || (!room && (await job.credits.take()) === "ended")) return;
      room ??= new Uint8Array(spare.take());
      const part = piece.subarray(at, at + ROOM_BYTES - filled);
      room.set(part, filled);
      filled += part.length;
      at += part.length;
      if (filled === ROOM_BYTES) flush();
    }
  flush();
  job.say({ kind: "end" });
}

function unavailable(cause: unknown): EngineError {
  return new EngineError("unavailable", "the thread that seals large mails ended", { cause });
}
