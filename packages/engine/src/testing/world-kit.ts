import fc from "fast-check";
import { after, NOWHERE, type Position } from "../bay/position.ts";
import type { WriterId } from "../bay/writer.ts";
import { applyBlock } from "../mail/apply/apply.ts";
import { runsOf } from "../mail/apply/target-rows.ts";
import { captureMail, loadMail } from "../mail/checkpoint/snapshot.ts";
import type { Row } from "../mail/numbers.ts";
import type { Op } from "../mail/ops/op.ts";
import type { ReadMailbox } from "../mail/state/read-state.ts";
import { MailState } from "../mail/state/state.ts";
import { captureSource, memoryPages } from "./checkpoint-kit.ts";
import { bareEmail } from "./email-kit.ts";

/** A small account that anything may happen to. */
export class World {
  state: MailState = new MailState();
  readonly #pages = memoryPages();
  #entry: Position = NOWHERE;
  #emails = 0;

  constructor() {
    const folders = ["INBOX", "A", "B"].map((path) => ({ path }));
    this.apply({ kind: "begin", seconds: 1, folders });
  }

  apply(op: Op): void {
    this.#entry = after(this.#entry);
    const entry = this.#entry;
    const writer = (entry % 2 === 0 ? "0000000000000001" : "0000000000000002") as WriterId;
    const placed = { op, writer, sequence: entry, entry, place: 0, knows: () => true, judged: false };
    applyBlock(this.state, [placed]);
  }

  /** Rows are others from now on, and little is remembered of what went. */
  async shrink(): Promise<void> {
    const limits = { removals: 5, goneMailboxes: 1 };
    const capture = captureMail(this.state, captureSource, { covers: this.#entry, thorough: "anew", limits });
    this.state = await loadMail(await capture.write(this.#pages), this.#pages, this.#entry);
  }

  do({ kind, at, to, choice }: Step): void {
    const mailboxes = this.state.liveMailboxes();
    const mailbox = mailboxes[at % mailboxes.length]!;
    const target = mailboxes[to % mailboxes.length]!;
    const rows = rowsOf(mailbox).filter((_, position) => (choice >> (position % 10)) % 2 === 1);
    const targets = { mailbox: mailbox.id, targets: runsOf(this.state, mailbox, rows) };
    switch (kind) {
      case "add": {
        const emails = Array.from({ length: 1 + (choice % 4) }, () => {
          const id = new Uint8Array(16);
          // Ids are in no order.
          new DataView(id.buffer).setUint32(0, Math.imul(++this.#emails, 0x9e3779b1) >>> 0);
          const thread = new Uint8Array(8).fill(this.#emails % 7);
          const places = [...new Set([mailbox, target])].map((one) => ({ mailbox: one.id, flags: [] }));
          const email = { ...bareEmail([...id]), thread, receivedMs: (choice >> 3) % 5, size: 1 + (choice % 3) };
          return { email, places };
        });
        this.apply({ kind: "add", emails, since: this.#entry, seconds: 1 });
        return;
      }
      case "flags": {
        const flags = [["\\Seen"], ["\\Deleted"], ["x"]][choice % 3]!;
        this.apply({ kind: "flags", ...targets, change: { mode: choice % 5 < 3 ? "add" : "remove", flags } });
        return;
      }
      case "expunge":
        this.apply({ kind: "expunge", ...targets });
        return;
      case "copy":
      case "move":
        this.apply({ kind, ...targets, to: target.id, seconds: 1 });
        return;
      case "create":
        this.apply({ kind: "create", path: `M${choice % 5}`, seconds: choice });
        return;
      case "delete":
        this.apply({ kind: "delete", mailbox: target.id });
        return;
      case "record":
        this.apply({
          kind: "record",
          records: [
            { type: "identity", id: String(choice % 5), value: choice % 3 ? Uint8Array.of(choice) : undefined },
          ],
        });
    }
  }
}

/** The rows of what is in a mailbox. */
export const rowsOf = ({ messages }: Pick<ReadMailbox, "messages">): Row[] =>
  Array.from({ length: messages.length }, (_, at) => messages.at(at));

/** One step of a {@link World}, and what a follower does then. */
export interface Step {
  readonly kind: "add" | "flags" | "expunge" | "copy" | "move" | "create" | "delete" | "record";
  readonly at: number;
  readonly to: number;
  readonly choice: number;
  /** How many pages of which size a follower reads then; and whether the state is shrunk before. */
  readonly pages: number;
  readonly max: number;
  readonly shrinks: boolean;
}
export const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom(
    ...(["add", "add", "flags", "flags", "flags", "expunge", "copy", "move", "create", "delete", "record"] as const),
  ),
  at: fc.nat({ max: 7 }),
  to: fc.nat({ max: 7 }),
  choice: fc.nat({ max: 2 ** 16 }),
  pages: fc.constantFrom(0, 1, 1, 1, 2, 100),
  max: fc.oneof(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 50 })),
  shrinks: fc.constantFrom(false, false, false, false, true),
});
