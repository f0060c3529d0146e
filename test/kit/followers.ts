import { numbersOf, responsesOf } from "./exchange.ts";
import type { LineClient } from "./line-client.ts";

/** A message's flags as a client keeps them. */
export type Copy = ReadonlyMap<number, string>;

/**
 * Clients that keep a copy of one mailbox by what they are told, and come back after having been away. What they go on from is
 * the highest modseq that they were told, wherever it stood: RFC 7162 §3.2.
 */
export abstract class Follower {
  readonly mailbox: string;
  readonly #connect: () => Promise<LineClient>;
  #client: LineClient | undefined;
  protected readonly known: Map<number, string> = new Map();
  protected uidValidity = 0;
  protected modSeq = 0;

  constructor(mailbox: string, connect: () => Promise<LineClient>) {
    this.mailbox = mailbox;
    this.#connect = connect;
  }

  get copy(): Copy {
    return this.known;
  }

  /** Connects, if it is not connected, and brings the copy to the present. */
  async resync(): Promise<void> {
    if (!this.#client) {
      this.#client = await this.#connect();
      await this.begin();
    }
    await this.catchUp();
  }

  /** Looks at all while others change what there is, and is away before it is told the rest. */
  async glance(): Promise<void> {
    await this.ask("FETCH 1:* (UID FLAGS MODSEQ)");
    this.leave();
  }

  get isThere(): boolean {
    return this.#client !== undefined;
  }

  leave(): void {
    this.#client?.end();
    this.#client = undefined;
  }

  /** What it says first. */
  protected abstract begin(): Promise<void>;
  protected abstract catchUp(): Promise<void>;

  /** Gives a command, and keeps what is answered. */
  protected async ask(command: string): Promise<readonly string[]> {
    const responses = responsesOf(await this.#client!.command(command));
    if (!/^t\d+ OK/.test(responses.at(-1)!)) throw new Error(`${command}: ${responses.at(-1)}`);
    for (const response of responses) this.#take(response);
    return responses;
  }

  /** Up to which uid it has all: what came above, and was told as EXISTS alone, it has still to ask for. */
  protected get last(): number {
    return Math.max(0, ...this.known.keys());
  }

  #take(response: string): void {
    const uidValidity = Number(/\[UIDVALIDITY (\d+)\]/.exec(response)?.[1] ?? this.uidValidity);
    if (uidValidity !== this.uidValidity) this.known.clear();
    this.uidValidity = uidValidity;
    const vanished = /^\* VANISHED (?:\(EARLIER\) )?(\S+)$/.exec(response)?.[1];
    if (vanished !== undefined) for (const uid of numbersOf(vanished)) this.known.delete(uid);
    const uid = /^\* \d+ FETCH .*\bUID (\d+)/.exec(response)?.[1];
    const flags = /\bFLAGS \(([^)]*)\)/.exec(response)?.[1];
    if (uid !== undefined && flags !== undefined) this.known.set(Number(uid), flagsText(flags));
    for (const [, told] of response.matchAll(/\b(?:HIGHEST)?MODSEQ \(?(\d+)/g))
      this.modSeq = Math.max(this.modSeq, Number(told));
  }
}

export function flagsText(flags: string): string {
  const kept = flags.split(" ").filter((flag) => flag !== "" && flag !== "\\Recent");
  return kept.sort().join(" ");
}

/** By QRESYNC alone: RFC 7162 §3.2.5. */
export class QresyncFollower extends Follower {
  protected async begin(): Promise<void> {
    await this.ask("ENABLE QRESYNC");
  }

  protected async catchUp(): Promise<void> {
    const known = this.uidValidity === 0 ? "" : ` (QRESYNC (${this.uidValidity} ${Math.max(1, this.modSeq)}))`;
    const { last } = this;
    await this.ask(`SELECT ${this.mailbox}${known}`);
    await this.ask(`UID FETCH ${last + 1}:* (FLAGS)`);
  }
}

/** By CHANGEDSINCE, and by the uids that are there for what is gone: RFC 7162 §3.2.1. */
export class ChangedSinceFollower extends Follower {
  protected async begin(): Promise<void> {
    await this.ask("ENABLE CONDSTORE");
  }

  protected async catchUp(): Promise<void> {
    const [since, last] = [Math.max(1, this.modSeq), this.last];
    await this.ask(`SELECT ${this.mailbox} (CONDSTORE)`);
    await this.ask(`UID FETCH 1:* (FLAGS) (CHANGEDSINCE ${since})`);
    await this.ask(`UID FETCH ${last + 1}:* (FLAGS)`);
    const answer = await this.ask("UID SEARCH RETURN (ALL) ALL");
    const there = /^\* ESEARCH .* ALL (\S+)$/m.exec(answer.join("\n"))?.[1];
    const uids = new Set(there === undefined ? [] : numbersOf(there));
    for (const uid of [...this.known.keys()]) if (!uids.has(uid)) this.known.delete(uid);
  }
}

/** By what it is told unasked, for as long as it is there: RFC 5465. It comes back by QRESYNC. */
export class NotifyFollower extends QresyncFollower {
  protected override async begin(): Promise<void> {
    await super.begin();
    await this.ask("NOTIFY SET (selected (MessageNew (FLAGS) MessageExpunge FlagChange))");
  }

  /** Nothing is asked of the mailbox: a command that says nothing of it is answered behind all that was told. */
  override async resync(): Promise<void> {
    if (this.isThere) await this.ask("CAPABILITY");
    else await super.resync();
  }
}
