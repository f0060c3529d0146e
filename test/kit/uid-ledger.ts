import { Rising } from "./rising.ts";
import {
  type Asked,
  type FlagsAsked,
  keptFlags,
  type Listing,
  type Looked,
  type MailboxRecord,
  newUidRecord,
  type Seen,
  type Source,
  type UidRecord,
} from "./uid-records.ts";

/**
 * A record of all that sessions of one account were told of uids, on all hosts; it judges if that can be true. A mailbox
 * is known by its UIDVALIDITY, which is unique in an account; messages by the ids that loads gave them.
 *
 * All is judged by times of one clock: what was told before a command was sent must hold in what that command gives.
 */
export class UidLedger {
  readonly #mailboxes = new Map<number, MailboxRecord>();
  readonly #uidValidityByPath = new Map<string, number>();
  /** When the first try to store the message began; a refused one is none. */
  readonly #sentAt = new Map<string, number>();
  readonly #flagsAsked = new Map<string, Set<string>>();
  readonly #wrong = new Set<string>();

  /** Contradictions: answers that can't all be true. */
  get wrong(): readonly string[] {
    return [...this.#wrong];
  }

  /** For what a session finds by itself. */
  report(text: string): void {
    this.#wrong.add(text);
  }

  /** A message was handed over, and not refused. */
  sent(id: string, at: number): void {
    this.#sentAt.set(id, Math.min(this.#sentAt.get(id) ?? at, at));
  }

  /** The mailbox of that name has that UIDVALIDITY. */
  named(uidValidity: number, path: string): void {
    const mailbox = this.#mailbox(uidValidity);
    const known = this.#uidValidityByPath.get(path) ?? uidValidity;
    if (known !== uidValidity) this.report(`${path}: UIDVALIDITY was ${known} and is ${uidValidity}`);
    if (mailbox.path !== undefined && mailbox.path !== path)
      this.report(`UIDVALIDITY ${uidValidity} is of ${mailbox.path} and of ${path}`);
    mailbox.path = path;
    this.#uidValidityByPath.set(path, uidValidity);
  }

  /** UIDNEXT was told in answer to a command that was sent at `askedAt`. */
  next(uidValidity: number, uidNext: number, { askedAt, at }: Asked): void {
    this.#mailbox(uidValidity).nexts.push({ uidNext, askedAt, at });
  }

  /** HIGHESTMODSEQ was told in answer to a command that looked at all of the mailbox. */
  highest(uidValidity: number, modSeq: number, { askedAt, at }: Asked): void {
    this.#mailbox(uidValidity).highestModSeqs.push({ modSeq, askedAt, at });
  }

  /** A command that makes this uid was answered. */
  made(uidValidity: number, uid: number, { askedAt, at }: Asked, source: Source): void {
    const record = this.#uid(uidValidity, uid);
    record.seenAt = Math.min(record.seenAt, at);
    record.bornAfter = Math.max(record.bornAfter, askedAt);
    if (record.source) this.report(`${this.#nameOf(uidValidity, uid)} was made twice`);
    record.source = source;
    if ("id" in source) this.#identify(uidValidity, uid, source.id);
    else if (source.moved) {
      const from = this.#uid(source.uidValidity, source.uid);
      if (from.moved) this.report(`${this.#nameOf(source.uidValidity, source.uid)} was moved twice`);
      from.moved = true;
      from.goneAt = Math.min(from.goneAt, at);
    }
  }

  /** A session that looks since `since` was shown the message. */
  shown(uidValidity: number, uid: number, seen: Seen, { since, at }: Looked): void {
    const record = this.#uid(uidValidity, uid);
    record.seenAt = Math.min(record.seenAt, at);
    record.shownSince = Math.max(record.shownSince, since);
    if (seen.id !== undefined) this.#identify(uidValidity, uid, seen.id);
    for (const flag of seen.flags ?? []) record.flagsShown.add(flag);
    if (seen.modSeq !== undefined) this.#mailbox(uidValidity).modSeqs.push({ at, value: seen.modSeq });
  }

  /** All of a mailbox as it was at a moment after `since`, its UIDNEXT too. */
  listed(uidValidity: number, listing: Listing): void {
    this.#mailbox(uidValidity).listings.push(listing);
  }

  /** A session was told that the message is expunged. */
  expunged(uidValidity: number, uid: number, at: number): void {
    const record = this.#uid(uidValidity, uid);
    record.goneAt = Math.min(record.goneAt, at);
  }

  /** A session that came back was told that these uids are gone, perhaps some that nobody ever saw. */
  vanished(uidValidity: number, uids: readonly number[], at: number): void {
    const known = this.#mailbox(uidValidity).uids;
    for (const uid of uids) if (known.has(uid)) this.expunged(uidValidity, uid, at);
  }

  /** A command that takes the message out of its mailbox was sent, and not refused. */
  awayAsked(uidValidity: number, uid: number, at: number): void {
    const record = this.#uid(uidValidity, uid);
    record.awayAskedAt = Math.min(record.awayAskedAt, at);
  }

  /** A STORE that was not refused; with `doneAt` it was acknowledged. */
  flagsAsked(uidValidity: number, uid: number, change: FlagsAsked): void {
    this.#uid(uidValidity, uid).flagChanges.push(change);
  }

  /** Judges what came since the last time. All commands must have been answered. */
  judge(): void {
    this.#spreadIdentities();
    this.#spreadFlags();
    for (const [uidValidity, mailbox] of this.#mailboxes) {
      this.#judgeNexts(uidValidity, mailbox);
      this.#judgeModSeqs(uidValidity, mailbox);
      for (const listing of mailbox.listings) this.#judgeListing(uidValidity, mailbox, listing);
      for (const uid of mailbox.uids.keys()) this.#judgeUid(uidValidity, mailbox, uid);
      mailbox.listings = [];
    }
  }

  /** How many uids were told. */
  get uidsTold(): number {
    return [...this.#mailboxes.values()].reduce((sum, { uids }) => sum + uids.size, 0);
  }

  #judgeNexts(uidValidity: number, mailbox: MailboxRecord): void {
    const told = new Rising(mailbox.nexts.map(({ at, uidNext }) => ({ at, value: uidNext })));
    const seen = new Rising([...mailbox.uids].map(([uid, { seenAt }]) => ({ at: seenAt, value: uid })));
    for (const { uidNext, askedAt } of mailbox.nexts) {
      const before = told.highestBefore(askedAt);
      if (uidNext < before) this.report(`${mailbox.path} ${uidValidity}: UIDNEXT went from ${before} to ${uidNext}`);
      const uid = seen.highestBefore(askedAt);
      if (uidNext <= uid) this.report(`${mailbox.path} ${uidValidity}: UIDNEXT ${uidNext} after uid ${uid} was told`);
    }
    for (const [uid, record] of mailbox.uids) {
      const bornAfter = Math.max(record.bornAfter, this.#sentAt.get(record.id ?? "") ?? 0);
      const before = told.highestBefore(bornAfter);
      if (uid < before) this.report(`${this.#nameOf(uidValidity, uid)} is new below UIDNEXT ${before}`);
    }
    // Enough to judge what comes by.
    mailbox.nexts = mailbox.nexts.toSorted((a, b) => b.uidNext - a.uidNext).slice(0, 1);
  }

  #judgeModSeqs(uidValidity: number, mailbox: MailboxRecord): void {
    const highest = new Rising(mailbox.highestModSeqs.map(({ at, modSeq }) => ({ at, value: modSeq })));
    const shown = new Rising(mailbox.modSeqs);
    for (const { modSeq, askedAt } of mailbox.highestModSeqs) {
      const told = Math.max(highest.highestBefore(askedAt), shown.highestBefore(askedAt));
      if (modSeq < told) this.report(`${mailbox.path} ${uidValidity}: HIGHESTMODSEQ ${modSeq} after ${told} was told`);
    }
    mailbox.highestModSeqs = mailbox.highestModSeqs.toSorted((a, b) => b.modSeq - a.modSeq).slice(0, 1);
    mailbox.modSeqs = mailbox.modSeqs.toSorted((a, b) => b.value - a.value).slice(0, 1);
  }

  #judgeListing(uidValidity: number, { uids }: MailboxRecord, listing: Listing): void {
    const { uidNext, flagsByUid, modSeqByUid, since, at } = listing;
    for (const [uid, record] of uids) {
      const flags = flagsByUid.get(uid);
      const modSeq = modSeqByUid.get(uid);
      if (flags && modSeq !== undefined) {
        const [before, now] = [record.flagsByModSeq.get(modSeq), [...flags].sort().join(" ")];
        if (before !== undefined && before !== now)
          this.report(`${this.#nameOf(uidValidity, uid)} was ${before} and is ${now} at the modseq ${modSeq}`);
        record.flagsByModSeq.set(modSeq, now);
      }
      if (flags === undefined) {
        if (record.seenAt < since || uid < uidNext) record.goneAt = Math.min(record.goneAt, at);
        continue;
      }
      for (const flag of keptFlags(record, since))
        if (!flags.includes(flag)) this.report(`${this.#nameOf(uidValidity, uid)} lost its flag ${flag}`);
    }
  }

  #judgeUid(uidValidity: number, mailbox: MailboxRecord, uid: number): void {
    const record = mailbox.uids.get(uid)!;
    const name = this.#nameOf(uidValidity, uid);
    if (record.goneAt < Number.POSITIVE_INFINITY && record.awayAskedAt >= record.goneAt)
      this.report(`${name} is gone, and nobody had asked for that`);
    if (record.shownSince > record.goneAt) this.report(`${name} came back`);
    if (record.id === undefined) return;
    if (!this.#sentAt.has(record.id)) this.report(`${name} was refused to all who sent it`);
    const asked = this.#flagsAsked.get(record.id);
    for (const flag of record.flagsShown)
      if (!asked?.has(flag)) this.report(`${name} has the flag ${flag} that nobody gave it`);
  }

  #identify(uidValidity: number, uid: number, id: string): void {
    const record = this.#uid(uidValidity, uid);
    if (record.id !== undefined && record.id !== id) this.report(`${this.#nameOf(uidValidity, uid)} is ${id} as well`);
    record.id ??= id;
  }

  /** A copy is the message that it was made of. */
  #spreadIdentities(): void {
    for (const [uidValidity, { uids }] of this.#mailboxes)
      for (const uid of uids.keys()) {
        const id = this.#originOf(uidValidity, uid);
        if (id !== undefined) this.#identify(uidValidity, uid, id);
      }
  }

  #originOf(uidValidity: number, uid: number): string | undefined {
    const { source, id } = this.#uid(uidValidity, uid);
    if (!source || "id" in source) return id;
    return this.#originOf(source.uidValidity, source.uid) ?? id;
  }

  /** Flags follow a message to where it is moved and copied. */
  #spreadFlags(): void {
    for (const { uids } of this.#mailboxes.values())
      for (const { id, flagChanges } of uids.values()) {
        if (id === undefined || flagChanges.length === 0) continue;
        const asked = this.#flagsAsked.get(id) ?? new Set();
        for (const { flags } of flagChanges) for (const flag of flags) asked.add(flag);
        this.#flagsAsked.set(id, asked);
      }
  }

  #nameOf(uidValidity: number, uid: number): string {
    const { path } = this.#mailbox(uidValidity);
    return `${path ?? ""} ${uidValidity} uid ${uid} (${this.#uid(uidValidity, uid).id ?? "unknown"})`;
  }

  #mailbox(uidValidity: number): MailboxRecord {
    let mailbox = this.#mailboxes.get(uidValidity);
    if (!mailbox) {
      mailbox = { path: undefined, uids: new Map(), nexts: [], highestModSeqs: [], modSeqs: [], listings: [] };
      this.#mailboxes.set(uidValidity, mailbox);
    }
    return mailbox;
  }

  #uid(uidValidity: number, uid: number): UidRecord {
    const { uids } = this.#mailbox(uidValidity);
    let record = uids.get(uid);
    if (!record) {
      record = newUidRecord();
      uids.set(uid, record);
    }
    return record;
  }
}
