import { expect, test, vi } from "vitest";
import { openView } from "../mail/mailbox-view.ts";
import { asUid, FIRST_UID, higherOf, type ModSeq, NO_MODSEQ } from "../mail/numbers.ts";
import { mailboxChanges, vanishedSince } from "../mail/state/feed.ts";
import type { ReadState } from "../mail/state/read-state.ts";
import type { MailState } from "../mail/state/state.ts";
import { MemoryPlace } from "../storage/memory.ts";
import { clock, makeAccount, open, stream, unlessConflict, visible } from "../testing/account-kit.ts";
import { extent } from "../testing/extent.ts";
import { Follower, feeds, fresh } from "../testing/feed-kit.ts";
import { rowsOf } from "../testing/world-kit.ts";
import type { Account } from "./account.ts";
import { checkAccount } from "./care/check.ts";
import { AccountSession } from "./session.ts";

// So little is remembered of what went that most followers hear of some floor.
vi.mock("../mail/checkpoint/shrink.ts", async (original) => {
  const shrinking = await original<typeof import("../mail/checkpoint/shrink.ts")>();
  const limits = { removals: 20, goneMailboxes: 2 };
  return {
    ...shrinking,
    hasDeadWeight: (state: MailState) => shrinking.hasDeadWeight(state, limits),
    shrink: (...[state, numbering, breathe]: Parameters<typeof shrinking.shrink>) =>
      shrinking.shrink(state, numbering, breathe, limits),
  };
});

const CHANGES = Number(process.env.RESTANTE_FOLLOWED_CHANGES ?? extent(2000, 250));
const HOUR_MS = 3_600_000;
const ALL = [{ first: FIRST_UID, last: asUid(0xffffffff) }];

/** Numbers that a seed gives. */
function dice(seed: number): (below: number) => number {
  let state = seed >>> 0 || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

/** One who keeps a mailbox's uids and flags, as QRESYNC's clients do: RFC 7162 §3.2. */
class UidFollower {
  #held = new Map<number, string>();
  #modSeq: ModSeq = NO_MODSEQ;
  #uidValidity = 0;
  resyncs = 0;

  follow(state: ReadState): void {
    const { inbox } = state;
    const { uid } = state.memberships.columns;
    const now = new Map(rowsOf(inbox).map((row) => [uid.get(row), state.flagNames(row).join()]));
    if (inbox.uidValidity !== this.#uidValidity) [this.#held, this.#modSeq] = [new Map(), NO_MODSEQ];
    this.#uidValidity = inbox.uidValidity;
    // I3: none of what is new or changed has a modseq that this one was told all up to.
    const changes = mailboxChanges(state, inbox, this.#modSeq);
    if (!changes) this.resyncs++;
    for (const { first, last } of vanishedSince(state, inbox, this.#modSeq, ALL))
      for (const known of this.#held.keys()) if (known >= first && known <= last) this.#held.delete(known);
    for (const changed of changes?.changed ?? now.keys()) this.#held.set(changed, now.get(changed)!);
    expect(inbox.highestModSeq).toBeGreaterThanOrEqual(this.#modSeq);
    this.#modSeq = inbox.highestModSeq;
    expect([...this.#held].sort(([a], [b]) => a - b)).toEqual([...now]);
  }
}

class Followed {
  readonly next: (below: number) => number;
  readonly place = new MemoryPlace(() => clock.now++);
  readonly processes: Account[] = [];
  #open: () => Promise<Account> = () => Promise.reject(new Error("not begun"));
  #mails = 0;

  constructor(seed: number) {
    this.next = dice(seed);
  }

  async begin(): Promise<void> {
    const { ring } = await makeAccount(this.place);
    this.#open = () => open(this.place, ring());
    this.processes.push(await this.#open(), await this.#open());
  }

  async restart(at: number): Promise<void> {
    await this.processes[at]!.dispose();
    this.processes[at] = await this.#open();
  }

  /** One change; what is refused, since the other process was faster, is none. */
  async change(account: Account): Promise<void> {
    const { mail } = account;
    const paths = mail.state.liveMailboxes().map(({ path }) => path);
    const path = this.next(3) > 0 ? "INBOX" : paths[this.next(paths.length)]!;
    const target = paths[this.next(paths.length)]!;
    const view = openView(mail, mail.getMailbox(path).id, { readOnly: false });
    const some = Array.from({ length: view.length }, (_, at) => at).filter(() => this.next(6) === 0);
    switch (this.next(12)) {
      case 0:
      case 1:
      case 2:
      case 3: {
        const n = ++this.#mails;
        const answers = n > 5 && n % 3 === 0 ? `In-Reply-To: <${n - 1 - this.next(4)}@x>\r\n` : "";
        const text = `Subject: m\r\nMessage-ID: <${n}@x>\r\n${answers}\r\n${"x".repeat(this.next(30))}\r\n`;
        await account.append(
          account.mail.getMailbox(path).id,
          await account.prepare(stream(text), { mailbox: path, flags: [] }),
        );
        return;
      }
      case 4:
      case 5: {
        const flags = [["\\Seen"], ["\\Deleted"], ["$one", "two"], [`k${this.next(9)}`]][this.next(4)]!;
        await view.setFlags(some, { mode: (["add", "add", "remove"] as const)[this.next(3)]!, flags });
        return;
      }
      case 6:
      case 7:
        await view.setFlags(some, { mode: "add", flags: ["\\Deleted"] });
        await view.expunge(some);
        return;
      case 8:
        await view.move(some, account.mail.getMailbox(target).id);
        return;
      case 9:
        await view.copy(some.slice(0, 4), account.mail.getMailbox(target).id);
        return;
      case 10:
        if (this.next(2) === 0 || path === "INBOX") await mail.create(`box ${this.next(6)}`);
        else await mail.delete(mail.getMailbox(path).id);
        return;
      default: {
        const value = this.next(3) === 0 ? undefined : Uint8Array.of(this.next(200));
        await mail.push({ kind: "record", records: [{ type: "identity", id: String(this.next(8)), value }] });
      }
    }
  }

  /** Upkeep as it comes now and then, or a restart as after a crash. */
  async care(at: number): Promise<void> {
    const account = this.processes[at]!;
    switch (this.next(12)) {
      case 0:
        return account.upkeep.checkpoint().catch(unlessConflict);
      case 1:
        return account.upkeep.checkpoint("sweep").catch(unlessConflict);
      case 2:
        return account.upkeep.checkpoint("anew").catch(unlessConflict);
      case 3:
        clock.now += this.next(14) * HOUR_MS;
        return account.upkeep.run().catch(unlessConflict);
      case 4:
        return this.next(3) === 0 ? this.restart(at) : undefined;
    }
  }
}

const REFUSALS: readonly string[] = ["not-found", "already-exists", "not-permitted", "expunged", "invalid"];
function unlessRefused(error: unknown): void {
  if (!REFUSALS.includes(String((error as { code?: unknown }).code))) throw error;
}

test(`followers in pages hold what a fresh one gets, after each of ${CHANGES} changes by two processes, whatever upkeep does`, async () => {
  const seed = Number(process.env.RESTANTE_TEST_SEED ?? Date.now() % 1_000_000);
  process.stdout.write(`seed=${seed}\n`);
  const followed = new Followed(seed);
  await followed.begin();
  const { processes, next } = followed;
  const names = Object.keys(feeds);
  // Of each kind one that reads a page after each change, and one that is told all each time.
  const slow = names.map((name) => new Follower(name));
  const quick = names.map((name) => new Follower(name));
  const uids = [1, 20, 80].map((often) => ({ often, follower: new UidFollower() }));
  let [told, numberings] = [0, new Set<number>()];
  for (let change = 0; change < CHANGES; change++) {
    const at = next(2);
    await followed.change(processes[at]!).catch(unlessRefused);
    await followed.care(next(2));
    // The follower asks any of the two processes, which look at the log before they answer.
    const asked = processes[next(2)]!;
    await asked.refresh();
    const { state } = asked.mail;
    numberings.add(state.pages.numbering);
    for (const [n, name] of names.entries()) {
      expect(quick[n]!.follow(state, Number.POSITIVE_INFINITY, 1 + next(50)), `change ${change}`).toBe(true);
      expect(quick[n]!.held, `change ${change}, ${name}`).toEqual(fresh[name]!(state));
      if (!slow[n]!.follow(state, 1, 1 + next(4))) continue;
      told++;
      expect(slow[n]!.held, `change ${change}, ${name}`).toEqual(fresh[name]!(state));
    }
    for (const { often, follower } of uids) if (next(often) === 0) follower.follow(state);
  }
  expect(told).toBeGreaterThan(CHANGES);
  expect(numberings.size).toBeGreaterThan(CHANGES / 40);
  await Promise.all(processes.map((account) => account.refresh()));
  const [one, two] = processes.map(({ mail }) => mail.state);
  const floor = higherOf(one!.floor, two!.floor);
  expect(visible(one!, floor)).toEqual(visible(two!, floor));
  for (const account of processes) {
    const { findings } = await checkAccount(new AccountSession({ address: "a@x" }, account, () => undefined));
    expect(findings).toEqual([]);
  }
  await Promise.all(processes.map((account) => account.dispose()));
  // Among many some came too late for what is remembered.
  expect(uids[2]!.follower.resyncs).toBeGreaterThanOrEqual(extent(1, 0));
}, 600_000);
