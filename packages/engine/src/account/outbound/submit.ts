import { formatAddrSpec, type HeaderBlock, parseAddresses } from "@restante/mime";
import { hexText } from "../../bay/entry.ts";
import { keyedHash, utf8 } from "../../crypto/index.ts";
import { EngineError } from "../../errors.ts";
import type { Body, Contents } from "../../mail/contents/contents.ts";
import type { Mail } from "../../mail/mail.ts";
import type { Platform } from "../platform.ts";
import { normalizeAddress } from "../sign-in/users.ts";
import { isOfBefore, withUnknownFate } from "./after-restore.ts";
import { outgoing } from "./outgoing.ts";
import type { OutboundQueue, PreparedMail, QueuePlace } from "./queue.ts";
import type { Envelope } from "./queued.ts";
import { decodeSubmission, SUBMISSION, type Submission } from "./submission.ts";
import type { SubmissionIndex } from "./submission-index.ts";
import type { SubmissionWriter } from "./submission-writer.ts";

/** The engine's tools on a server that sends mail. */
export interface Outbound {
  readonly queue: OutboundQueue;
  /** True for an address that is one of the account's own: its own, an alias that leads to it, any detail of these. */
  readonly isOwn: (owner: string, address: string) => Promise<boolean>;
  /** True for an address to which mail can be handed on; absent where the next server decides that. */
  readonly reaches?: (address: string) => Promise<boolean>;
  /** This process sends: it is told what it queued. */
  readonly sender?: { queued(place: QueuePlace): void };
  readonly limits: SubmitLimits;
}

export interface SubmitLimits {
  /** Octets of one message, and its recipients. */
  readonly bytesMax: number;
  readonly recipientsMax: number;
  /** Recipients of all messages of one account within a day. */
  readonly recipientsPerDay: number;
  /** Milliseconds that a mail may be held, and that every mail is. */
  readonly holdMsMax: number;
  readonly undoMs: number;
}

export interface SubmitRequest {
  /** The email that is sent, 16 bytes, and its thread; undefined where it is none of the account's. */
  readonly email?: { readonly id: Uint8Array; readonly thread: Uint8Array } | undefined;
  readonly identity?: string | undefined;
  readonly envelope: Envelope;
  /** The same in the words of the protocol that it came by, to be told again. */
  readonly said?: string | undefined;
  readonly message: Body;
  /** Milliseconds since 1970: not before. */
  readonly holdUntilMs?: number | undefined;
  /** Key of the request: a repeat with the same key submits nothing and is answered as the first one. */
  readonly repeatKey?: string | undefined;
  /** True for an MDN: its sender is empty, so that nothing comes back of it. RFC 8098 §3. */
  readonly isNotice?: boolean | undefined;
}

/** Why a mail can't be sent so: RFC 8621 §7.5. */
export class SubmitRefusal extends Error {
  readonly reason:
    | "noRecipients"
    | "invalidRecipients"
    | "tooManyRecipients"
    | "forbiddenMailFrom"
    | "forbiddenFrom"
    | "forbiddenToSend"
    | "invalidEmail"
    | "tooLarge"
    | "holdTooLong";
  /** Of `invalidRecipients`. */
  readonly addresses: readonly string[];
  /** Of `tooManyRecipients` and `tooLarge`. */
  readonly max: number | undefined;

  constructor(
    reason: SubmitRefusal["reason"],
    message: string,
    { addresses = [], max }: { readonly addresses?: readonly string[]; readonly max?: number } = {},
  ) {
    super(message);
    this.name = "SubmitRefusal";
    this.reason = reason;
    this.addresses = addresses;
    this.max = max;
  }
}

export interface SubmitTools {
  readonly mail: Mail;
  readonly contents: Pick<Contents, "readValue">;
  readonly index: SubmissionIndex;
  readonly writer: SubmissionWriter;
  readonly platform: Platform;
  readonly outbound: Outbound;
  /** The account's id, 16 bytes, and its owner's address. */
  readonly account: Uint8Array;
  readonly address: string;
  /** Secret from which ids of repeated requests are made: known to the account alone. */
  readonly repeatSecret: Uint8Array;
}

const DAY_MS: number = 24 * 60 * 60_000;
/** Milliseconds that a server lets a mail be held: 30 days. */
export const HOLD_MS_MAX: number = 30 * DAY_MS;
/** Milliseconds after which it is marked that a mail was put into the queue. */
const MARKED_MS = 5_000;
/** How long it is remembered what was submitted, once it is settled; and records that are forgotten at once. */
const REMEMBERED_MS: number = 30 * DAY_MS;
const FORGOTTEN_AT_ONCE = 100;

/**
 * Submits a mail: checked, then in the account's log, then in the queue; durable when it resolves. Killed in between,
 * {@link handOver} does the rest when the account is next opened. Throws {@link SubmitRefusal}; errors: `unavailable`,
 * `unknown-outcome`, `over-quota`.
 */
export async function submit(request: SubmitRequest, tools: SubmitTools): Promise<Submission> {
  const { platform, outbound } = tools;
  const repeated = request.repeatKey === undefined ? undefined : repeatId(request.repeatKey, tools);
  const known = request.repeatKey === undefined ? undefined : await findRepeated(request.repeatKey, tools);
  if (known) return known;
  const { isNotice = false } = request;
  const envelope = checkEnvelope(request.envelope, outbound.limits, isNotice);
  await checkReach(envelope, outbound);
  const { limits } = outbound;
  if (request.message.size > limits.bytesMax)
    throw new SubmitRefusal("tooLarge", "the message is too large to be sent", { max: limits.bytesMax });
  const madeMs = platform.now();
  const sendAtMs = Math.max(madeMs + limits.undoMs, request.holdUntilMs ?? 0);
  if (sendAtMs - madeMs > limits.holdMsMax) throw new SubmitRefusal("holdTooLong", "so long no mail is held");
  const message = await outgoing(request.message, { ...toolsOf(tools) });
  if (!message) throw new SubmitRefusal("invalidEmail", "the message has no header that ends");
  if (!isNotice) await checkMailFrom(envelope.mailFrom, tools);
  await checkAuthors(message.header, tools);
  await checkDay(envelope, madeMs, tools);
  const submission: Submission = {
    id: repeated ?? hexText(platform.crypto.random(16)),
    email: request.email?.id,
    thread: request.email?.thread,
    identity: request.identity ?? "",
    envelope,
    said: request.said ?? "",
    envid: hexText(platform.crypto.random(16)),
    madeMs,
    sendAtMs,
    undoStatus: "pending",
    recipients: envelope.recipients.map(({ address }) => ({
      address,
      state: "waiting",
      reply: "",
      delivered: "queued",
      isDisplayed: false,
    })),
    statusMails: [],
    readMails: [],
    isHanded: false,
  };
  const forgotten = await settledLongAgo(madeMs, tools);
  // Sealed while the record is stored, and put only then: what has no record is sent by nobody.
  const preparing = prepared(submission, message, tools);
  // Where the record fails nobody waits for it; else its failure is told below.
  preparing.catch(() => undefined);
  await tools.writer.write([submission], forgotten);
  try {
    await putIntoQueue(submission, await preparing, tools);
  } catch (error) {
    // It was surely not queued, and its client is told so: no later opening may queue it after all.
    if (error instanceof EngineError && error.code !== "unknown-outcome") await forgetUnqueued(submission, tools);
    throw error;
  }
  markHanded(submission, tools);
  return submission;
}

/** Where that fails too, {@link handOver} queues it: better twice than never. */
async function forgetUnqueued({ id }: Submission, { writer, platform }: SubmitTools): Promise<void> {
  try {
    await writer.write([], [id]);
  } catch (error) {
    platform.log({ level: "warn", event: "a submission can't be marked", error });
  }
}

/** The submission by an earlier request with this key. Errors: `unavailable`, `corrupt`. */
export async function findRepeated(repeatKey: string, tools: SubmitTools): Promise<Submission | undefined> {
  return findSubmission(repeatId(repeatKey, tools), tools);
}

function toolsOf({ platform, address }: SubmitTools) {
  return {
    now: platform.now,
    random: platform.crypto.random,
    domain: address.slice(address.lastIndexOf("@") + 1),
  };
}

function prepared(
  { id, envelope, envid, madeMs, sendAtMs }: Submission,
  message: { readonly needsUtf8: boolean; read(): AsyncIterable<Uint8Array> },
  { outbound, account, address }: SubmitTools,
): Promise<PreparedMail> {
  const { queue, sender } = outbound;
  const isForeign = [envelope.mailFrom, ...envelope.recipients.map((one) => one.address)].some((one) =>
    /[^\x00-\x7f]/.test(one),
  );
  return queue.prepare(
    {
      id,
      releaseMs: sendAtMs,
      account,
      address,
      envelope,
      envid,
      madeMs,
      needsUtf8: message.needsUtf8 || isForeign,
      isSentByMaker: sender !== undefined,
    },
    message.read(),
  );
}

async function putIntoQueue(
  { id, sendAtMs }: Submission,
  mail: PreparedMail,
  { outbound: { sender } }: SubmitTools,
): Promise<void> {
  await mail.put();
  sender?.queued({ id, releaseMs: sendAtMs });
}

/** Marks it as handed over, unless its report does so before: nobody waits for it, and without it the next opening puts it into
 * the queue again, under the same id. */
function markHanded({ id }: Submission, { writer, platform }: SubmitTools): void {
  const mark = async (): Promise<void> => {
    await platform.delay(MARKED_MS);
    await writer.change(id, (now) => (now.isHanded ? undefined : { ...now, isHanded: true }));
  };
  mark().catch((error: unknown) => platform.log({ level: "warn", event: "a submission can't be marked", error }));
}

/** A submission of this account; undefined if there is none. Errors: `unavailable`, `corrupt`. */
export async function findSubmission(
  id: string,
  { mail, contents }: Pick<SubmitTools, "mail" | "contents">,
): Promise<Submission | undefined> {
  const record = mail.state.records.find(SUBMISSION, id);
  if (!record?.value) return undefined;
  try {
    return decodeSubmission(id, await contents.readValue(record));
  } catch (error) {
    // The submission changed meanwhile.
    if (error instanceof EngineError && error.code === "expunged") return findSubmission(id, { mail, contents });
    throw error;
  }
}

/** All of an account, the newest first. Errors: `unavailable`, `corrupt`. */
export async function listSubmissions(tools: Pick<SubmitTools, "mail" | "contents">): Promise<Submission[]> {
  const ids = tools.mail.state.records.list(SUBMISSION).map(({ id }) => id);
  const found = await Promise.all(ids.map((id) => findSubmission(id, tools)));
  return found.filter((one) => one !== undefined).sort((a, b) => b.madeMs - a.madeMs || (a.id < b.id ? -1 : 1));
}

/** Submissions that are settled, and so old that nobody asks for them: the oldest of them. */
async function settledLongAgo(nowMs: number, tools: SubmitTools): Promise<string[]> {
  const settled: string[] = [];
  for (const { id } of await tools.index.dueBefore(nowMs - REMEMBERED_MS)) {
    const one = await findSubmission(id, tools);
    if (one && one.undoStatus !== "pending") settled.push(id);
    if (settled.length === FORGOTTEN_AT_ONCE) break;
  }
  return settled;
}

function repeatId(key: string, { repeatSecret }: SubmitTools): string {
  return hexText(keyedHash(repeatSecret, utf8(key)).subarray(0, 16));
}

/** Throws {@link SubmitRefusal}. */
function checkEnvelope(
  { mailFrom, recipients }: Envelope,
  { recipientsMax }: SubmitLimits,
  isNotice: boolean,
): Envelope {
  if (recipients.length === 0) throw new SubmitRefusal("noRecipients", "the mail is to nobody");
  if (recipients.length > recipientsMax)
    throw new SubmitRefusal("tooManyRecipients", "the mail is to too many", { max: recipientsMax });
  const wrong = recipients.filter(({ address }) => addressOf(address) === undefined);
  if (wrong.length > 0)
    throw new SubmitRefusal("invalidRecipients", "some recipients are no addresses", {
      addresses: wrong.map(({ address }) => address),
    });
  const from = isNotice ? "" : addressOf(mailFrom);
  if (from === undefined) throw new SubmitRefusal("forbiddenMailFrom", "the sender is no address");
  const seen = new Set<string>();
  const distinct = recipients.flatMap(({ address, notify }) => {
    const wanted = addressOf(address)!;
    const key = normalizeAddress(wanted);
    if (seen.has(key)) return [];
    seen.add(key);
    return [{ address: wanted, notify }];
  });
  return { mailFrom: from, recipients: distinct };
}

/** Throws {@link SubmitRefusal}. */
async function checkReach({ recipients }: Envelope, { reaches }: Outbound): Promise<void> {
  if (!reaches) return;
  const addresses: string[] = [];
  for (const { address } of recipients) if (!(await reaches(address))) addresses.push(address);
  if (addresses.length > 0)
    throw new SubmitRefusal("invalidRecipients", "this server sends mail to nobody elsewhere", { addresses });
}

/** As it is written in an envelope; undefined for what is none. */
function addressOf(text: string): string | undefined {
  try {
    return formatAddrSpec(text, { utf8: true });
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** Throws {@link SubmitRefusal} unless the envelope's sender is the owner's address. */
async function checkMailFrom(mailFrom: string, { outbound, address }: SubmitTools): Promise<void> {
  if (!(await outbound.isOwn(address, mailFrom)))
    throw new SubmitRefusal("forbiddenMailFrom", "the sender's address is not yours");
}

/** Each of its authors. Throws {@link SubmitRefusal}. */
async function checkAuthors(header: HeaderBlock, { outbound, address }: SubmitTools): Promise<void> {
  const [from, sender] = [header.values("from"), header.values("sender")];
  if (from.length === 0) throw new SubmitRefusal("invalidEmail", "the message has no From");
  if (from.length > 1 || sender.length > 1)
    throw new SubmitRefusal("forbiddenFrom", "the message has two authors' fields");
  const authors = [...from, ...sender].flatMap(mailboxesOf);
  if (mailboxesOf(from[0]!).length === 0) throw new SubmitRefusal("invalidEmail", "the message has nobody in its From");
  for (const author of authors)
    if (author === undefined || !(await outbound.isOwn(address, author)))
      throw new SubmitRefusal("forbiddenFrom", "an author's address is not yours");
}

/** Undefined for one that is no address. */
function mailboxesOf(field: string): (string | undefined)[] {
  return parseAddresses(field)
    .flatMap((one) => (one.kind === "group" ? one.members : [one]))
    .map(({ local, domain }) => addressOf(`${local}@${domain}`));
}

/** Throws {@link SubmitRefusal} where an account would have too many recipients in a day. */
async function checkDay({ recipients }: Envelope, nowMs: number, { index, outbound }: SubmitTools): Promise<void> {
  const count = (await index.recipientsSince(nowMs - DAY_MS)) + recipients.length;
  if (count > outbound.limits.recipientsPerDay)
    throw new SubmitRefusal("forbiddenToSend", "you have sent to too many within a day: try again tomorrow");
}

/** Puts into the queue what a process that was killed left out: `read` gives an email's octets. A mail that is too old for
 * that is told to its owner as failed, and one from before a restore as of unknown fate. Errors: `unavailable`. */
export async function handOver(
  tools: SubmitTools,
  read: (email: Uint8Array) => Promise<Body | undefined>,
  tellUnknown: (one: Submission) => Promise<void>,
): Promise<void> {
  const { platform } = tools;
  for (const one of await listSubmissions(tools))
    try {
      await handOverOne(one, tools, read, tellUnknown);
    } catch (error) {
      // An email that is damaged keeps no other.
      if (!(error instanceof EngineError && error.code === "corrupt")) throw error;
      platform.log({ level: "warn", event: "what was submitted can't be looked at", error });
    }
}

async function handOverOne(
  one: Submission,
  tools: SubmitTools,
  read: (email: Uint8Array) => Promise<Body | undefined>,
  tellUnknown: (one: Submission) => Promise<void>,
): Promise<void> {
  const { platform, outbound } = tools;
  const isOld = isOfBefore(tools.mail.state, SUBMISSION, one.id);
  if (one.undoStatus !== "pending" || (one.isHanded && !isOld)) return;
  // In this order: what ends goes from the queue, and then it is known that it has ended.
  const isQueued = await outbound.queue.has({ id: one.id, releaseMs: one.sendAtMs });
  if (!isQueued && (await outbound.queue.isDone(one.id))) return;
  if (isOld && !isQueued) {
    await tellUnknown(one);
    await tools.writer.change(one.id, withUnknownFate);
    return;
  }
  const isLate = platform.now() - one.sendAtMs > HAND_OVER_MS;
  const body = one.email && !isLate && !isQueued ? await read(one.email) : undefined;
  const message = body && (await outgoing(body, toolsOf(tools)));
  if (message) await putIntoQueue(one, await prepared(one, message, tools), tools);
  else if (!isQueued) {
    // Another process may be about to queue it. A mail is taken back before it is told as not sent.
    if (platform.now() - one.madeMs < UNDER_WAY_MS) return;
    if ((await outbound.queue.cancel(one.id)) === "too-late") return;
  }
  const isIn = isQueued || message !== undefined;
  await tools.writer.change(one.id, (now) => (isIn ? { ...now, isHanded: true } : neverSent(now)));
}

function neverSent(one: Submission): Submission {
  const recipients = one.recipients.map((recipient) => ({
    ...recipient,
    state: "failed" as const,
    reply: "it was not sent: the server stopped",
    delivered: "no" as const,
  }));
  return { ...one, undoStatus: "canceled", recipients, isHanded: true };
}

/** How long a process may take from a submission's record to its place in the queue. */
const UNDER_WAY_MS: number = 15 * 60_000;
/** How old a submission may be that is put into the queue after all: within a week it is known that it was sent. */
const HAND_OVER_MS: number = 6 * DAY_MS;

/** Takes a submission back: RFC 8621 §7.5. Resolves with whether it was; undefined if there is none. Errors: `unavailable`,
 * `unknown-outcome`. */
export async function cancelSubmission(id: string, tools: SubmitTools): Promise<boolean | undefined> {
  const one = await findSubmission(id, tools);
  if (!one) return undefined;
  if (one.undoStatus !== "pending") return one.undoStatus === "canceled";
  if ((await tools.outbound.queue.cancel(id)) === "too-late") return false;
  await tools.writer.change(id, (now) => ({ ...now, undoStatus: "canceled", isHanded: true }));
  try {
    // Its owner knows: nothing of it is kept until it would have been due, when a sender ends it otherwise.
    await tools.outbound.queue.end({ id, releaseMs: one.sendAtMs }, "canceled");
  } catch (error) {
    tools.platform.log({ level: "warn", event: "a mail that was taken back can't be taken away yet", error });
  }
  return true;
}
