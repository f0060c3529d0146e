import { UNREAD_BYTES_MAX } from "./limits.ts";

/** One event: HTML §9.2.6. */
export interface ServerEvent {
  readonly event?: string;
  readonly id?: string;
  readonly data: string;
}

/** The stream's connection: HTTP/1.1 or HTTP/2. */
interface Output {
  write(text: string): void;
  end(): void;
  /** Ends it at once, with what was not sent. */
  drop(): void;
  /** Octets that wait to be sent. */
  readonly unread: number;
}

/** An event stream that is open. Each event goes out at once; a reader who does not take them is dropped. */
export class EventStream {
  readonly #output: Output;
  readonly #onEnd = new Set<() => void>();
  #isOpen = true;

  constructor(output: Output) {
    this.#output = output;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  send({ event, id, data }: ServerEvent): void {
    const fields = [event === undefined ? [] : field("event", event), id === undefined ? [] : field("id", id)];
    this.#write(`${[...fields.flat(), ...field("data", data)].join("\n")}\n\n`);
  }

  /** Milliseconds after which a client that lost the stream comes again. */
  retry(ms: number): void {
    this.#write(`retry: ${ms}\n\n`);
  }

  /** Called once, when it has ended, whoever ended it; at once if it has. */
  onEnd(listener: () => void): void {
    if (this.#isOpen) this.#onEnd.add(listener);
    else listener();
  }

  /** Ends it. Again is no error. */
  end(): void {
    if (this.#isOpen) this.#output.end();
    this.closed();
  }

  /** The connection is gone. */
  closed(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    for (const listener of this.#onEnd) listener();
    this.#onEnd.clear();
  }

  #write(text: string): void {
    if (!this.#isOpen) return;
    this.#output.write(text);
    if (this.#output.unread <= UNREAD_BYTES_MAX) return;
    this.#output.drop();
    this.closed();
  }
}

/** A value of several lines is several fields. */
function field(name: string, value: string): string[] {
  return value.split(/\r\n|\r|\n/).map((line) => `${name}: ${line}`);
}
