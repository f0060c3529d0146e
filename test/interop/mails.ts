import { decodeWords } from "@restante/mime";
import type { CorpusMail } from "../kit/corpus.ts";
import { responsesOf } from "../kit/exchange.ts";
import { connectImap } from "../kit/line-client.ts";
import { Random } from "../kit/random.ts";
import { DEMO } from "../kit/server.ts";
import { compareAnswers, type Difference } from "./answers.ts";
import { fill } from "./dovecot.ts";
import { withDovecot } from "./dovecot-server.ts";
import { assert, type Interop, need, withServer } from "./harness.ts";
import { mailDifferences } from "./mail-differences.ts";
import { packagedMails } from "./mail-packages.ts";

const MAILS_MIN = 800;
const SEARCHES = 3_000;
/** Mails that one search, or one FETCH, goes through. */
const RANGE = 40;

const ITEMS = [
  ...["ENVELOPE", "BODY", "BODYSTRUCTURE", "RFC822.SIZE", "BODY.PEEK[HEADER]", "BODY.PEEK[TEXT]", "BODY.PEEK[1]"],
  ...["BODY.PEEK[1.MIME]", "BODY.PEEK[2]", "BODY.PEEK[2.MIME]", "BODY.PEEK[1.1]", "BODY.PEEK[1.2]", "BODY.PEEK[2.1]"],
  ...["BODY.PEEK[1.1.MIME]", "BODY.PEEK[2.HEADER]", "BODY.PEEK[3]", "BODY.PEEK[3.HEADER]", "BODY.PEEK[3.TEXT]"],
  ...["BODY.PEEK[3.1]", "BODY.PEEK[HEADER.FIELDS (SUBJECT FROM TO)]", "BODY.PEEK[HEADER.FIELDS.NOT (RECEIVED DATE)]"],
];

/** Words as they stand in the mails, and in their headers' encoded-words. */
function searches(mails: readonly CorpusMail[]): string[] {
  const random = new Random(25);
  const found: string[] = [];
  while (found.length < SEARCHES) {
    const at = random.between(0, mails.length - 1);
    const { text } = mails[at]!;
    const end = Math.max(text.indexOf("\r\n\r\n"), 0);
    const kind = random.pick(["TEXT", "BODY", "TEXT", "BODY", "SUBJECT", "FROM", "TO", "CC", "HEADER"] as const);
    const name = kind === "HEADER" ? random.pick(["Message-ID", "Received", "X-Mailer", "Content-Type", "Date"]) : kind;
    const field = new RegExp(`^${name}:((?:.*\r\n[ \t])*.*)`, "im").exec(text.slice(0, end + 2))?.[1] ?? "";
    const source = kind === "BODY" ? text.slice(end) : kind === "TEXT" ? text : decodeWords(field);
    const words = source.match(/[\p{L}\p{N}]{2,12}/gu) ?? [];
    const word = words.length === 0 ? "a" : random.pick(words);
    const first = Math.max(1, at + 1 - random.between(0, RANGE));
    const octets = Buffer.from(kind === "BODY" || kind === "TEXT" ? word.replace(/[^\x00-\x7f]+/g, "") : word).toString(
      "latin1",
    );
    const key = `${kind}${kind === "HEADER" ? ` ${name}` : ""} "${octets}"`;
    found.push(`SEARCH CHARSET UTF-8 ${first}:${Math.min(first + RANGE, mails.length)} ${key}`);
  }
  return found;
}

/** The tests' mails of a dozen mail programs, asked of both: all that is told of them, and 3,000 searches. */
export const mails: Interop = async (steps) => {
  need({ "dovecot-imapd": "/usr/lib/dovecot/imap" });
  const corpus = await packagedMails();
  await steps.step("the packages have mails enough", () => assert(corpus.length >= MAILS_MIN, `only ${corpus.length}`));
  await withDovecot(async (connect) => {
    await withServer(async ({ ports }) => {
      const clients = [await connectImap(ports.imap!, DEMO.user, DEMO.password), await connect()];
      await steps.step("both take the mails", async () => {
        for (const client of clients) {
          await client.command("CREATE Mails");
          await fill(client, "Mails", corpus);
          await client.command("SELECT Mails");
        }
      });
      const known = mailDifferences(corpus.map(({ name }) => name));
      const differences: Difference[] = [];
      const ask = async (command: string): Promise<void> => {
        const [ours, theirs] = await Promise.all(
          clients.map(async (client) => responsesOf(await client.command(command))),
        );
        differences.push(...compareAnswers(command, ours!, theirs!, known));
      };
      const tell = (): void => {
        const counts = Object.entries(Object.groupBy(differences, ({ reason }) => reason ?? "unknown"));
        for (const [reason, of] of counts) console.log(`        ${of!.length} times: ${reason}`);
        const unknown = differences.filter(({ reason }) => reason === undefined);
        const told = unknown.map(({ command, ours, theirs }) => `${command}\n  ours   ${ours}\n  theirs ${theirs}`);
        assert(unknown.length === 0, told.join("\n"));
      };
      await steps.step(`structures and sections of ${corpus.length} mails are told alike`, async () => {
        for (const item of ITEMS)
          for (let first = 1; first <= corpus.length; first += RANGE)
            await ask(`FETCH ${first}:${Math.min(first + RANGE - 1, corpus.length)} ${item}`);
        tell();
      });
      const seen = new Set(differences.splice(0).map(({ reason }) => reason));
      await steps.step(`${SEARCHES} searches find the same`, async () => {
        for (const command of searches(corpus)) await ask(command);
        tell();
      });
      await steps.step("every listed difference comes up", () => {
        for (const { reason } of differences) seen.add(reason);
        const unseen = known.filter(({ reason }) => !seen.has(reason));
        assert(unseen.length === 0, unseen.map(({ reason }) => reason).join("\n"));
      });
      for (const client of clients) client.end();
    });
  });
};
