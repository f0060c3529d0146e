import { type Exchange, numbersOf, responsesOf } from "./exchange.ts";
import type { UidLedger } from "./uid-ledger.ts";

/** How sessions fared. */
export interface SessionCounts {
  ok: number;
  /** Temporary failures of commands, and of sign-ins: NO [UNAVAILABLE]. */
  unavailable: number;
  unavailableLogins: number;
  /** Positive replies on a connection that had had a temporary failure. */
  wentOn: number;
  byes: number;
  /** Connections that ended amid an answer because their host was killed. */
  killed: number;
}

/** True if the session's host was killed between these times. */
export type WasKilled = (from: number, to: number) => boolean;

/** A connection stands so long at most before its first command. */
const CONNECT_US = 5_000_000;

interface Selected {
  readonly path: string;
  readonly uidValidity: number;
  readonly uidNext: number;
  readonly highestModSeq: number;
  /** When its SELECT was sent. */
  readonly since: number;
  /** By position; undefined where no uid was told. */
  readonly uids: (number | undefined)[];
  /** The modseq that this session was told of each uid. */
  readonly modSeqs: Map<number, number>;
  readonly expunged: Set<number>;
  /** Nothing was told since SELECT's answer. */
  fresh: boolean;
}

const ALL_GONE = "NO [EXPUNGEISSUED]";
const WHOLE = "UID FETCH 1:* (UID FLAGS ";

/**
 * One session as its client has to understand it: sequence numbers, uids and flags, from what stood on the wire. What can't
 * be true of one session is reported to the ledger, and all else is told to it.
 */
export class SessionMirror {
  readonly #ledger: UidLedger;
  readonly #counts: SessionCounts;
  readonly #wasKilled: WasKilled;
  #begunAt: number | undefined;
  #selected: Selected | undefined;
  #hadFailure = false;

  constructor(ledger: UidLedger, counts: SessionCounts, wasKilled: WasKilled) {
    this.#ledger = ledger;
    this.#counts = counts;
    this.#wasKilled = wasKilled;
  }

  take(exchange: Exchange): void {
    this.#begunAt ??= exchange.sentAt;
    const responses = responsesOf(exchange.answer);
    const tagged = exchange.ended ? undefined : /^t\d+ (.*)$/.exec(responses.at(-1) ?? "")?.[1];
    const refused = tagged !== undefined && !tagged.startsWith("OK");
    this.#count(exchange, responses, tagged);
    if (!refused) this.#takeAsked(exchange, tagged !== undefined);
    else if (tagged.startsWith(ALL_GONE)) this.#takeGone(exchange);
    if (/^SELECT /.test(exchange.command)) this.#takeSelect(exchange, responses, tagged?.startsWith("OK") === true);
    else this.#takeOther(exchange, responses, tagged);
  }

  #count({ session, command, answer, ended, gotAt }: Exchange, responses: readonly string[], tagged?: string): void {
    const counts = this.#counts;
    if (responses.some((line) => line.startsWith("* BYE"))) counts.byes++;
    else if (ended && this.#wasKilled(this.#begunAt! - CONNECT_US, gotAt)) counts.killed++;
    else if (ended) this.#ledger.report(`${session}: ${command}: the connection ended after ${answer.slice(-200)}`);
    if (tagged === undefined) return;
    if (tagged.startsWith("OK")) {
      counts.ok++;
      if (this.#hadFailure) counts.wentOn++;
      this.#hadFailure = false;
    } else if (tagged.startsWith("NO [UNAVAILABLE]")) {
      if (command === "LOGIN") counts.unavailableLogins++;
      else counts.unavailable++;
      this.#hadFailure = true;
    } else if (!tagged.startsWith(ALL_GONE))
      this.#ledger.report(`${session}: ${command} was answered ${answer.slice(-200)}`);
  }

  /** Tells the ledger of the changes that a command which was not refused may have made. */
  #takeAsked({ command, sentAt, gotAt }: Exchange, isDone: boolean): void {
    const id = /^APPEND .* (\S+)$/.exec(command)?.[1];
    if (id !== undefined) this.#ledger.sent(id, sentAt);
    const selected = this.#selected;
    if (!selected) return;
    const away = /^UID (?:MOVE|EXPUNGE) ([\d:,]+)/.exec(command)?.[1];
    if (away !== undefined)
      for (const uid of numbersOf(away)) this.#ledger.awayAsked(selected.uidValidity, uid, sentAt);
    const change = /^UID STORE ([\d:,]+) ([+-])FLAGS\S* \((.*)\)$/.exec(command);
    if (!change) return;
    const [, set, sign, flags] = change as unknown as [string, string, string, string];
    const asked = {
      mode: sign === "+" ? "add" : "remove",
      flags: flags.split(" "),
      doneAt: isDone ? gotAt : Number.POSITIVE_INFINITY,
    } as const;
    for (const uid of numbersOf(set)) this.#ledger.flagsAsked(selected.uidValidity, uid, asked);
  }

  /** That all messages which a command named are gone says so of each. */
  #takeGone({ command, gotAt }: Exchange): void {
    const set = /^UID \S+ ([\d:,]+)/.exec(command)?.[1];
    if (set === undefined || !this.#selected) return;
    for (const uid of numbersOf(set)) this.#ledger.expunged(this.#selected.uidValidity, uid, gotAt);
  }

  #takeSelect({ session, command, sentAt, gotAt }: Exchange, responses: readonly string[], isOk: boolean): void {
    this.#selected = undefined;
    if (!isOk) return;
    const numberIn = (pattern: RegExp): number => Number(pattern.exec(responses.join("\n"))?.[1]);
    const [uidValidity, uidNext] = [numberIn(/\[UIDVALIDITY (\d+)\]/), numberIn(/\[UIDNEXT (\d+)\]/)];
    const path = /^SELECT ([^ ]+)/.exec(command)![1]!;
    this.#ledger.named(uidValidity, path);
    this.#ledger.next(uidValidity, uidNext, { askedAt: sentAt, at: gotAt });
    const highest = numberIn(/\[HIGHESTMODSEQ (\d+)\]/);
    if (!Number.isNaN(highest)) this.#ledger.highest(uidValidity, highest, { askedAt: sentAt, at: gotAt });
    const uids = Array.from({ length: numberIn(/^\* (\d+) EXISTS$/m) }, () => undefined);
    const told = { uids, modSeqs: new Map(), expunged: new Set<number>(), fresh: true };
    this.#selected = { path, uidValidity, uidNext, highestModSeq: highest, since: sentAt, ...told };
    // A client that comes back is told of the changes that it missed.
    const flagsByUid = new Map<number, readonly string[]>();
    for (const response of responses)
      if (/^\* (?:VANISHED|\d+ FETCH) /.test(response))
        this.#takeMailboxData(response, this.#selected, { session, gotAt }, flagsByUid);
  }

  #takeOther(exchange: Exchange, responses: readonly string[], tagged: string | undefined): void {
    const { command, gotAt } = exchange;
    const selected = this.#selected;
    const isListing = selected?.fresh === true && command.startsWith(WHOLE);
    const length = selected?.uids.length ?? 0;
    const flagsByUid = new Map<number, readonly string[]>();
    for (const response of responses) {
      this.#takeStatus(response, exchange);
      this.#takeUidCodes(response, exchange);
      if (selected) this.#takeMailboxData(response, selected, exchange, flagsByUid);
    }
    if (!selected) return;
    selected.fresh = false;
    if (!isListing || !tagged?.startsWith("OK")) return;
    const { path, uidValidity, uidNext, highestModSeq, since } = selected;
    // A message that changed since may be told at a lower modseq than its own.
    const modSeqByUid = new Map([...selected.modSeqs].filter(([, modSeq]) => modSeq < highestModSeq));
    if (flagsByUid.size !== length)
      this.#ledger.report(`${exchange.session}: ${path} has ${length} messages, and ${flagsByUid.size} were fetched`);
    this.#ledger.listed(uidValidity, { uidNext, flagsByUid, modSeqByUid, since, at: gotAt });
  }

  #takeStatus(response: string, { sentAt, gotAt }: Exchange): void {
    const highest = /^\* STATUS "?[^" ]+"? \(UIDVALIDITY (\d+) .*HIGHESTMODSEQ (\d+)/.exec(response);
    if (highest) this.#ledger.highest(Number(highest[1]), Number(highest[2]), { askedAt: sentAt, at: gotAt });
    const status = /^\* STATUS "?([^" ]+)"? \(UIDVALIDITY (\d+) UIDNEXT (\d+)/.exec(response);
    if (!status) return;
    this.#ledger.named(Number(status[2]), status[1]!);
    this.#ledger.next(Number(status[2]), Number(status[3]), { askedAt: sentAt, at: gotAt });
  }

  #takeUidCodes(response: string, { command, sentAt, gotAt }: Exchange): void {
    const asked = { askedAt: sentAt, at: gotAt };
    const appended = /^t\d+ OK \[APPENDUID (\d+) (\d+)\]/.exec(response);
    const id = /^APPEND .* (\S+)$/.exec(command)?.[1];
    if (appended && id !== undefined) this.#ledger.made(Number(appended[1]), Number(appended[2]), asked, { id });
    const copied = /^(?:\*|t\d+) OK \[COPYUID (\d+) (\S+) (\S+)\]/.exec(response);
    if (!copied || !this.#selected) return;
    const { uidValidity } = this.#selected;
    const [from, to] = [numbersOf(copied[2]!), numbersOf(copied[3]!)];
    const moved = command.startsWith("UID MOVE");
    if (from.length !== to.length) this.#ledger.report(`COPYUID does not pair up: ${response}`);
    for (const [at, uid] of from.entries())
      this.#ledger.made(Number(copied[1]), to[at]!, asked, { uidValidity, uid, moved });
  }

  #takeMailboxData(
    response: string,
    selected: Selected,
    { session, gotAt }: Pick<Exchange, "session" | "gotAt">,
    flagsByUid: Map<number, readonly string[]>,
  ): void {
    const vanished = /^\* VANISHED (\(EARLIER\) )?(\S+)$/.exec(response);
    if (vanished) this.#takeVanished(numbersOf(vanished[2]!), vanished[1] !== undefined, selected, { session, gotAt });
    const data = /^\* (\d+) (EXISTS|EXPUNGE|FETCH)/.exec(response);
    if (!data) return;
    const number = Number(data[1]);
    const { uids, expunged, uidValidity, path, since } = selected;
    const wrong = (text: string): void => this.#ledger.report(`${session}: ${path}: ${text}`);
    if (data[2] === "EXISTS") {
      if (number < uids.length) wrong(`${number} EXISTS, and there were ${uids.length}`);
      while (uids.length < number) uids.push(undefined);
      return;
    }
    if (number < 1 || number > uids.length) {
      wrong(`${response} of ${uids.length} messages`);
      return;
    }
    if (data[2] === "EXPUNGE") {
      const [uid] = uids.splice(number - 1, 1);
      if (uid === undefined) return;
      expunged.add(uid);
      this.#ledger.expunged(uidValidity, uid, gotAt);
      return;
    }
    const uid = Number(/[( ]UID (\d+)/.exec(response)?.[1] ?? uids[number - 1]);
    if (Number.isNaN(uid)) return;
    const known = uids[number - 1] ?? uid;
    if (known !== uid) wrong(`message ${number} had uid ${known} and has ${uid}`);
    const [below = 0, above = Number.POSITIVE_INFINITY] = [uids[number - 2], uids[number]];
    if (uid <= below || uid >= above) wrong(`uid ${uid} is between ${below} and ${above}`);
    if (expunged.has(uid)) wrong(`uid ${uid} was expunged and came back`);
    uids[number - 1] = uid;
    const listed = /[( ]FLAGS \(([^)]*)\)/.exec(response)?.[1];
    const flags = listed?.split(" ").filter((flag) => flag !== "" && flag !== "\\Recent");
    if (flags) flagsByUid.set(uid, flags);
    const id = /^Subject: (\S+)\r$/m.exec(response)?.[1];
    const modSeq = this.#takeModSeq(response, uid, selected, wrong);
    this.#ledger.shown(uidValidity, uid, { id, flags, modSeq }, { since, at: gotAt });
  }

  #takeModSeq(response: string, uid: number, { modSeqs }: Selected, wrong: (text: string) => void): number | undefined {
    const told = /[( ]MODSEQ \((\d+)\)/.exec(response)?.[1];
    if (told === undefined) return undefined;
    const [modSeq, before = 0] = [Number(told), modSeqs.get(uid)];
    if (modSeq < before) wrong(`uid ${uid} had the modseq ${before} and has ${modSeq}`);
    modSeqs.set(uid, modSeq);
    return modSeq;
  }

  /** Messages that went before this session looked are none of those that it sees. */
  #takeVanished(
    gone: readonly number[],
    isEarlier: boolean,
    { uids, expunged, uidValidity, path }: Selected,
    { session, gotAt }: Pick<Exchange, "session" | "gotAt">,
  ): void {
    const wrong = (text: string): void => this.#ledger.report(`${session}: ${path}: ${text}`);
    if (isEarlier) {
      for (const uid of gone) if (uids.includes(uid)) wrong(`uid ${uid} vanished before, and is seen`);
      this.#ledger.vanished(uidValidity, gone, gotAt);
      return;
    }
    for (const uid of gone) {
      const known = uids.indexOf(uid);
      // One that was never fetched has its place where its neighbours leave one.
      const above = uids.findIndex((other) => other !== undefined && other > uid);
      const unknown = uids.slice(0, above < 0 ? uids.length : above).lastIndexOf(undefined);
      const place = known < 0 ? unknown : known;
      if (place < 0) wrong(`uid ${uid} vanished, and was not there`);
      else uids.splice(place, 1);
      expunged.add(uid);
      this.#ledger.expunged(uidValidity, uid, gotAt);
    }
  }
}
