import { once } from "node:events";
import { connect } from "node:net";
import { constants, createDeflateRaw } from "node:zlib";
import { expect } from "vitest";
import { connectImap, connectLmtp, deliver, type LineClient } from "../kit/line-client.ts";

interface Place {
  readonly port: (name: string) => number;
  readonly user: string;
  readonly password: string;
}

/** Octets that a few of deflate come to. */
const BOMB_BYTES = 512 * 2 ** 20;
const LINKED_MAILS = 400;

/** Loads of a signed-in client on IMAP's extensions. */
export function imapLoads(place: Place): Record<string, () => Promise<void>> {
  const { port, user, password } = place;
  const asOwner = async (commands: (client: LineClient) => Promise<void>): Promise<void> => {
    const client = await connectImap(port("imap"), user, password);
    await commands(client);
    client.end();
  };
  return {
    "results of searches by the hundred, kept while all of the mailbox changes": () =>
      asOwner(async (client) => {
        await client.command("CREATE Followed");
        const mail = "Subject: x\r\n\r\nx\r\n";
        for (let n = 0; n < 8; n++)
          await client.command(`APPEND Followed${` {${mail.length}+}\r\n${mail}`.repeat(250)}`);
        await client.command("SELECT Followed");
        let refused = 0;
        for (let n = 0; n < 100; n++) {
          const command =
            n % 2 === 0 ? "UID SEARCH RETURN (UPDATE) UNSEEN" : "SORT RETURN (UPDATE) (SUBJECT) UTF-8 SEEN";
          if (/^\* NO \[NOUPDATE /m.test(await client.command(command))) refused++;
        }
        expect(refused).toBe(84);
        for (const sign of ["+", "-", "+", "-"]) {
          const answer = await client.command(`STORE 1:* ${sign}FLAGS.SILENT (\\Seen)`);
          expect(answer.match(/^\* ESEARCH /gm)).toHaveLength(16);
        }
        await client.command("UNSELECT");
        await client.command("DELETE Followed");
      }),
    "NOTIFY of as many mailboxes as may be, again and again": () =>
      asOwner(async (client) => {
        const names = Array.from({ length: 999 }, (_, n) => `No${n}`).join(" ");
        const wanted = `(mailboxes (INBOX ${names}) (MessageNew MessageExpunge FlagChange MailboxName))`;
        for (let n = 0; n < 100; n++) expect(await client.command(`NOTIFY SET STATUS ${wanted}`)).toMatch(/ OK /);
        expect(await client.command(`NOTIFY SET ${wanted.replace("INBOX", "INBOX A B C")}`)).toMatch(/ BAD /);
        for (let n = 0; n < 100; n++) await client.command(`${n % 2 === 0 ? "CREATE" : "DELETE"} No1`);
      }),
    "half a gigabyte of zeros, deflated": async () => {
      const socket = connect(port("imap"), "127.0.0.1");
      await once(socket, "data");
      socket.write(`a LOGIN ${user} "${password}"\r\nb COMPRESS DEFLATE\r\n`);
      let text = "";
      while (!/^b OK .*\r\n/m.test(text)) text += String((await once(socket, "data"))[0]);
      socket.on("error", () => socket.destroy());
      const closed = once(socket, "close");
      socket.resume();
      const deflate = createDeflateRaw({ level: 9 });
      deflate.pipe(socket);
      deflate.write("c NOOP ");
      const zeros = Buffer.alloc(2 ** 20);
      for (let sent = 0; sent < BOMB_BYTES && !socket.destroyed; sent += zeros.length)
        if (!deflate.write(zeros)) await Promise.race([once(deflate, "drain"), closed]);
      if (!socket.destroyed) await new Promise<void>((done) => deflate.flush(constants.Z_FINISH, done));
      socket.destroy();
      await closed;
    },
    "sets of as many ranges as a command holds, and more": () =>
      asOwner(async (client) => {
        await client.command("SELECT INBOX");
        const set = Array.from({ length: 8_000 }, (_, n) => `${2 * n + 1}`).join(",");
        for (const command of [
          `UID FETCH ${set} (FLAGS)`,
          `UID STORE ${set} +FLAGS.SILENT (\\Flagged)`,
          `UID EXPUNGE ${set}`,
        ])
          expect(await client.command(command)).toMatch(/ OK /);
        expect(
          await client.command(`UID SEARCH UID ${`${set} NOT UID ${set}`.slice(0, 60_000).replace(/,$/, "")}`),
        ).toMatch(/ (OK|BAD) /);
        expect(await client.command(`FETCH ${"1,".repeat(1_000_000)}1 FLAGS`)).toMatch(/ BAD /);
      }),
    "annotations, until there are too many": () =>
      asOwner(async (client) => {
        const value = "v".repeat(1_000);
        let refused = 0;
        for (let n = 0; n < 1_100; n++) {
          const answer = await client.command(`SETMETADATA INBOX (/private/n${n} "${value}")`);
          if (/ NO \[METADATA TOOMANY\]/.test(answer)) refused++;
        }
        expect(refused).toBeGreaterThanOrEqual(100);
        for (let n = 0; n < 1_100; n++) await client.command(`SETMETADATA INBOX (/private/n${n} NIL)`);
      }),
    "signs in and out again, all in one go": async () => {
      const client = await connectImap(port("imap"), user, password);
      client.send(`u UNAUTHENTICATE\r\nl LOGIN ${user} "${password}"\r\ns SELECT INBOX\r\n`.repeat(100));
      client.send("z NOOP\r\n");
      expect(await client.until(/^z OK .*\r\n/m)).not.toMatch(/^[a-y] (NO|BAD)/m);
      client.end();
    },
    "mails that refer to one another, as often as they may": async () => {
      const lmtp = await connectLmtp(port("lmtp"));
      for (let n = 0; n < LINKED_MAILS; n++) {
        const references = Array.from({ length: 200 }, (_, at) => `<${(n * 7 + at * 13) % LINKED_MAILS}@loop>`);
        const mail = `Message-ID: <${n}@loop>\r\nSubject: ${"re: ".repeat(100)}loop\r\nReferences: ${references.join("\r\n ")}\r\n\r\nx\r\n`;
        await deliver(lmtp, [user], mail);
        // Taken in as they come: what taking in many at once costs is not asked here.
        if (n % 40 === 39) await asOwner(async (client) => void (await client.command("SELECT INBOX")));
      }
      lmtp.end();
      await asOwner(async (client) => {
        await client.command("SELECT INBOX");
        for (const how of ["REFERENCES", "REFS", "ORDEREDSUBJECT"])
          expect(await client.command(`THREAD ${how} UTF-8 ALL`)).toMatch(/^\* THREAD \(/m);
        expect(await client.command("SORT (SUBJECT REVERSE FROM CC TO DATE SIZE) UTF-8 ALL")).toMatch(/^\* SORT /m);
      });
    },
  };
}
