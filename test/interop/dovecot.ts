import { type CorpusMail, corpusMails } from "../kit/corpus.ts";
import { responsesOf } from "../kit/exchange.ts";
import { connectImap, type LineClient } from "../kit/line-client.ts";
import { Random } from "../kit/random.ts";
import { DEMO } from "../kit/server.ts";
import { compareAnswers, type Difference, KNOWN_DIFFERENCES } from "./answers.ts";
import { withDovecot } from "./dovecot-server.ts";
import { assert, type Interop, need, withServer } from "./harness.ts";

/** Conversations as they may be: answers to what is not there, loops, equal ids and dates, subjects in every charset. */
function generatedMails(count: number): CorpusMail[] {
  const random = new Random(1);
  const subjects = [
    "Lunch",
    "Re: Lunch",
    "Fwd: Lunch",
    "re[2]: lunch",
    "[list] Lunch",
    "Re: [list] LUNCH (fwd)",
    "Zeit",
    "Äpfel",
  ];
  const encoded = ["=?utf-8?q?=C3=84pfel?=", "Re: =?iso-8859-1?q?=C4pfel?=", "=?utf-8?b?w6RwZmVs?=", "", "Re:", "[x]"];
  const names = [
    "Ada <ada@x.example>",
    "bob@y.example",
    '"Zoe, Q." <zoe@x.example>',
    "=?utf-8?q?=C3=96mer?= <o@x.example>",
  ];
  return Array.from({ length: count }, (_, at) => {
    const id = random.between(0, 20) === 0 ? `<${random.between(0, at)}@gen>` : `<${at}@gen>`;
    const references = Array.from({ length: random.between(0, 3) }, () => `<${random.between(0, count)}@gen>`).join(
      " ",
    );
    const day = random.between(1, 28);
    const lines = [
      `From: ${random.pick(names)}`,
      `To: ${random.pick(names)}`,
      ...(random.between(0, 9) === 0 ? [] : [`Subject: ${random.pick([...subjects, ...encoded])}`]),
      ...(random.between(0, 9) === 0 ? [] : [`Date: ${day} Jan 2026 10:00:00 +0000`]),
      `Message-ID: ${id}`,
      ...(references === "" ? [] : [`${random.between(0, 4) === 0 ? "In-Reply-To" : "References"}: ${references}`]),
      "",
      "x",
      "",
    ];
    return { name: String(at), text: Buffer.from(lines.join("\r\n")).toString("latin1") };
  });
}

/** Each with a time of receipt and flags of its own. */
export async function fill(client: LineClient, mailbox: string, mails: readonly CorpusMail[]): Promise<void> {
  const flags = ["", "\\Seen", "\\Flagged", "\\Seen \\Answered", "$Label", "\\Draft kw"];
  for (const [at, { text }] of mails.entries()) {
    const day = String((at % 28) + 1).padStart(2, " ");
    const date = `"${day}-Jan-2026 ${String(at % 24).padStart(2, "0")}:30:00 +0${at % 10}00"`;
    const answer = await client.command(
      `APPEND ${mailbox} (${flags[at % flags.length]}) ${date} {${text.length}+}\r\n${text}`,
    );
    assert(/^t\d+ OK/m.test(answer), answer);
  }
}

const SEARCHES = [
  ...["ALL", "SEEN", "UNSEEN", "FLAGGED", "ANSWERED", "DRAFT", "KEYWORD $Label", "UNKEYWORD kw", "NOT SEEN", "DELETED"],
  ...["OR SEEN FLAGGED", "(SEEN NOT ANSWERED)", "1:5", "UID 3:*", "NOT 1:20", "*", "1:3,5,7:9 UNSEEN"],
  ...["LARGER 1000", "SMALLER 500", "LARGER 0 SMALLER 100000", "BEFORE 10-Jan-2026", "SINCE 20-Jan-2026"],
  ...["ON 5-Jan-2026", "SENTBEFORE 1-Jan-2000", "SENTSINCE 1-Jan-2000", "SENTON 1-Jan-1997", "OLDER 1", "YOUNGER 60"],
  ...["FROM nobody", "FROM a", "TO e", "CC e", "BCC e", "SUBJECT a", "SUBJECT re", 'SUBJECT ""', "HEADER X-Mailer a"],
  ...[
    'HEADER Subject ""',
    'HEADER X-Mailer ""',
    'HEADER Cc ""',
    "TEXT the",
    "BODY the",
    "BODY boundary",
    "TEXT boundary",
  ],
  ...["BODY hello", "TEXT MIME", "NOT BODY a", "OR FROM a TO a", "NOT (OR SUBJECT a BODY b)"],
];
const CHARSET_SEARCHES = [
  ["SUBJECT", "ü"],
  ["TEXT", "é"],
  ["BODY", "ß"],
  ["FROM", "å"],
  ["BODY", "日本"],
] as const;
const RESULTS = ["", "RETURN () ", "RETURN (MIN MAX COUNT) ", "RETURN (ALL COUNT) ", "RETURN (MIN) "];
const SORT_KEYS = ["ARRIVAL", "CC", "DATE", "FROM", "SIZE", "SUBJECT", "TO", "DISPLAYFROM", "DISPLAYTO"];
const FETCHES = [
  ...["FLAGS", "UID", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY", "BODYSTRUCTURE", "BODY.PEEK[HEADER]"],
  ...["BODY.PEEK[TEXT]", "BODY.PEEK[]", "BODY.PEEK[1]", "BODY.PEEK[2]", "BODY.PEEK[1.1]", "BODY.PEEK[1.MIME]"],
  ...["BODY.PEEK[2.MIME]", "BODY.PEEK[2.HEADER]", "BODY.PEEK[1.TEXT]", "BODY.PEEK[]<0.20>", "BODY.PEEK[TEXT]<5.30>"],
  ...["BODY.PEEK[HEADER.FIELDS (SUBJECT FROM)]", "BODY.PEEK[HEADER.FIELDS.NOT (RECEIVED DATE)]", "BODY.PEEK[9]"],
  ...["RFC822.HEADER", "(UID FLAGS RFC822.SIZE)", "FAST"],
];
const MALFORMED = [
  ...["", "FETCH", "FETCH 1", "FETCH 1 (", "FETCH 1 (FLAGS", "FETCH 0 FLAGS", "FETCH a FLAGS", "FETCH 1 NOTHING"],
  ...["FETCH 1 BODY[", "FETCH 1 BODY[0]", "FETCH 1 BODY[1.]", "FETCH 1 BODY.PEEK[HEADER.FIELDS]", "FETCH 1 BODY[MIME]"],
  ...["SEARCH", "SEARCH NOTHING", "SEARCH (SEEN", "SEARCH OR SEEN", "SEARCH NOT", "SEARCH SUBJECT", "SEARCH SINCE x"],
  ...["SEARCH ON 32-Jan-2026", "SEARCH LARGER x", "SEARCH KEYWORD", "SEARCH 0", "SEARCH RETURN (X) ALL"],
  ...["STORE", "STORE 1", "STORE 1 FLAGS", "STORE 1 +FLAG (\\Seen)", "STORE 1 FLAGS (\\Seen", "STORE x FLAGS ()"],
  ...[
    "COPY 1",
    "COPY",
    "MOVE 1",
    "UID",
    "UID NOOP",
    "UID FETCH",
    "NOOP x",
    "SELECT",
    "STATUS INBOX",
    "STATUS INBOX ()",
  ],
  ...["LIST", 'LIST ""', "APPEND", "APPEND INBOX", "CREATE", "RENAME a", "SORT (DATE)", "SORT (X) UTF-8 ALL"],
  ...[
    "THREAD X UTF-8 ALL",
    "THREAD REFERENCES",
    "CHECK x",
    "NOSUCHCOMMAND",
    "FETCH 1 BODY.PEEK[]<1>",
    "FETCH 1 (FLAGS UID)x",
  ],
];

const GENERATED = 400;
const ORDERS = [
  ...SORT_KEYS.map((key) => `SORT (${key}) UTF-8 ALL`),
  ...SORT_KEYS.map((key) => `SORT (REVERSE ${key} DATE) UTF-8 ALL`),
  "SORT (SUBJECT REVERSE DATE FROM) UTF-8 NOT SUBJECT lunch",
  "THREAD ORDEREDSUBJECT UTF-8 ALL",
  "THREAD REFERENCES UTF-8 ALL",
  "THREAD REFERENCES UTF-8 1:200",
];

function commandsFor(mails: number): string[] {
  return [
    ...FETCHES.map((item) => `FETCH 1:* ${item}`),
    // Dovecot gives up at the first part whose encoding it does not know.
    ...["1:2", "4", "7", "10:15", "23"].flatMap((set) => [
      `FETCH ${set} BINARY.SIZE[1]`,
      `FETCH ${set} BINARY.PEEK[1]`,
      `UID FETCH ${set} BINARY.PEEK[1]<2.20>`,
    ]),
    ...["1:4", "7", "12,13", "1:*", "40:*", "*:30"].flatMap((set) => [
      `SEARCH ${set}`,
      `UID SEARCH UID ${set} NOT SEEN`,
    ]),
    ...Array.from({ length: mails }, (_, at) => [
      `FETCH ${at + 1} (ENVELOPE BODYSTRUCTURE)`,
      `UID FETCH ${at + 1} (BODY.PEEK[HEADER] BODY.PEEK[1] BODY.PEEK[2.MIME] BODY.PEEK[1.2])`,
      `SEARCH ${at + 1} OR (BODY a SUBJECT e) TEXT ${"aeimostz"[at % 8]}`,
    ]).flat(),
    ...SEARCHES.flatMap((key, at) => [`SEARCH ${key}`, `UID SEARCH ${RESULTS[at % RESULTS.length]}${key}`]),
    ...CHARSET_SEARCHES.map(([key, text]) => `SEARCH CHARSET UTF-8 ${key} "${Buffer.from(text).toString("latin1")}"`),
    ...SORT_KEYS.flatMap((key) => [`SORT (${key}) UTF-8 ALL`, `SORT (REVERSE ${key}) UTF-8 ALL`]),
    ...SORT_KEYS.map((key) => `UID SORT (${key} REVERSE SIZE) UTF-8 NOT SEEN`),
    ...["REFERENCES", "ORDEREDSUBJECT", "REFS"].map((name) => `THREAD ${name} UTF-8 ALL`),
    // Many mistakes in a row end a connection.
    ...MALFORMED.flatMap((command, at) => (at % 8 === 0 ? ["NOOP", command] : [command])),
    "SELECT Corpus",
    'LIST "" Corpus',
    'LIST "" C%',
    'LIST "" Nothing*',
    'LIST "" ""',
    "STATUS Corpus (MESSAGES UIDNEXT UNSEEN)",
    "STORE 1:3 +FLAGS (\\Flagged)",
    "UID STORE 2 -FLAGS.SILENT (\\Flagged)",
    "STORE 4 FLAGS (one two)",
    "FETCH 1:5 FLAGS",
    "CREATE Other/One",
    "UID COPY 1:4 Other/One",
    "STATUS Other/One (MESSAGES UNSEEN)",
    "UID MOVE 1 Nowhere",
    "UID MOVE 2 Other/One",
    "UID EXPUNGE 1:5",
    "STORE 1:2 +FLAGS.SILENT (\\Deleted)",
    "EXPUNGE",
    "UID FETCH 1:9999 FLAGS",
    "SEARCH MODSEQ 1",
    "UID SEARCH RETURN (MAX) MODSEQ 1",
    "FETCH 1:3 (UID MODSEQ)",
    "FETCH 1:* FLAGS (CHANGEDSINCE 1)",
    "STATUS Corpus (MESSAGES RECENT)",
    'LIST "" Oth%r',
  ];
}

/** The same commands to both, over all reference mails: what is answered otherwise is listed, with the reason, or is a failure. */
export const dovecot: Interop = async (steps) => {
  need({ "dovecot-imapd": "/usr/lib/dovecot/imap" });
  const mails = corpusMails();
  await withDovecot(async (connect) => {
    await withServer(async ({ ports }) => {
      const ours = await connectImap(ports.imap!, DEMO.user, DEMO.password);
      const theirs = await connect();
      await steps.step("both take the mails", async () => {
        for (const client of [ours, theirs]) {
          await client.command("CREATE Corpus");
          await fill(client, "Corpus", mails);
        }
      });
      const differences: Difference[] = [];
      const commands = commandsFor(mails.length);
      for (const client of [ours, theirs]) await client.command("SELECT Corpus");
      // Mails that are read otherwise: what their parts are differs with it.
      const otherwise = new Set<string>();
      for (const command of commands) {
        const [our, their] = await Promise.all(
          [ours, theirs].map(async (client) => responsesOf(await client.command(command))),
        );
        const found = compareAnswers(command, our!, their!);
        const numberOf = (text: string): string => /^\* (\d+) FETCH/.exec(text)?.[1] ?? "";
        if (command === "FETCH 1:* BODYSTRUCTURE") for (const { ours: text } of found) otherwise.add(numberOf(text));
        differences.push(
          ...found.filter(({ reason, ours: text }) => reason !== undefined || !otherwise.has(numberOf(text))),
        );
      }
      await steps.step(`${commands.length} commands are answered alike`, () => {
        const unknown = differences.filter(({ reason }) => reason === undefined);
        const counts = Object.entries(Object.groupBy(differences, ({ reason }) => reason ?? "unknown"));
        for (const [reason, of] of counts) console.log(`        ${of!.length} times: ${reason}`);
        const told = unknown.map(
          ({ command, ours: one, theirs: other }) => `${command}\n  ours   ${one}\n  theirs ${other}`,
        );
        assert(unknown.length === 0, told.join("\n"));
        assert(commands.length >= 400, `only ${commands.length} commands`);
      });
      await steps.step("a difference that is planted is found", () => {
        const [planted] = compareAnswers("SEARCH ALL", ["* SEARCH 1 2", "t1 OK x"], ["* SEARCH 1", "t1 OK y"]);
        assert(planted && planted.reason === undefined, "not found");
      });
      await steps.step("every listed difference comes up", () => {
        const seen = new Set(differences.map(({ reason }) => reason));
        const unseen = KNOWN_DIFFERENCES.filter(({ reason }) => !seen.has(reason));
        assert(unseen.length === 0, unseen.map(({ reason }) => reason).join("\n"));
      });
      await steps.step("conversations are sorted and threaded alike", async () => {
        const generated = generatedMails(GENERATED);
        const found: Difference[] = [];
        for (const client of [ours, theirs]) {
          await client.command("CREATE Generated");
          await fill(client, "Generated", generated);
          await client.command("SELECT Generated");
        }
        for (const command of ORDERS) {
          const [our, their] = await Promise.all(
            [ours, theirs].map(async (client) => responsesOf(await client.command(command))),
          );
          found.push(...compareAnswers(command, our!, their!));
        }
        const told = found.map(
          ({ command, ours: one, theirs: other }) => `${command}\n  ours   ${one}\n  theirs ${other}`,
        );
        assert(found.length === 0, told.join("\n"));
      });
      ours.end();
      theirs.end();
    });
  });
};
