import { createScanner, findHeader } from "@restante/mime";
import { hexBytes, hexText } from "../../bay/entry.ts";
import type { Ring } from "../../crypto/index.ts";
import { EngineError } from "../../errors.ts";
import { type Contents, readThrough } from "../../mail/contents/contents.ts";
import { type Digest, digest } from "../../mail/contents/digest.ts";
import type { Threads } from "../../mail/contents/threads.ts";
import type { Mail } from "../../mail/mail.ts";
import { openView } from "../../mail/mailbox-view.ts";
import { type EmailRow, FIRST_EMAIL_ROW, type Uid } from "../../mail/numbers.ts";
import { bodyName } from "../../mail/ops/names.ts";
import { DERIVED_GROUPS, DERIVED_PAGE_EMAILS, type DerivedGroup, isInPages } from "../../mail/state/pages.ts";
import type { ReadState } from "../../mail/state/read-state.ts";
import { ReferenceIndex, threadKeys } from "../../mail/state/reference-index.ts";
import { kindIn } from "../../storage/object-kinds.ts";
import type { ObjectStore } from "../../storage/object-store.ts";
import type { MessageWriter } from "../delivery/message-writer.ts";
import type { Notices } from "../delivery/notices.ts";
import type { MailLog } from "../open-log.ts";
import type { Platform } from "../platform.ts";
import { findMails, type SalvagedMail } from "./salvage.ts";
import type { Upkeep } from "./upkeep.ts";

/** Where messages go of which only the body is left. */
export const RECOVERED = "Recovered";
/** Where messages go of which nothing can be read any more. */
export const DAMAGED = "Damaged";

export interface RepairTools {
  readonly bay: MailLog;
  readonly messages: MessageWriter;
  readonly mail: Mail;
  readonly contents: Contents;
  readonly threads: Threads;
  readonly notices: Notices;
  readonly upkeep: Upkeep;
  readonly store: ObjectStore;
  readonly prefix: string;
  readonly platform: Platform;
  readonly ring: Ring;
  /** Hears of each message that was looked at. */
  readonly onDone: () => void;
}

export interface RepairReport {
  /** Messages whose place in the account was lost: they are in {@link RECOVERED} now. */
  readonly recovered: number;
  /** Emails whose page was lost, and is made anew out of their bodies. */
  readonly rebuilt: number;
  /** Messages whose body is lost: they were moved to {@link DAMAGED}, and a message says so where they were. */
  readonly lost: readonly { readonly mailbox: string; readonly uid: Uid }[];
}

/**
 * Mends what can be mended of an account that opens (docs/rules.md §8). Row pages and header pages say nothing that the
 * bodies don't: those that are lost are made anew. A body that is lost is lost; its message makes room for one that says
 * so, and is kept apart, since the store may show it again. Errors: `unavailable`.
 */
export async function repairAccount(tools: RepairTools): Promise<RepairReport> {
  const { mail, contents, upkeep } = tools;
  const recovered = tools.bay.barred === "partial" ? await tools.bay.acceptLoss(() => recoverLost(tools)) : 0;
  const rebuilt = await rebuildPages(tools);
  const derived = await lostDerived(mail.state, contents);
  tools.bay.state.losePages(derived);
  const lost: { readonly mailbox: string; readonly uid: Uid }[] = [];
  for (const { path } of mail.state.liveMailboxes()) if (path !== DAMAGED) lost.push(...(await setApart(tools, path)));
  if (rebuilt > 0) {
    await upkeep.checkpoint();
    contents.endRebuild();
  }
  const pages = new Set(DERIVED_GROUPS.flatMap((group) => [...derived[group]]));
  // Each checkpoint makes up for a page, in all groups that lack it.
  for (let page = rebuilt > 0 ? 1 : 0; page < pages.size; page++) await upkeep.checkpoint();
  return { recovered, rebuilt: rebuilt + emailsIn(pages, mail.state), lost };
}

function emailsIn(pages: ReadonlySet<number>, { emails }: ReadState): number {
  const { number } = emails.columns;
  let count = 0;
  for (let email = FIRST_EMAIL_ROW; email < emails.rows; email++)
    if (pages.has(Math.floor(number.get(email) / DERIVED_PAGE_EMAILS))) count++;
  return count;
}

/** Pages of texts and of ids that can't be read: searches, sorts and threads do without them, and read headers instead. */
export async function lostDerived(
  state: ReadState,
  contents: Pick<Contents, "readTexts" | "readIds">,
): Promise<Record<DerivedGroup, ReadonlySet<number>>> {
  const lost = { texts: new Set<number>(), ids: new Set<number>() };
  const read = { texts: contents.readTexts.bind(contents), ids: contents.readIds.bind(contents) };
  for (const group of DERIVED_GROUPS)
    for (const [page, name] of state.pages[group].entries())
      if (name !== "" && (await isDamaged(() => read[group](name)))) lost[group].add(page);
  return lost;
}

/**
 * Columns are lost: what stood there of mailboxes, uids and flags is gone, and the bodies are not. Goes on from what is
 * left; every UIDVALIDITY rises, and whoever else has the account open goes over to the new numbering. Bodies say where a
 * message came first and not where it went, nor whether it was deleted a short while ago; so all go into one mailbox.
 * Killed, the next repair may bring some once more.
 */
async function recoverLost(tools: RepairTools): Promise<number> {
  const { mail, messages, upkeep, store, prefix, platform, ring } = tools;
  await mail.push({ kind: "raise", seconds: Math.floor(platform.now() / 1000) });
  const isLost = (id: string): boolean => {
    const email = mail.state.findEmail(hexBytes(id));
    return email === undefined || !mail.state.isHeld(email);
  };
  let recovered = 0;
  // Mails that are written here lie in the store too, and are held.
  for await (const { body, receivedMs, flags } of findMails({ store, platform }, prefix, ring, undefined, isLost)) {
    const received = { timeMs: receivedMs, zoneMinutes: 0 };
    await messages.append(
      await mail.ensure(RECOVERED),
      await messages.write(body.read(0, body.size), { mailbox: RECOVERED, flags: [...flags], received }),
    );
    recovered++;
  }
  await upkeep.checkpoint("anew");
  return recovered;
}

/** Resolves with how many emails are known again of which a page was lost. */
async function rebuildPages(tools: RepairTools): Promise<number> {
  const { contents, threads, bay, store, prefix, platform, ring } = tools;
  const { state } = bay;
  const { id: ids, number: numbers } = state.emails.columns;
  const rows = await lostPages(state, (email) => contents.readRecord(state, email));
  const headers = await lostPages(state, (email) => contents.readHeader(state, email));
  const stranded = await strandedEmails(state, contents);
  const isInLost = (email: EmailRow): boolean => {
    const { page } = state.placeInPages(email);
    return rows.has(page) || headers.has(page) || stranded.has(email);
  };
  const mustIndex = !(await threads.isWhole());
  const wanted = new Map<string, EmailRow>();
  for (let email = FIRST_EMAIL_ROW; email < state.emails.rows; email++)
    if (mustIndex || isInLost(email)) wanted.set(hexText(ids.getId(email)), email);
  const references = new Map<number, Uint8Array>();
  let found = 0;
  if (wanted.size > 0)
    for await (const salvaged of findMails({ store, platform }, prefix, ring, undefined, (id) => wanted.has(id))) {
      const email = wanted.get(salvaged.id)!;
      wanted.delete(salvaged.id);
      found++;
      const made = await digestOf(salvaged, platform);
      references.set(numbers.get(email), threadKeys(made));
      if (!isInLost(email)) continue;
      const { name, offset, length } = salvaged.place;
      const record = { id: ids.getId(email), key: salvaged.key, object: { name, offset, length } };
      contents.rebuild(numbers.get(email), { ...record, summary: made.summary }, made.header);
    }
  // A page has a place for each of its emails, also for one of which nothing is left.
  for (const email of [...wanted.values()].filter(isInLost)) {
    const id = ids.getId(email);
    const { summary, header } = await digest(createScanner().finish(), 0);
    const object = { name: bodyName(id), offset: 0, length: 0 };
    contents.rebuild(numbers.get(email), { id, key: new Uint8Array(32), object, summary }, header);
  }
  state.losePages({ rows, headers });
  if (mustIndex) {
    const index = new ReferenceIndex();
    for (const [number, named] of [...references].sort(([a], [b]) => a - b)) index.add(named, number);
    state.references = index;
  }
  return found;
}

/** Emails that no page has yet, whose notes are gone: a checkpoint that is damaged by now held their bodies, and its packs do. */
async function strandedEmails(state: ReadState, contents: Contents): Promise<ReadonlySet<EmailRow>> {
  const stranded = new Set<EmailRow>();
  for (let email = state.tailStart; email < state.emails.rows; email++) {
    if (!state.isHeld(email)) continue;
    const { object } = await contents.readRecord(state, email);
    if (kindIn(object.name) === "note" && (await isDamaged(() => contents.openEmail(state, email))))
      stranded.add(email);
  }
  return stranded;
}

async function lostPages(state: ReadState, read: (email: EmailRow) => Promise<unknown>): Promise<Set<number>> {
  const lost = new Set<number>();
  let looked = -1;
  for (let email = FIRST_EMAIL_ROW; email < state.pages.emailRows; email++) {
    const { page } = state.placeInPages(email);
    if (page === looked || !isInPages(state.pages, state.emails.columns.number.get(email))) continue;
    looked = page;
    if (await isDamaged(() => read(email))) lost.add(page);
  }
  return lost;
}

async function digestOf({ body, receivedMs }: SalvagedMail, { breathe }: Platform): Promise<Digest> {
  const scanner = createScanner();
  for await (const piece of body.read(0, body.size)) scanner.push(piece);
  return digest(scanner.finish(), receivedMs, breathe);
}

/** Moves messages whose body can't be read away, and says so in their place. */
async function setApart(tools: RepairTools, path: string): Promise<{ readonly mailbox: string; readonly uid: Uid }[]> {
  const { mail, contents, notices, onDone } = tools;
  const view = openView(mail, mail.getMailbox(path).id, { readOnly: false });
  const lost: number[] = [];
  for (let position = 0; position < view.length; position++) {
    const message = view.message(position);
    const isLost = await isDamaged(async () => {
      const body = await contents.openBody(message);
      if ((await readThrough(body)) < body.size) throw new EngineError("corrupt", "a message's body is cut off");
    });
    if (isLost) lost.push(position);
    onDone();
  }
  if (lost.length === 0) return [];
  await mail.ensure(DAMAGED);
  for (const position of lost) {
    const { state, row } = view.message(position);
    const email = state.emailOf(row);
    const [header] = await contents.readHeaders([view.message(position)]).catch(unlessDamaged);
    const fields = header?.fields() ?? [];
    const known = ["From", "To", "Date", "Subject", "Message-ID"].flatMap((name) => {
      const value = findHeader(fields, name.toLowerCase());
      return value === undefined ? [] : [`    ${name}: ${value.replace(/[^\x20-\x7e]+/g, " ")}`];
    });
    const id = hexText(state.emails.columns.id.getId(email));
    await notices.tell(path, `lost ${id}`, "A message is lost", [
      `A message of ${state.sizeOf(row)} octets that came at ${new Date(state.receivedOf(row).timeMs).toUTCString()}`,
      "can't be read any more: the store has lost or damaged it. What is known of it:",
      "",
      ...known,
      "",
      `It is kept in ${DAMAGED}: if the store is brought back from a backup, it may be whole there.`,
    ]);
  }
  const told = lost.map((position) => ({ mailbox: path, uid: view.uidAt(position) }));
  await view.move(lost, await mail.ensure(DAMAGED));
  return told;
}

async function isDamaged(read: () => Promise<unknown>): Promise<boolean> {
  return read().then(
    () => false,
    (error: unknown) => unlessDamaged(error).length === 0,
  );
}

/** Nothing, for what is damaged; every other error is thrown on. */
function unlessDamaged(error: unknown): [] {
  if (error instanceof EngineError && error.code === "corrupt") return [];
  throw error;
}
