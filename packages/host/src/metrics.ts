import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";

/** Seconds: from what memory answers to what somebody waits for. */
const SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const OCTETS = [1e3, 1e4, 1e5, 1e6, 1e7, 1e8];

/** Counts of a process, in Prometheus' text form. Labels are words of ours: protocols, names of commands, outcomes, codes. No
 * label holds a client's text, and none names a user: metrics don't tell whose mail it is. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #signIns = this.#counter("sign_ins_total", "Sign-ins, by what came of them", ["protocol", "outcome"]);
  readonly #commands = this.#histogram(
    "command_seconds",
    "Commands answered",
    ["protocol", "command", "outcome"],
    SECONDS,
  );
  readonly #sessions = this.#counter("sessions_total", "Connections that ended after a sign-in", ["protocol"]);
  readonly #deliveries = this.#counter(
    "deliveries_total",
    "Copies of messages that came by LMTP, by the reply's code",
    ["code"],
  );
  readonly #delivered = this.#histogram("delivered_bytes", "Sizes of the messages that were taken", [], OCTETS);
  readonly #submissions = this.#counter(
    "submissions_total",
    "Messages that mail programs sent by SMTP, by the reply's code",
    ["code"],
  );
  readonly #outgoing = this.#counter(
    "outgoing_recipients_total",
    "What came of each recipient of each try to hand mail on: sent, failed, waiting, or trouble of ours",
    ["outcome"],
  );
  readonly #outgoingTime = this.#histogram("outgoing_seconds", "Tries to hand mail on", [], SECONDS);
  readonly #store = this.#histogram("store_seconds", "What was asked of the store", ["store", "operation"], SECONDS);
  readonly #storeErrors = this.#counter("store_errors_total", "What the store did not do", [
    "store",
    "operation",
    "code",
  ]);

  constructor() {
    collectDefaultMetrics({ register: this.#registry });
  }

  signIn(protocol: string, outcome: string): void {
    this.#signIns.inc({ protocol, outcome });
  }

  command(protocol: string, command: string, outcome: string, ms: number): void {
    this.#commands.observe({ protocol, command, outcome }, ms / 1000);
  }

  session(protocol: string): void {
    this.#sessions.inc({ protocol });
  }

  delivery(code: number, bytes?: number): void {
    this.#deliveries.inc({ code: String(code) });
    if (bytes !== undefined) this.#delivered.observe(bytes);
  }

  submission(code: number): void {
    this.#submissions.inc({ code: String(code) });
  }

  /** `outcomes`: one a recipient. */
  outgoing(outcomes: readonly string[], ms: number): void {
    for (const outcome of outcomes) this.#outgoing.inc({ outcome });
    this.#outgoingTime.observe(ms / 1000);
  }

  store(store: string, operation: string, ms: number, error?: string): void {
    this.#store.observe({ store, operation }, ms / 1000);
    if (error !== undefined) this.#storeErrors.inc({ store, operation, code: error });
  }

  /** A number that is looked up when it is asked for; undefined is not told. */
  gauge(name: string, help: string, read: () => number | undefined | Promise<number | undefined>): void {
    this.labelled(name, help, undefined, async () => {
      const value = await read();
      return value === undefined ? {} : { "": value };
    });
  }

  /** The same, with a number for each value of one label. */
  labelled(
    name: string,
    help: string,
    label: string | undefined,
    read: () => Readonly<Record<string, number>> | Promise<Readonly<Record<string, number>>>,
  ): void {
    const gauge: Gauge = new Gauge({
      name: `restante_${name}`,
      help,
      labelNames: label === undefined ? [] : [label],
      registers: [this.#registry],
      async collect() {
        gauge.reset();
        // Without labels that is a zero, which nobody has counted.
        if (label === undefined) gauge.remove();
        for (const [value, number] of Object.entries(await read()))
          gauge.set(label === undefined ? {} : { [label]: value }, number);
      },
    });
  }

  /** All of it, as GET /metrics answers. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  #counter(name: string, help: string, labelNames: string[]): Counter {
    return new Counter({ name: `restante_${name}`, help, labelNames, registers: [this.#registry] });
  }

  #histogram(name: string, help: string, labelNames: string[], buckets: number[]): Histogram {
    return new Histogram({ name: `restante_${name}`, help, labelNames, buckets, registers: [this.#registry] });
  }
}
