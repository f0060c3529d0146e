import { createRequire } from "node:module";
import type { Json } from "../kit/jmap-client.ts";
import { DEMO } from "../kit/server.ts";
import { assert, type Interop, until } from "./harness.ts";
import { askImap, withJmap } from "./jmap.ts";

// Its types are in sources that this project's settings don't take.
const require = createRequire(import.meta.url);
const { JamClient } = require("jmap-jam") as {
  readonly JamClient: new (options: { readonly bearerToken: string; readonly sessionUrl: string }) => Jam;
};
type Methods = Readonly<Record<string, Readonly<Record<string, (args: object) => Json>>>>;
interface Jam {
  readonly session: Promise<Json>;
  readonly api: Methods;
  getPrimaryAccount(): Promise<string>;
  requestMany(make: (methods: Methods) => object): Promise<readonly [Json, Json]>;
  uploadBlob(accountId: string, content: Blob): Promise<Json>;
  downloadBlob(blob: Readonly<Record<"accountId" | "blobId" | "mimeType" | "fileName", string>>): Promise<Response>;
}

/**
 * jmap-jam of npm: typed calls, chains of references, uploads, downloads. It knows Bearer alone. Of several answers of one
 * call (EmailSubmission/set and what it implies) it shows the last; of a chain it sends what is returned to it; it puts a file's
 * name into a URL as it is.
 */
export const jmapJam: Interop = async (steps) => {
  await withJmap(async ({ server, base, token }) => {
    const jam = new JamClient({ bearerToken: token, sessionUrl: `${base}/.well-known/jmap` });
    const accountId = await jam.getPrimaryAccount();
    const ask = async (name: string, args: object): Promise<Json> => {
      const [type, method] = name.split("/") as [string, string];
      return (await jam.api[type]![method]!({ accountId, ...args }))[0];
    };
    let drafts = "";
    let sent = "";
    let inbox = "";
    await steps.step("finds the session and the mailboxes", async () => {
      const { username, apiUrl } = await jam.session;
      assert(username === DEMO.user && apiUrl === `${base}/jmap`, `${username} ${apiUrl}`);
      const { list } = await ask("Mailbox/get", { ids: null });
      const withRole = (wanted: string): string => list.find(({ role }: Json) => role === wanted).id;
      [inbox, drafts, sent] = [withRole("inbox"), withRole("drafts"), withRole("sent")];
    });
    await steps.step("a chain of references reads a list: query, get, threads", async () => {
      const [answers] = await jam.requestMany((t) => {
        const query = t.Email!.query!({
          accountId,
          filter: { inMailbox: inbox },
          sort: [{ property: "receivedAt", isAscending: false }],
          limit: 50,
          calculateTotal: true,
          collapseThreads: true,
        });
        const first = t.Email!.get!({ accountId, ids: query.$ref("/ids"), properties: ["threadId"] });
        const threads = t.Thread!.get!({ accountId, ids: first.$ref("/list/*/threadId") });
        const emails = t.Email!.get!({
          accountId,
          ids: threads.$ref("/list/*/emailIds"),
          properties: ["id", "subject", "from", "preview", "receivedAt", "hasAttachment", "keywords", "mailboxIds"],
        });
        return { query, first, threads, emails };
      });
      assert(answers.query.total === 2, JSON.stringify(answers.query));
      const subjects = answers.emails.list.map(({ subject }: Json) => subject);
      assert(subjects.includes("Grüße aus Köln") && subjects.length === 3, subjects.join());
      const ids = answers.emails.list.map(({ id }: Json) => id);
      const imap = await askImap(server, "SELECT INBOX", "FETCH 1:* (EMAILID)");
      for (const id of ids) assert(imap.includes(`(${id})`), `${id} is none of ${imap}`);
    });
    await steps.step("a keyword that it sets is IMAP's flag; a new mailbox is IMAP's", async () => {
      const { ids } = await ask("Email/query", { filter: { subject: "Köln" } });
      const { updated } = await ask("Email/set", {
        update: { [ids[0]!]: { "keywords/$flagged": true, "keywords/$seen": true } },
      });
      assert(updated && ids[0]! in updated, JSON.stringify(updated));
      assert(/FLAGS \(.*\\Flagged.*\)/.test(await askImap(server, "SELECT INBOX", "FETCH 2 FLAGS")), "no flag");
      const made = await ask("Mailbox/set", { create: { a: { name: "Größe", parentId: inbox } } });
      assert(made.created?.a?.id, JSON.stringify(made));
      assert((await askImap(server, 'LIST "" "*"')).includes("INBOX/Gr"), "IMAP lists no such mailbox");
    });
    await steps.step("what it uploads comes back, and is imported", async () => {
      const text = "From: a@example.org\r\nSubject: uploaded\r\n\r\nGröße\r\n";
      const { blobId, size } = await jam.uploadBlob(accountId, new Blob([text], { type: "message/rfc822" }));
      assert(size === Buffer.byteLength(text), `${size}`);
      const got = await jam.downloadBlob({ accountId, blobId, mimeType: "message/rfc822", fileName: "a b.eml" });
      assert((await got.text()) === text, "other octets");
      const { created } = await ask("Email/import", {
        emails: { a: { blobId, mailboxIds: { [inbox]: true }, keywords: { $seen: true } } },
      });
      assert(created.a, JSON.stringify(created));
      assert((await askImap(server, "SELECT INBOX", "FETCH * BODY.PEEK[]")).includes("uploaded"), "IMAP has it not");
    });
    await steps.step("writes, sends, and moves what it sent", async () => {
      const { list } = await ask("Identity/get", { ids: null });
      const made = await ask("Email/set", {
        create: {
          draft: {
            mailboxIds: { [drafts]: true },
            keywords: { $draft: true },
            from: [{ name: null, email: DEMO.user }],
            to: [{ name: "Jürgen", email: DEMO.user }],
            subject: "by jmap-jam",
            htmlBody: [{ partId: "h", type: "text/html" }],
            bodyValues: { h: { value: "<p>Größe</p>", isEncodingProblem: false, isTruncated: false } },
          },
        },
      });
      const emailId = made.created.draft.id;
      const set = await ask("EmailSubmission/set", {
        create: { s: { identityId: list[0]!.id, emailId } },
        onSuccessUpdateEmail: {
          "#s": { [`mailboxIds/${drafts}`]: null, [`mailboxIds/${sent}`]: true, "keywords/$draft": null },
        },
      });
      assert(set.created?.s, JSON.stringify(set));
      await until("it", async () => /by jmap-jam/.test(await askImap(server, "SELECT INBOX", "FETCH * BODY.PEEK[]")));
      assert(/by jmap-jam/.test(await askImap(server, "SELECT Sent", "FETCH * BODY.PEEK[]")), "it is not in Sent");
      assert(/\* 0 EXISTS/.test(await askImap(server, "SELECT Drafts")), "a draft is left");
    });
    await steps.step("follows what IMAP changes", async () => {
      const { state } = await ask("Email/get", { ids: [] });
      await askImap(server, "SELECT INBOX", "STORE 1 +FLAGS (Important)");
      const { updated, newState, hasMoreChanges } = await ask("Email/changes", { sinceState: state });
      assert(updated.length === 1 && !hasMoreChanges, JSON.stringify(updated));
      await askImap(server, "SELECT INBOX", "STORE 1 +FLAGS.SILENT (\\Deleted)", "EXPUNGE");
      const { destroyed } = await ask("Email/changes", { sinceState: newState });
      assert(destroyed[0] === updated[0], JSON.stringify(destroyed));
    });
    await steps.step("is refused in JMAP's words", async () => {
      const failure = await ask("Email/get", { ids: ["x"], properties: ["nope"] }).then(
        () => undefined,
        (error: unknown) => error,
      );
      assert((failure as { readonly type?: string }).type === "invalidArguments", JSON.stringify(failure));
      const stranger = new JamClient({ bearerToken: "rst_wrong", sessionUrl: `${base}/.well-known/jmap` });
      // It takes any JSON for a session; what a server refuses is a problem in JSON, and no page that it fails on.
      const session = await stranger.session;
      assert(session.status === 401, JSON.stringify(session));
    });
  });
};
