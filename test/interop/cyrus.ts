import { type CorpusMail, corpusMails } from "../kit/corpus.ts";
import { responsesOf } from "../kit/exchange.ts";
import { connectImap, type LineClient } from "../kit/line-client.ts";
import { DEMO } from "../kit/server.ts";
import type { Difference } from "./answers.ts";
import { comparable, differencesOf, Ids, KNOWN_OF_CYRUS } from "./cyrus-answers.ts";
import { dialoguesOver } from "./cyrus-dialogues.ts";
import { type Suite, withCyrus } from "./cyrus-server.ts";
import { fill } from "./dovecot.ts";
import { assert, type Interop, withServer } from "./harness.ts";

/** Reasons that have come up against any release. */
const seen = new Set<string>();

/** Reference mails that this server takes: Cyrus refuses NUL. */
async function takenBy(client: LineClient): Promise<CorpusMail[]> {
  const taken: CorpusMail[] = [];
  await client.command("CREATE Try");
  for (const mail of corpusMails()) {
    const answer = await client.command(`APPEND Try {${mail.text.length}+}\r\n${mail.text}`);
    if (/^t\d+ OK/m.test(answer)) taken.push(mail);
  }
  await client.command("DELETE Try");
  return taken;
}

/** The same dialogues with Restante and a Cyrus, about what Dovecot does not have. */
const against =
  (suite: Suite, atLeast: number): Interop =>
  async (steps) =>
    withCyrus(suite, (connect) =>
      withServer(async ({ ports }) => {
        const ours = await connectImap(ports.imap!, DEMO.user, DEMO.password);
        const theirs = await connect();
        const mails = await takenBy(theirs);
        await steps.step("both take the mails", async () => {
          for (const client of [ours, theirs]) {
            await client.command("CREATE Corpus");
            await fill(client, "Corpus", mails);
          }
        });
        const sides = [ours, theirs].map((client) => ({ client, ids: new Ids() }));
        const ask = (command: string) =>
          Promise.all(
            sides.map(async ({ client, ids }) => comparable(responsesOf(await client.command(ids.fill(command))), ids)),
          );
        let commands = 0;
        for (const dialogue of dialoguesOver(mails).filter(({ suites }) => suites.includes(suite)))
          await steps.step(dialogue.name, async () => {
            const unknown: Difference[] = [];
            for (const command of dialogue.commands) {
              const [our, their] = await ask(command);
              for (const difference of differencesOf(command, our!, their!))
                if (difference.reason === undefined) unknown.push(difference);
                else seen.add(difference.reason);
              commands++;
            }
            const told = unknown.map(
              ({ command, ours: one, theirs: other }) => `${command}\n  ours   ${one}\n  theirs ${other}`,
            );
            assert(unknown.length === 0, told.join("\n"));
          });
        await steps.step(`${atLeast} commands and more`, () =>
          assert(commands >= atLeast, `only ${commands} commands`),
        );
        await steps.step("a difference that is planted is found", () => {
          const [planted] = differencesOf(
            "FETCH 1 EMAILID",
            ["FETCH 1 EMAILID (E1)", "OK"],
            ["FETCH 1 EMAILID (E2)", "OK"],
          );
          assert(planted && planted.reason === undefined, "not found");
        });
        ours.end();
        theirs.end();
      }),
    );

/** Debian 12's Cyrus, and Debian 13's, which has more. */
export const cyrus: Interop = async (steps) => {
  await against("bookworm", 340)(steps);
  await against("trixie", 410)(steps);
  await steps.step("every listed difference comes up", () => {
    const unseen = KNOWN_OF_CYRUS.filter(({ reason }) => !seen.has(reason));
    assert(unseen.length === 0, unseen.map(({ reason }) => reason).join("\n"));
  });
};
