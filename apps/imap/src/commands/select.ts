import {
  asModSeq,
  formatMailboxId,
  type ModSeq,
  NO_UID,
  positionOf,
  sequenceNumberAt,
  type Uid,
  type UidSpan,
  uidAfter,
  uidBefore,
} from "@restante/engine";
import type { Session } from "../session.ts";
import { asSentence } from "../wire/format.ts";
import { ImapSyntaxError, type Parser } from "../wire/parser.ts";
import { formatRanges, parseSequenceSet, resolveRanges, type SequenceSet } from "../wire/sequence-set.ts";
import { type Command, type Completion, defineCommand, type Form, ok, SIGNED_IN } from "./command.ts";
import { parseMailbox } from "./mailbox-argument.ts";

interface Arguments {
  readonly path: string;
  readonly condstore: boolean;
  readonly known: Known | undefined;
}

/** State of the mailbox that a client says it knows: RFC 7162 §3.2.5. */
interface Known {
  readonly uidValidity: number;
  readonly modSeq: ModSeq;
  /** All, if it names none. */
  readonly uids?: SequenceSet;
  /** Sequence numbers, and the uids that it had at them. */
  readonly pairs?: { readonly numbers: SequenceSet; readonly uids: SequenceSet };
}

/** SELECT: RFC 9051 §6.3.2; CONDSTORE and QRESYNC: RFC 7162 §3.1.8 and §3.2.5; MAILBOXID: RFC 8474 §4.2. */
export const select: Command<unknown> = defineCommand({
  name: "SELECT",
  in: SIGNED_IN,
  silent: true,
  parse: parseSelect,
  run: (args, session) => open(session, args, false),
});

/** EXAMINE: RFC 9051 §6.3.3, as SELECT. */
export const examine: Command<unknown> = defineCommand({
  name: "EXAMINE",
  in: SIGNED_IN,
  silent: true,
  parse: parseSelect,
  run: (args, session) => open(session, args, true),
});

async function open(session: Session, { path, condstore, known }: Arguments, readOnly: boolean): Promise<Completion> {
  const { untagged } = session;
  if (known && !session.enabled.has("QRESYNC")) throw new ImapSyntaxError("QRESYNC is not enabled");
  if (known?.pairs && session.isUidOnly) throw new ImapSyntaxError("Only uids are taken", "UIDREQUIRED");
  if (session.selected && (session.isRev2 || session.enabled.has("QRESYNC"))) untagged("OK [CLOSED] Mailbox is closed");
  session.selected = undefined;
  await session.refresh();
  if (condstore) session.enableCondstore();
  const view = session.mail.openView(session.mail.getMailbox(path).id, { readOnly });
  session.select(view);
  const { mailbox } = view;
  untagged(`FLAGS (${session.flagsList()})`);
  untagged(`${view.length} EXISTS`);
  session.tellRecent();
  // UNSEEN is a sequence number.
  const unseen = session.isRev2 || session.isUidOnly ? undefined : view.firstUnseen();
  if (unseen !== undefined) untagged(`OK [UNSEEN ${sequenceNumberAt(unseen)}] First unseen message`);
  session.tellPermanentFlags();
  untagged(`OK [UIDNEXT ${mailbox.uidNext}] Next UID`);
  untagged(`OK [UIDVALIDITY ${mailbox.uidValidity}] UIDs are valid`);
  untagged(`OK [${session.highestModSeq()}] Highest`);
  untagged(`OK [MAILBOXID (${formatMailboxId(mailbox.id)})] Lasting id`);
  if (session.isRev2) untagged(`LIST () "/" ${session.formatName(mailbox.path)}`);
  const { barred } = session.mail;
  if (barred !== undefined) untagged(`OK [ALERT] ${asSentence(barred)}`);
  if (known?.uidValidity === mailbox.uidValidity) await tellMissed(session, known);
  return readOnly ? ok("EXAMINE completed", "READ-ONLY") : ok("SELECT completed", "READ-WRITE");
}

/** Tells removals and changes since the client's modseq: RFC 7162 §3.2.5.1. */
async function tellMissed(session: Session, known: Known): Promise<void> {
  const { view } = session;
  const largest = uidBefore(view.mailbox.uidNext);
  const uids = resolveRanges(known.uids ?? parseSequenceSet("1:*"), largest);
  const vanished = view.vanishedSince(known.modSeq, without(uids, knownThere(session, known)));
  const positions = uids.flatMap(({ first, last }) => {
    const [from, to] = [view.lowerBound(first), view.lowerBound(uidAfter(last))];
    return Array.from({ length: to - from }, (_, at) => from + at);
  });
  const changed = view.changedSince(known.modSeq, positions);
  if (vanished.length > 0) session.untagged(`VANISHED (EARLIER) ${formatRanges(vanished)}`);
  await session.telling(() => session.answerEach(changed, (position) => session.flagsAnswer(position, true)));
}

/** Up to which uid nothing went: the client has it at the number that it has here. */
function knownThere({ view }: Session, { pairs }: Known): Uid {
  if (!pairs) return NO_UID;
  const [numbers, uids] = [numbersOf(pairs.numbers, NO_NUMBER), numbersOf(pairs.uids, NO_UID)];
  let there = NO_UID;
  for (let number = numbers.next(), uid = uids.next(); !number.done && !uid.done; ) {
    if (number.value > view.length || view.uidAt(positionOf(number.value)) !== uid.value) break;
    there = uid.value;
    [number, uid] = [numbers.next(), uids.next()];
  }
  return there;
}

/** Below the first. */
const NO_NUMBER = sequenceNumberAt(-1);

/** A set's numbers in ascending order; "*" is `none`, and is left out. */
function* numbersOf<N extends number>(set: SequenceSet, none: N): Generator<N> {
  for (const { first, last } of resolveRanges(set, none))
    for (let number = first; number <= last; number++) if (number > none) yield number;
}

function without(ranges: readonly UidSpan[], upTo: Uid): UidSpan[] {
  return ranges
    .filter(({ last }) => last > upTo)
    .map(({ first, last }) => ({ first: first > upTo ? first : uidAfter(upTo), last }));
}

function parseSelect(parser: Parser, form: Form): Arguments {
  const path = parseMailbox(parser, form);
  let condstore = false;
  let known: Known | undefined;
  if (parser.trySpace())
    parser.list(() => {
      const name = parser.keyword();
      if (name === "CONDSTORE") condstore = true;
      else if (name === "QRESYNC") known = parseKnown(parser);
      else throw new ImapSyntaxError("Unknown SELECT parameter");
    });
  return { path, condstore, known };
}

/** ` (uidvalidity modseq [known-uids] [(sequence-set uid-set)])` */
function parseKnown(parser: Parser): Known {
  parser.space();
  parser.char("(");
  const uidValidity = parser.nonZero();
  parser.space();
  // Some send 0 for a mailbox that they know nothing of.
  let known: Known = { uidValidity, modSeq: asModSeq(parser.number64()) };
  if (parser.trySpace() && !parser.atOpen) {
    known = { ...known, uids: parseKnownSet(parser) };
    if (!parser.trySpace()) {
      parser.char(")");
      return known;
    }
  }
  if (parser.atOpen) {
    parser.char("(");
    const numbers = parseKnownSet(parser);
    parser.space();
    known = { ...known, pairs: { numbers, uids: parseKnownSet(parser) } };
    parser.char(")");
  }
  parser.char(")");
  return known;
}

/** Messages that the client knows. `$`, which is empty here, would make all of them unknown: no change were told. */
function parseKnownSet(parser: Parser): SequenceSet {
  const set = parseSequenceSet(parser.setText());
  if (set.isSaved) throw new ImapSyntaxError("Known messages are named by numbers");
  return set;
}
