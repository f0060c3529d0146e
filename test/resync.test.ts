import { extent } from "@restante/engine/testing";
import { expect, test } from "vitest";
import { followRounds } from "./kit/follow-rounds.ts";
import { connectImap } from "./kit/line-client.ts";
import { testSeed } from "./kit/seed.ts";
import { DEMO, makeDataFolder, removeDataFolder, startServer } from "./kit/server.ts";

/** Resync on the wire: RFC 7162. `faults/resync.test.ts` does more of the same. */

// Entries that rewound are numbered by their process alone: where a log rewinds in a test, nothing may be killed.
test.each([
  ["the log, across kills", { rewinding: false, killRounds: 12 }],
  ["a log that rewinds", { rewinding: true }],
])("on %s copies by QRESYNC and by CHANGEDSINCE are what the mailbox is", async (_, options) => {
  await followRounds({ rounds: extent(24, 6), seed: testSeed(), ...options });
});

test("of two sessions that change a message at once on condition exactly one is told that it was changed", async () => {
  const data = await makeDataFolder();
  const server = await startServer(data);
  const clients = await Promise.all([1, 2].map(() => connectImap(server.ports.imap!, DEMO.user, DEMO.password)));
  for (const client of clients) await client.command("SELECT INBOX (CONDSTORE)");
  let modSeq = "";
  for (let round = 0; round < 100; round++) {
    const answer = await clients[0]!.command("FETCH 1 MODSEQ");
    modSeq = /MODSEQ \((\d+)\)/.exec(answer)![1]!;
    const sign = round % 2 === 0 ? "+" : "-";
    const answers = await Promise.all(
      clients.map((client) => client.command(`STORE 1 (UNCHANGEDSINCE ${modSeq}) ${sign}FLAGS.SILENT (\\Flagged)`)),
    );
    expect(answers.filter((text) => /OK \[MODIFIED 1\]/.test(text))).toHaveLength(1);
  }
  for (const client of clients) client.end();
  await server.stop();
  await removeDataFolder(data);
});
