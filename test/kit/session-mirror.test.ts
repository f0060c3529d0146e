import { expect, test } from "vitest";
import type { Exchange } from "./exchange.ts";
import { type SessionCounts, SessionMirror } from "./session-mirror.ts";
import { UidLedger } from "./uid-ledger.ts";

/** That each lie which a server could tell is found, and none where all is true. */

const LIST = "UID FETCH 1:* (UID FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])";
const OK = "t1 OK done\r\n";

/** Sessions of one account; one command after the other, whoever gives it. */
class Told {
  readonly ledger = new UidLedger();
  readonly counts: SessionCounts = { ok: 0, unavailable: 0, unavailableLogins: 0, wentOn: 0, byes: 0, killed: 0 };
  readonly #mirrors = new Map<string, SessionMirror>();
  #at = 0;

  take(session: string, command: string, answer: string, options: Partial<Exchange> = {}): this {
    const mirror = this.#mirrors.get(session) ?? new SessionMirror(this.ledger, this.counts, () => false);
    this.#mirrors.set(session, mirror);
    const [sentAt, gotAt] = [++this.#at, ++this.#at];
    mirror.take({ session, command, sentAt, gotAt, answer, ended: false, ...options });
    return this;
  }

  append(id: string, uid: number, uidValidity = 7): this {
    return this.take("writer", `APPEND INBOX {3+} ${id}`, `t1 OK [APPENDUID ${uidValidity} ${uid}] done\r\n`);
  }

  select(session: string, exists: number, uidNext: number, uidValidity = 7): this {
    const answer = `* ${exists} EXISTS\r\n* OK [UIDNEXT ${uidNext}] x\r\n* OK [UIDVALIDITY ${uidValidity}] x\r\n${OK}`;
    return this.take(session, "SELECT INBOX", answer);
  }

  list(session: string, messages: Readonly<Record<number, string>>, flags = ""): this {
    const lines = Object.entries(messages).map(
      ([uid, id], at) => `* ${at + 1} FETCH (UID ${uid} FLAGS (${flags}) ${subject(id)})\r\n`,
    );
    return this.take(session, LIST, `${lines.join("")}${OK}`);
  }

  get wrong(): readonly string[] {
    this.ledger.judge();
    return this.ledger.wrong;
  }
}

function subject(id: string): string {
  const text = `Subject: ${id}\r\n\r\n`;
  return `BODY[HEADER.FIELDS (SUBJECT)] {${text.length}}\r\n${text}`;
}

test("what is true is not called wrong", () => {
  const told = new Told()
    .append("a", 1)
    .append("b", 2)
    .select("reader", 2, 3)
    .list("reader", { 1: "a", 2: "b" })
    .take("reader", "UID STORE 1 +FLAGS (\\Flagged)", `* 1 FETCH (FLAGS (\\Flagged) UID 1)\r\n${OK}`)
    .take("reader", "UID MOVE 1 Other", `* OK [COPYUID 8 1 5] Moved\r\n* 1 EXPUNGE\r\n${OK}`)
    .append("c", 3)
    .select("other", 2, 4)
    .list("other", { 2: "b", 3: "c" });
  expect(told.wrong).toEqual([]);
  expect(told.ledger.uidsTold).toBe(4);
});

test("a uid that names two messages is found", () => {
  const told = new Told().append("a", 1).append("b", 2).select("reader", 2, 3).list("reader", { 1: "b", 2: "b" });
  expect(told.wrong).toContainEqual(expect.stringContaining("uid 1 (a) is b as well"));
});

test("two messages that were given one uid are found", () => {
  expect(new Told().append("a", 1).append("b", 1).wrong).toContainEqual(expect.stringContaining("made twice"));
});

test("a copy that is another message is found", () => {
  const told = new Told()
    .append("a", 1)
    .append("b", 2)
    .select("reader", 2, 3)
    .take("reader", "UID COPY 1 INBOX", "t1 OK [COPYUID 7 1 3] done\r\n")
    .select("other", 3, 4)
    .list("other", { 1: "a", 2: "b", 3: "b" });
  expect(told.wrong).toContainEqual(expect.stringContaining("uid 3 (b) is a as well"));
});

test("a UIDNEXT that goes back is found", () => {
  const told = new Told().append("a", 1).select("one", 1, 5).select("two", 1, 4);
  expect(told.wrong).toContainEqual(expect.stringContaining("UIDNEXT went from 5 to 4"));
});

test("a UIDNEXT that does not lie above what was told is found", () => {
  expect(new Told().append("a", 4).select("one", 1, 4).wrong).toContainEqual(expect.stringContaining("after uid 4"));
});

test("a new message below a UIDNEXT that was told is found", () => {
  const told = new Told().append("a", 1).select("one", 1, 5).append("b", 4);
  expect(told.wrong).toContainEqual(expect.stringContaining("uid 4 (b) is new below UIDNEXT 5"));
});

test("a message that nobody expunged and that is not listed is found", () => {
  const told = new Told().append("a", 1).append("b", 2).select("one", 1, 3).list("one", { 2: "b" });
  expect(told.wrong).toEqual([expect.stringContaining("uid 1 (a) is gone, and nobody had asked")]);
});

test("an expunge that was refused and is told as done is found", () => {
  const told = new Told()
    .append("a", 1)
    .select("one", 1, 2)
    .list("one", { 1: "a" })
    .take("one", "UID EXPUNGE 1", "t1 NO [UNAVAILABLE] later\r\n")
    .take("one", "NOOP", `* 1 EXPUNGE\r\n${OK}`);
  expect(told.wrong).toEqual([expect.stringContaining("uid 1 (a) is gone, and nobody had asked")]);
});

test("an expunged message that comes back is found", () => {
  const told = new Told()
    .append("a", 1)
    .select("one", 1, 2)
    .list("one", { 1: "a" })
    .take("one", "UID EXPUNGE 1", `* 1 EXPUNGE\r\n${OK}`)
    .select("two", 1, 2)
    .list("two", { 1: "a" });
  expect(told.wrong).toEqual([expect.stringContaining("uid 1 (a) came back")]);
});

test("one message that two moves got is found", () => {
  const told = new Told()
    .append("a", 1)
    .select("one", 1, 2)
    .select("two", 1, 2)
    .take("one", "UID MOVE 1 Other", `* OK [COPYUID 8 1 1] Moved\r\n${OK}`)
    .take("two", "UID MOVE 1 Third", `* OK [COPYUID 9 1 1] Moved\r\n${OK}`);
  expect(told.wrong).toContainEqual(expect.stringContaining("uid 1 (a) was moved twice"));
});

test("a UIDVALIDITY that changes, and one of two mailboxes, are found", () => {
  expect(new Told().select("one", 0, 1, 7).select("two", 0, 1, 8).wrong).toEqual(["INBOX: UIDVALIDITY was 7 and is 8"]);
  const status = `* STATUS Other (UIDVALIDITY 7 UIDNEXT 1 MESSAGES 0)\r\n${OK}`;
  const told = new Told().select("one", 0, 1).take("one", "STATUS Other (UIDVALIDITY UIDNEXT MESSAGES)", status);
  expect(told.wrong).toEqual(["UIDVALIDITY 7 is of INBOX and of Other"]);
});

test("a flag that was acknowledged and is not there, and one that nobody gave, are found", () => {
  const told = new Told()
    .append("a", 1)
    .select("one", 1, 2)
    .take("one", "UID STORE 1 +FLAGS (\\Flagged)", OK)
    .select("two", 1, 2)
    .list("two", { 1: "a" }, "\\Answered");
  expect(told.wrong).toEqual([
    expect.stringContaining("lost its flag \\Flagged"),
    expect.stringContaining("has the flag \\Answered that nobody gave it"),
  ]);
});

test("a message that was refused and is there is found", () => {
  const told = new Told()
    .take("writer", "APPEND INBOX {3+} a", "t1 NO [UNAVAILABLE] later\r\n")
    .select("one", 1, 2)
    .list("one", { 1: "a" });
  expect(told.wrong).toEqual([expect.stringContaining("uid 1 (a) was refused to all who sent it")]);
});

test("numbers that no session can have are found", () => {
  const told = new Told().append("a", 1).append("b", 2).select("one", 2, 3).list("one", { 1: "a", 2: "b" });
  told.take("one", "NOOP", `* 1 EXISTS\r\n* 3 EXPUNGE\r\n* 2 FETCH (UID 1 FLAGS ())\r\n${OK}`);
  expect(told.wrong).toEqual([
    expect.stringContaining("1 EXISTS, and there were 2"),
    expect.stringContaining("3 EXPUNGE of 2 messages"),
    expect.stringContaining("message 2 had uid 2 and has 1"),
    expect.stringContaining("uid 1 is between 1 and Infinity"),
  ]);
});

test("another refusal than a temporary one, and a connection that ends without BYE, are found", () => {
  const told = new Told()
    .take("one", "NOOP", "t1 BAD what\r\n")
    .take("two", "NOOP", "", { ended: true })
    .take("three", "NOOP", "* BYE look it up\r\n", { ended: true });
  expect(told.wrong).toEqual([
    expect.stringContaining("NOOP was answered t1 BAD"),
    expect.stringContaining("the connection ended"),
  ]);
  expect(told.counts.byes).toBe(1);
});

test("what a client that comes back is told is true", () => {
  const told = new Told()
    .append("a", 1)
    .append("b", 2)
    .append("c", 3)
    .select("one", 3, 4)
    .list("one", { 1: "a", 2: "b", 3: "c" })
    .take("one", "UID STORE 2 +FLAGS (\\Deleted)", `* 2 FETCH (FLAGS (\\Deleted) UID 2 MODSEQ (9))\r\n${OK}`)
    .take("one", "UID EXPUNGE 2", `* VANISHED 2\r\n${OK}`)
    .take(
      "two",
      "SELECT INBOX (QRESYNC (7 5))",
      `* 2 EXISTS\r\n* OK [UIDNEXT 4] x\r\n* OK [UIDVALIDITY 7] x\r\n* OK [HIGHESTMODSEQ 10] x\r\n* VANISHED (EARLIER) 2,40\r\n* 2 FETCH (UID 3 FLAGS () MODSEQ (6))\r\n${OK}`,
    )
    .take("two", "NOOP", `* VANISHED 1\r\n${OK}`);
  expect(told.wrong).toEqual([expect.stringContaining("uid 1 (a) is gone, and nobody had asked")]);
});

test("modseqs that can't be are found", () => {
  const fetched = (modSeq: number, flags = "") => `* 1 FETCH (UID 1 FLAGS (${flags}) MODSEQ (${modSeq}))\r\n${OK}`;
  const selected = (highest: number) =>
    `* 1 EXISTS\r\n* OK [UIDNEXT 2] x\r\n* OK [UIDVALIDITY 7] x\r\n* OK [HIGHESTMODSEQ ${highest}] x\r\n${OK}`;
  const told = new Told()
    .append("a", 1)
    .take("one", "SELECT INBOX", selected(9))
    .take("one", "UID FETCH 1:* (UID FLAGS MODSEQ)", fetched(8))
    .take("one", "NOOP", fetched(7))
    .take("two", "SELECT INBOX", selected(9))
    .take("two", "UID STORE 1 +FLAGS (\\Seen)", OK)
    .take("three", "SELECT INBOX", selected(8))
    .take("three", "UID FETCH 1:* (UID FLAGS MODSEQ)", fetched(7))
    .take("two", "SELECT INBOX", selected(10))
    .take("two", "UID FETCH 1:* (UID FLAGS MODSEQ)", fetched(8, "\\Seen"));
  expect(told.wrong).toEqual(
    expect.arrayContaining([
      expect.stringContaining("uid 1 had the modseq 8 and has 7"),
      expect.stringContaining("HIGHESTMODSEQ 8 after 9 was told"),
      expect.stringContaining("at the modseq 8"),
    ]),
  );
});

test("what vanished twice, or is seen and vanished before, is found", () => {
  const told = new Told()
    .append("a", 1)
    .select("one", 1, 2)
    .list("one", { 1: "a" })
    .take("one", "UID FETCH 1 (FLAGS) (CHANGEDSINCE 1 VANISHED)", `* VANISHED (EARLIER) 1\r\n${OK}`)
    .take("one", "UID EXPUNGE 1", `* VANISHED 1\r\n${OK}`)
    .take("one", "NOOP", `* VANISHED 1\r\n${OK}`);
  expect(told.wrong).toEqual(
    expect.arrayContaining([
      expect.stringContaining("uid 1 vanished before, and is seen"),
      expect.stringContaining("uid 1 vanished, and was not there"),
    ]),
  );
});

test("a refusal since all is gone is believed where somebody asked for that, and found where nobody did", () => {
  const told = new Told()
    .append("a", 1)
    .append("b", 2)
    .select("one", 2, 3)
    .list("one", { 1: "a", 2: "b" })
    .take("two", "SELECT INBOX", `* 2 EXISTS\r\n* OK [UIDNEXT 3] x\r\n* OK [UIDVALIDITY 7] x\r\n${OK}`)
    .take("one", "UID MOVE 1 Other", `* OK [COPYUID 8 1 1] Moved\r\n* 1 EXPUNGE\r\n${OK}`)
    .take("two", "UID STORE 1 +FLAGS (\\Seen)", "t1 NO [EXPUNGEISSUED] gone\r\n");
  expect(told.wrong).toEqual([]);
  told.take("two", "UID COPY 2 Other", "t1 NO [EXPUNGEISSUED] gone\r\n");
  expect(told.wrong).toEqual([expect.stringContaining("uid 2 (b) is gone, and nobody had asked")]);
});
