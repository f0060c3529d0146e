import { fuzz, type Random } from "@restante/mime/fuzz-kit";
import { expect, test } from "vitest";
import { commands, findCommand } from "../commands/index.ts";
import { matcher } from "../commands/list.ts";
import { COMMAND_BYTES_MAX, COMMAND_LITERALS_BYTES_MAX } from "../limits.ts";
import {
  CommandReader,
  type CommandText,
  ConnectionEnded,
  InputBuffer,
  type LiteralHead,
  type LiteralVerdict,
  type Read,
} from "./command-reader.ts";
import { formatAstring } from "./format.ts";
import { decodeMailboxName, encodeMailboxName } from "./mailbox-name.ts";
import { ImapSyntaxError, Parser } from "./parser.ts";
import { parseSequenceSet, resolveRanges } from "./sequence-set.ts";

/** Inputs a test; a longer run sets more. */
const RUNS = Number(process.env.RESTANTE_FUZZ_RUNS ?? 4000);
const SEED = Number(process.env.RESTANTE_TEST_SEED ?? Date.now() % 1_000_000);
const TIME_MAX_MS = 24 * 60 * 60_000;
const BYTES_MAX = 4096;
/** A literal that the test's server keeps: smaller than a real one does, so that both sides of the limit are met. */
const KEPT_BYTES_MAX = 200;
process.stdout.write(`seed=${SEED}\n`);

const bytes = (text: string): Uint8Array => Uint8Array.from(text, (char) => char.charCodeAt(0));
const text = (from: Uint8Array): string => String.fromCharCode(...from);

const SAMPLES = [
  'a LOGIN "u\\"x" {3+}\r\npwd\r\n',
  "a AUTHENTICATE PLAIN AHUAcA==\r\n",
  'b SELECT "&AOk-x"\r\nc EXAMINE {5}\r\nINBOX\r\n',
  'c UID FETCH 1:*,3,7:2 (FLAGS UID BODY.PEEK[1.2.HEADER.FIELDS (From "To")]<0.100> BODY[3.MIME] RFC822.SIZE)\r\n',
  "c FETCH 1 FULL\r\nd FETCH * BODY[HEADER.FIELDS.NOT ({2+}\r\nab c)]\r\n",
  'd SEARCH CHARSET UTF-8 OR (NOT SEEN) (FROM "x" SINCE 1-Feb-2026) HEADER X-Y {2+}\r\nab UID 1:9 LARGER 99\r\n',
  "e STORE 1,2 -FLAGS.SILENT (\\Seen $Junk)\r\nf UID STORE * FLAGS k\r\n",
  'g COPY 1:* "a b"\r\nh UID MOVE 9 {3}\r\nabc\r\ni UID EXPUNGE 1:3\r\n',
  'j APPEND INBOX (\\Seen) " 1-Feb-2026 10:11:12 +0100" ~{11+}\r\nhello\r\nmail\r\nk APPEND x {99999+}\r\n',
  'l LIST "" (% "a*")\r\nm LIST (SUBSCRIBED) "" % RETURN (CHILDREN STATUS (MESSAGES UNSEEN))\r\nn LSUB "" *\r\n',
  "o STATUS INBOX (MESSAGES UIDNEXT UIDVALIDITY UNSEEN RECENT)\r\np RENAME a b\r\nq CREATE c\r\nr DELETE d\r\n",
  's ID ("name" "x" "version" NIL)\r\nt ENABLE CONDSTORE\r\nu IDLE\r\nDONE\r\nv NOOP\r\nw CLOSE\r\nx LOGOUT\r\n',
].map(bytes);
const TOKENS = [
  ...commands.map(({ name }) => ` ${name} `),
  ...[
    "\r\n",
    "\n",
    "\r",
    "a",
    " ",
    "(",
    ")",
    "[",
    "]",
    "<",
    ">",
    "{",
    "}",
    "+",
    "*",
    ":",
    ",",
    ".",
    "%",
    "\\",
    '"',
    '"x"',
  ],
  ...[
    "{0}\r\n",
    "{1+}\r\nx",
    "{3}\r\nabc",
    "~{2+}\r\n\0\0",
    "{201+}\r\n",
    "{4294967296+}\r\n",
    "{99999999999999999999}\r\n",
  ],
  ...[
    "UID ",
    "NIL",
    "1:*",
    "4294967295",
    "18446744073709551616",
    "0",
    "(OR ",
    "NOT ",
    "BODY[",
    "HEADER.FIELDS (",
    " CATENATE (",
    " UTF8 (~",
    "URL ",
    "RETURN (",
    "PARTIAL -1:-2",
    "(QRESYNC (1 1 1:* (1 1)))",
    " (CHANGEDSINCE 1 VANISHED)",
    "(UNCHANGEDSINCE 1) ",
    "MODSEQ ",
    "RFC822",
  ],
  ...["&AOk-", "&", "&-", "é", "\0", "\\Seen", "+FLAGS ", "1-Feb-2026", '" 1-Feb-2026 10:11:12 +0100"', "CHARSET "],
].map(bytes);
const options = { seed: SEED, runs: RUNS, samples: SAMPLES, tokens: TOKENS, bytesMax: BYTES_MAX };

/** As a connection judges. */
function judgeLiteral(commandText: CommandText, literal: LiteralHead): LiteralVerdict {
  const command = findCommand(/^\S+ (\S+)/.exec(text(commandText.lines[0]!))?.[1]?.toUpperCase() ?? "", false);
  if (command?.streams?.(commandText, false)) return "stream";
  return literal.size <= KEPT_BYTES_MAX && !literal.binary ? "keep" : "refuse";
}

/** Everything that a connection reads of the input, which comes in pieces of these sizes. */
async function readAll(input: Uint8Array, sizeOf: () => number): Promise<(Read | string)[]> {
  const buffer = new InputBuffer();
  const limits = { lineBytesMax: COMMAND_BYTES_MAX, literalsBytesMax: COMMAND_LITERALS_BYTES_MAX };
  const reader = new CommandReader(buffer, {
    limits: () => limits,
    judgeLiteral,
    sendContinuation: () => undefined,
  });
  let at = 0;
  let asked = 0;
  buffer.onDrained = () => {
    asked++;
    const end = Math.min(input.length, at + sizeOf());
    if (at === input.length) buffer.end();
    else buffer.push(input.subarray(at, end));
    at = end;
  };
  const reads: (Read | string)[] = [];
  let read = await reader.read();
  for (; read.kind !== "end"; read = await reader.read()) {
    reads.push(read);
    if (read.kind !== "stream") continue;
    try {
      for await (const piece of reader.readLiteral(read.literal)) reads.push(text(piece));
    } catch (error) {
      if (!(error instanceof ConnectionEnded)) throw error;
      break;
    }
    reads.push(await reader.resume());
  }
  // Every read takes a line at least, and waits for no more than comes.
  if (reads.length > 3 * input.length + 3 || asked > input.length + 1) throw new Error("the reader does not get on");
  return reads;
}

/** Runs of streamed pieces as one. */
function joinPieces(reads: readonly (Read | string)[]): string {
  return JSON.stringify(reads, (_, value: unknown) => (value instanceof Uint8Array ? text(value) : value)).replaceAll(
    '","',
    "",
  );
}

function checkSize({ lines, literals }: CommandText): void {
  const size = (pieces: readonly Uint8Array[]): number => pieces.reduce((sum, piece) => sum + piece.length, 0);
  if (size(lines) > COMMAND_BYTES_MAX || size(literals) > COMMAND_LITERALS_BYTES_MAX)
    throw new Error("more is kept of a command than may be");
}

/** Parses as a connection does; the client's mistakes are ImapSyntaxErrors. */
function parseCommand(commandText: CommandText, isStreamed: boolean): boolean {
  const parser = new Parser(commandText);
  try {
    parser.tag();
    parser.space();
    let name = parser.keyword();
    const uid = name === "UID";
    if (uid) {
      parser.space();
      name = parser.keyword();
    }
    const command = findCommand(name, uid);
    if (!command) return false;
    command.parse(parser, { uid, utf8: isStreamed, tag: "t" });
    if (!isStreamed) parser.end();
    return true;
  } catch (error) {
    if (!(error instanceof ImapSyntaxError)) throw error;
    return false;
  }
}

test(
  "any bytes are commands, or a client's mistakes, the same however they are cut",
  async () => {
    let parsed = 0;
    await fuzz(options, async (input, random: Random) => {
      const whole = await readAll(input, () => input.length);
      for (const read of whole) {
        if (typeof read === "string" || read.kind === "end") continue;
        checkSize(read.text);
        if (read.kind !== "refused" && parseCommand(read.text, read.kind === "stream")) parsed++;
      }
      const cut = await readAll(input, () => 1 + random.next(20));
      if (joinPieces(cut) !== joinPieces(whole)) throw new Error("cut otherwise it reads otherwise");
    });
    // The inputs reach behind the first check.
    expect(parsed).toBeGreaterThan(RUNS / 10);
  },
  TIME_MAX_MS,
);

test(
  "any arguments of any command are read, or a client's mistake",
  async () => {
    const argumentsOf = SAMPLES.map((sample) => sample.subarray(sample.indexOf(0x20)));
    await fuzz({ ...options, samples: argumentsOf, seed: SEED + 1 }, (input, random) => {
      const cut = random.next(input.length + 1);
      const command = bytes(`t ${random.next(2) ? "UID " : ""}${random.pick(commands).name}`);
      const line = Uint8Array.from([...command, ...input.subarray(0, cut)]);
      parseCommand({ lines: [line, input.subarray(cut)], literals: [input.subarray(cut >> 1)] }, random.next(2) > 0);
    });
  },
  TIME_MAX_MS,
);

test(
  "any set, name and pattern is read, or a client's mistake",
  async () => {
    const samples = ["1:*,3,7:2", "*", "4294967295:1", "&AOk-x/&2D3eAA-", "a%b*c", "INBOX/x"].map(bytes);
    const tokens = [..."*:,0123456789&-+/%ab", "4294967296"].map(bytes);
    await fuzz({ ...options, samples, tokens, bytesMax: 400, seed: SEED + 2 }, (input, random) => {
      const value = text(input);
      try {
        const ranges = resolveRanges(parseSequenceSet(value), random.next(100));
        let last = -1;
        for (const range of ranges) {
          if (range.first > range.last || range.first <= last) throw new Error("ranges out of order");
          last = range.last;
        }
      } catch (error) {
        if (!(error instanceof ImapSyntaxError)) throw error;
      }
      try {
        const name = decodeMailboxName(value);
        if (decodeMailboxName(encodeMailboxName(name)) !== name) throw new Error("a name reads otherwise when written");
        formatAstring(name);
        matcher([value])(name);
      } catch (error) {
        if (!(error instanceof ImapSyntaxError)) throw error;
      }
    });
  },
  TIME_MAX_MS,
);
