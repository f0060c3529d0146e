import { decodeOffsets } from "@restante/mime";
import { readThrough } from "../../mail/contents/contents.ts";
import type { Uid } from "../../mail/numbers.ts";
import { DELETED, SEEN } from "../../mail/state/flags.ts";
import type { ReadMailbox } from "../../mail/state/read-state.ts";
import type { AccountSession } from "../session.ts";

/** Damage, by place; no content. */
export interface Finding {
  readonly mailbox: string;
  readonly uid?: Uid;
  readonly problem: string;
}

export interface CheckReport {
  readonly mailboxes: number;
  readonly messages: number;
  readonly findings: readonly Finding[];
}

/**
 * The owner's check: the log's chain and every op were verified when the account was opened; this opens every summary and
 * every body, and counts again what is kept as counts. `onDone` hears of each message.
 */
export async function checkAccount(
  session: AccountSession,
  onDone: () => void = () => undefined,
): Promise<CheckReport> {
  const unreadable = await session.retryNotes();
  const findings: Finding[] = unreadable.map((note) => ({ mailbox: "", problem: `${note} can't be opened` }));
  if (session.barred) findings.push({ mailbox: "", problem: session.barred });
  const mailboxes = session.state.liveMailboxes();
  let messages = 0;
  for (const mailbox of mailboxes) {
    messages += mailbox.messages.length;
    findings.push(...checkCounts(session, mailbox), ...(await checkMessages(session, mailbox.path, onDone)));
  }
  if ((await session.countLostPages()) > 0)
    findings.push({ mailbox: "", problem: "a page of what searches and lists show can't be read" });
  const validities = new Set(mailboxes.map((mailbox) => mailbox.uidValidity));
  if (validities.size !== mailboxes.length)
    findings.push({ mailbox: "", problem: "two mailboxes have one UIDVALIDITY" });
  return { mailboxes: mailboxes.length, messages, findings };
}

function checkCounts({ state }: AccountSession, mailbox: ReadMailbox): Finding[] {
  const counted = { unseen: 0, deleted: 0, bytes: 0 };
  const findings: Finding[] = [];
  let previous = 0;
  for (let position = 0; position < mailbox.messages.length; position++) {
    const row = mailbox.messages.at(position);
    const uid = state.memberships.columns.uid.get(row);
    if (uid <= previous || uid >= mailbox.uidNext)
      findings.push({ mailbox: mailbox.path, uid, problem: "uid out of order" });
    if (!state.isLive(row)) findings.push({ mailbox: mailbox.path, uid, problem: "a message that is gone is listed" });
    previous = uid;
    const bits = state.bitsOf(row);
    if ((bits & SEEN) === 0) counted.unseen++;
    if ((bits & DELETED) !== 0) counted.deleted++;
    counted.bytes += state.sizeOf(row);
  }
  for (const [name, count] of Object.entries(counted))
    if (mailbox[name as keyof typeof counted] !== count)
      findings.push({ mailbox: mailbox.path, problem: `the count of ${name} is wrong` });
  return findings;
}

async function checkMessages(session: AccountSession, path: string, onDone: () => void): Promise<Finding[]> {
  const findings: Finding[] = [];
  const view = session.openView(session.getMailbox(path).id, { readOnly: true });
  for (let position = 0; position < view.length; position++) {
    const message = view.message(position);
    try {
      const [summary] = await session.readSummaries([message]);
      const size = message.state.sizeOf(message.row);
      if (decodeOffsets(summary!.offsets).bodyEnd !== size) throw new RangeError("offsets do not fit the size");
      const body = await session.openBody(message);
      if ((await readThrough(body)) !== size) throw new RangeError("the body has another size");
    } catch (error) {
      findings.push({
        mailbox: path,
        uid: view.uidAt(position),
        problem: error instanceof Error ? error.message : String(error),
      });
    }
    onDone();
  }
  return findings;
}
