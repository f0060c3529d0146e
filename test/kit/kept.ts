import { expect } from "vitest";
import { connectImap, type LineClient } from "./line-client.ts";
import { type LoadKind, messageOf, select, type Word } from "./load.ts";

/** Checks of an account after a fault, against the answers that loads had. */
export const MAILBOXES = ["INBOX", "Archive", "Drafts", "Trash", "Sent", "Junk"] as const;
type MailboxName = (typeof MAILBOXES)[number];
/** Messages that are fetched at once: an answer is one string. */
const FETCH_MAX = 200;

/** Words of a load of one kind: ids of changes by word. */
export interface Said extends Readonly<Record<Word, Set<string>>> {
  readonly kind: LoadKind;
}

export function saidOf(kind: LoadKind): Said {
  return { kind, sent: new Set(), done: new Set(), refused: new Set() };
}

/** Where somebody signs in. */
export interface Door {
  readonly port: number;
  readonly user: string;
  readonly password: string;
}

interface Found {
  readonly uid: string;
  /** Without \Recent, which is a session's own. */
  readonly flags: readonly string[];
  readonly body: string;
}

/** A mailbox as it was read: the load's messages by their id; one that is there twice is listed twice. */
export interface ReadMailbox {
  readonly uidValidity: string;
  readonly uidNext: string;
  readonly found: ReadonlyMap<string, readonly Found[]>;
}

/** Meanings that clients saw: the message that a uid names, for ever. */
export type Meanings = Map<string, string>;

/** Reads a whole mailbox. */
export async function readMailbox(client: LineClient, mailbox: string, meanings: Meanings): Promise<ReadMailbox> {
  const selected = await select(client, mailbox);
  const [uidValidity, uidNext] = ["UIDVALIDITY", "UIDNEXT"].map(
    (word) => new RegExp(`\\[${word} (\\d+)\\]`).exec(selected)!.at(1)!,
  ) as [string, string];
  const exists = Number(/^\* (\d+) EXISTS/m.exec(selected)![1]);
  const found = new Map<string, Found[]>();
  for (let from = 1; from <= exists; from += FETCH_MAX) {
    const to = Math.min(exists, from + FETCH_MAX - 1);
    const answer = await client.command(`FETCH ${from}:${to} (UID FLAGS BODY.PEEK[])`);
    expect(answer.slice(-200)).toMatch(/^t\d+ OK/m);
    for (const match of answer.matchAll(/FETCH \(UID (\d+) FLAGS \(([^)]*)\) BODY\[\] \{(\d+)\}\r\n/g)) {
      const start = match.index + match[0].length;
      const whole = answer.slice(start, start + Number(match[3]));
      const body = whole.replace(/^Return-Path[\s\S]*?\tfor <[^\r]*\r\n/, "");
      const id = /^Subject: ([lafcv]\d+x\d+)\r$/m.exec(body)?.[1];
      if (!id) continue;
      const name = `${uidValidity} ${match[1]}`;
      expect(meanings.get(name) ?? id, `${mailbox} ${name} changed its message`).toBe(id);
      meanings.set(name, id);
      const flags = match[2]!.split(" ").filter((flag) => flag !== "" && flag !== "\\Recent");
      found.set(id, [...(found.get(id) ?? []), { uid: match[1]!, flags: flags.toSorted(), body }]);
    }
  }
  for (const [id, copies] of found) for (const { body } of copies) expect(body, id).toBe(messageOf(id));
  return { uidValidity, uidNext, found };
}

/** The names below Boxes. */
export async function listBoxes(client: LineClient): Promise<ReadonlySet<string>> {
  const answer = await client.command('LIST "" Boxes/*');
  return new Set([...answer.matchAll(/Boxes\/(\w+)"?\r\n/g)].map((match) => match[1]!));
}

/**
 * A change with a positive reply is there exactly once, one with a negative reply is not, and one without a reply is wholly
 * there or not at all. Resolves with how many were acknowledged.
 */
export async function look(door: Door, loads: readonly Said[], meanings: Meanings): Promise<number> {
  const client = await connectImap(door.port, door.user, door.password);
  const read = new Map<MailboxName, ReadMailbox>();
  for (const mailbox of MAILBOXES) read.set(mailbox, await readMailbox(client, mailbox, meanings));
  const boxes = await listBoxes(client);
  client.end();
  const copiesIn: CopiesIn = (mailbox, id) => read.get(mailbox)!.found.get(id) ?? [];
  for (const said of loads) for (const id of said.sent) checkChange(id, said, copiesIn, boxes);
  return loads.reduce((sum, { done }) => sum + done.size, 0);
}

type CopiesIn = (mailbox: MailboxName, id: string) => readonly Found[];

function checkChange(id: string, said: Said, copiesIn: CopiesIn, boxes: ReadonlySet<string>): void {
  const { kind, sent, done, refused } = said;
  switch (kind) {
    case "lmtp":
    case "append": {
      const copies = copiesIn(kind === "lmtp" ? "INBOX" : "Archive", id).length;
      expect(copies, `${id} of ${kind}`).toBeLessThanOrEqual(1);
      if (done.has(id)) expect(copies, `${id} was acknowledged`).toBe(1);
      if (refused.has(id)) expect(copies, `${id} was refused`).toBe(0);
      break;
    }
    case "flags": {
      if (!id.startsWith("f")) break;
      const copies = [...copiesIn("Drafts", id), ...copiesIn("Trash", id)];
      expect(copies, id).toHaveLength(1);
      if (done.has(id)) expect(copies[0]!.flags, id).toContain("\\Flagged");
      if (refused.has(id)) expect(copies[0]!.flags, id).not.toContain("\\Flagged");
      if (done.has(`m${id}`)) expect(copiesIn("Trash", id), `${id} was moved`).toHaveLength(1);
      if (refused.has(`m${id}`)) expect(copiesIn("Drafts", id), `${id} was not moved`).toHaveLength(1);
      break;
    }
    case "copies": {
      if (!id.startsWith("c")) break;
      expect(copiesIn("Junk", id).length, `${id} was copied`).toBeLessThanOrEqual(1);
      if (done.has(id)) expect(copiesIn("Junk", id), `${id} was copied`).toHaveLength(1);
      if (refused.has(id)) expect(copiesIn("Junk", id), `${id} was not copied`).toHaveLength(0);
      if (done.has(`e${id}`)) expect(copiesIn("Sent", id), `${id} was expunged`).toHaveLength(0);
      if (!sent.has(`e${id}`) || refused.has(`e${id}`)) expect(copiesIn("Sent", id), id).toHaveLength(1);
      break;
    }
    case "mailboxes":
      if (id.startsWith("b")) checkBox(id, said, boxes);
  }
}

/** A mailbox that was made, renamed and perhaps deleted, as far as that was acknowledged or may have been done. */
function checkBox(id: string, { sent, done, refused }: Said, boxes: ReadonlySet<string>): void {
  const [first, second] = [boxes.has(id), boxes.has(`r${id}`)];
  const mayBeDone = (change: string): boolean => sent.has(change) && !refused.has(change);
  expect(first && second, `${id} has two names`).toBe(false);
  if (done.has(`d${id}`)) expect(first || second, `${id} was deleted`).toBe(false);
  else if (!mayBeDone(`d${id}`)) {
    if (done.has(id)) expect(first || second, `${id} was made`).toBe(true);
    if (done.has(`r${id}`)) expect(second, `${id} was renamed`).toBe(true);
  }
  if (!mayBeDone(id)) expect(first, `${id} was not made`).toBe(false);
  if (!mayBeDone(`r${id}`)) expect(second, `${id} was not renamed`).toBe(false);
}
