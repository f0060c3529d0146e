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
  protected readonly glancing: string = "FETCH 1:* (UID FLAGS MODSEQ)";

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
    await this.ask(this.glancing);
    this.leave();
  }

  get isThere(): boolean {
    return this.#client !== undefined;
  }

  leave(): void {
    this.#client?.end();
    this.#client = undefined;
  }

  /** Gives its first commands on a new connection. */
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
    // The copy is by uid: flags without one would be lost, and their modseq be taken for known.
    if (uid === undefined && flags !== undefined && / FETCH /.test(response)) throw new Error(`no uid: ${response}`);
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
  /** Unasked answers have uids with the commands for uids alone. */
  protected override readonly glancing = "UID FETCH 1:* (FLAGS MODSEQ)";

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

/** A list that a client keeps by ADDTO and REMOVEFROM, of uids or of sequence numbers: RFC 5267 §4.3. */
class KeptResult {
  readonly #program: string;
  #tag = "";
  #list: number[] = [];

  /** `program` goes without RETURN. */
  constructor(program: string) {
    this.#program = program;
  }

  get #isSorted(): boolean {
    return this.#program.includes("SORT");
  }

  async begin(client: LineClient): Promise<void> {
    const answer = await client.command(this.#program.replace(/(SEARCH|SORT)/, "$1 RETURN (UPDATE ALL)"));
    this.#tag = /^\* ESEARCH \(TAG "([^"]+)"\)/m.exec(answer)![1]!;
    const all = /^\* ESEARCH .* ALL (\S+)/m.exec(answer)?.[1];
    this.#list = all === undefined ? [] : numbersOf(all);
  }

  take(response: string): void {
    const expunged = /^\* (\d+) EXPUNGE$/.exec(response)?.[1];
    if (expunged !== undefined && !this.#program.startsWith("UID")) this.#expunge(Number(expunged));
    if (!response.startsWith(`* ESEARCH (TAG "${this.#tag}")`)) return;
    for (const [, item, pairs] of response.matchAll(/(ADDTO|REMOVEFROM) \(([^)]*)\)/g)) {
      const words = pairs!.split(" ");
      for (let at = 0; at < words.length; at += 2) {
        const numbers = numbersOf(words[at + 1]!);
        if (item === "ADDTO") this.#add(Number(words[at]), numbers);
        else this.#remove(Number(words[at]), numbers);
      }
    }
  }

  #expunge(number: number): void {
    if (this.#list.includes(number)) throw new Error(`${number} is expunged before it was taken out`);
    this.#list = this.#list.map((one) => (one > number ? one - 1 : one));
  }

  #add(position: number, numbers: readonly number[]): void {
    if (numbers.some((number) => this.#list.includes(number))) throw new Error("added twice");
    if (position > 0) this.#list.splice(position - 1, 0, ...numbers);
    else this.#list = [...this.#list, ...numbers].sort((a, b) => a - b);
  }

  #remove(position: number, numbers: readonly number[]): void {
    if (position === 0 && !this.#isSorted) {
      if (!numbers.every((number) => this.#list.includes(number))) throw new Error("what is taken out is not there");
      this.#list = this.#list.filter((number) => !numbers.includes(number));
      return;
    }
    const gone = this.#list.splice(position - 1, numbers.length);
    if (gone.join() !== numbers.join()) throw new Error(`${gone} taken out in place of ${numbers}`);
  }

  /** The result that is kept, and the one that a search finds now. */
  async compare(client: LineClient): Promise<{ readonly kept: readonly number[]; readonly found: readonly number[] }> {
    const answer = await client.command(this.#program.replace(/(SEARCH|SORT)/, "$1 RETURN (ALL)"));
    for (const response of responsesOf(answer)) this.take(response);
    const all = /^\* ESEARCH \(TAG "[^"]+"\)(?: UID)? ALL (\S+)/m.exec(answer)?.[1];
    return { kept: this.#list, found: all === undefined ? [] : numbersOf(all) };
  }
}

/** A client that keeps results of searches. */
export class ResultsFollower {
  readonly #connect: () => Promise<LineClient>;
  #client: LineClient | undefined;
  #results: readonly KeptResult[] = [];

  constructor(connect: () => Promise<LineClient>) {
    this.#connect = connect;
  }

  /** Of each result what it is kept as, and what a search finds. */
  async compare(): Promise<readonly { readonly kept: readonly number[]; readonly found: readonly number[] }[]> {
    if (!this.#client) await this.#begin();
    const client = this.#client!;
    for (const response of responsesOf(await client.command("NOOP")))
      for (const result of this.#results) result.take(response);
    const compared = [];
    for (const result of this.#results) compared.push(await result.compare(client));
    return compared;
  }

  async #begin(): Promise<void> {
    this.#client = await this.#connect();
    await this.#client.command("SELECT INBOX");
    this.#results = [
      "UID SEARCH UNSEEN",
      "SEARCH NOT KEYWORD work",
      "UID SORT (REVERSE SUBJECT) UTF-8 UNFLAGGED",
      "SORT (SUBJECT ARRIVAL) UTF-8 OR UNSEEN FLAGGED",
    ].map((program) => new KeptResult(program));
    for (const result of this.#results) await result.begin(this.#client);
  }

  leave(): void {
    this.#client?.end();
    this.#client = undefined;
  }
}
