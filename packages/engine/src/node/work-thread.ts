import { parentPort } from "node:worker_threads";
import { ready } from "../crypto/index.ts";
import type { Digest } from "../mail/digest.ts";
import { scanAndSeal } from "../mail/intake.ts";
import { Channel } from "./channel.ts";
import { nodePlatform } from "./crypto-platform.ts";
import { type FromThread, ROOM_BYTES, ROOMS, SpareRooms, type ToThread } from "./work-protocol.ts";

/** A thread of the work pool: scans and seals large bodies. It gets the keys of single bodies, never a ring. */
const port = parentPort!;
const platform = nodePlatform();
const jobs = new Map<number, Job>();
const spare = new SpareRooms(ROOMS * 2);
await ready;

class Dropped extends Error {}

class Job {
  readonly #id: number;
  /** Plain octets in order, until "end". */
  readonly #arrived = new Channel<{ readonly room: ArrayBuffer; readonly length: number } | "end" | "dropped">();
  /** One for each sealed room that may be on its way. */
  readonly #credits = new Channel<"room" | "dropped">();
  #room: Uint8Array<ArrayBuffer> | undefined;
  #filled = 0;

  constructor(id: number) {
    this.#id = id;
    for (let n = 0; n < ROOMS; n++) this.#credits.put("room");
  }

  hear(message: ToThread): void {
    if (message.kind === "plain") this.#arrived.put(message);
    else if (message.kind === "end") this.#arrived.put("end");
    else if (message.kind === "read") this.#credits.put("room");
    else if (message.kind === "drop") {
      this.#arrived.put("dropped");
      this.#credits.put("dropped");
    }
  }

  async run({ seal, receivedMs }: ToThread & { kind: "begin" }): Promise<void> {
    try {
      let digest: Digest | undefined;
      const sealed = scanAndSeal(this.#source(), { ...seal, platform }, receivedMs, (scanned) => {
        digest = scanned;
      });
      for await (const piece of sealed) await this.#add(piece);
      this.#flush();
      say({ job: this.#id, kind: "done", digest: digest! });
    } catch (error) {
      if (!(error instanceof Dropped)) say({ job: this.#id, kind: "failed", message: String(error) });
    }
  }

  async *#source(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const next = await this.#arrived.take();
      if (next === "dropped") throw new Dropped();
      if (next === "end") return;
      const { room, length } = next;
      yield new Uint8Array(room, 0, length);
      say({ job: this.#id, kind: "taken", room }, room);
    }
  }

  /** Hands sealed bytes over, a room full at a time. */
  async #add(piece: Uint8Array): Promise<void> {
    for (let at = 0; at < piece.length; ) {
      this.#room ??= await this.#takeRoom();
      const part = piece.subarray(at, at + ROOM_BYTES - this.#filled);
      this.#room.set(part, this.#filled);
      this.#filled += part.length;
      at += part.length;
      if (this.#filled === ROOM_BYTES) this.#flush();
    }
  }

  async #takeRoom(): Promise<Uint8Array<ArrayBuffer>> {
    if ((await this.#credits.take()) === "dropped") throw new Dropped();
    return new Uint8Array(spare.take());
  }

  #flush(): void {
    const room = this.#room?.buffer;
    if (room) say({ job: this.#id, kind: "sealed", room, length: this.#filled }, room);
    this.#room = undefined;
    this.#filled = 0;
  }
}

function say(message: FromThread, ...rooms: readonly ArrayBuffer[]): void {
  port.postMessage(message, rooms);
}

port.on("message", (message: ToThread) => {
  const { job: id } = message;
  if (message.kind === "read") spare.giveBack(message.room);
  if (message.kind !== "begin") {
    // One that has ended may be dropped late.
    jobs.get(id)?.hear(message);
    return;
  }
  const job = new Job(id);
  jobs.set(id, job);
  void job.run(message).finally(() => jobs.delete(id));
});
