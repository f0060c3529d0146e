import { Client } from "jmap-client-ts";
import { FetchTransport } from "jmap-client-ts/lib/utils/fetch-transport.js";
import { DEMO } from "../kit/server.ts";
import { assert, type Interop, until } from "./harness.ts";
import { askImap, withJmap } from "./jmap.ts";

/** jmap-client-ts of npm. It says no Content-Type of its own, so its user must; its `using` is all that the session has. */
export const jmapClientTs: Interop = async (steps) => {
  await withJmap(async ({ server, base, token }) => {
    const options = {
      sessionUrl: `${base}/.well-known/jmap`,
      accessToken: token,
      transport: new FetchTransport(fetch as never),
    };
    const client = new Client({ ...options, httpHeaders: { "Content-Type": "application/json" } });
    await client.fetchSession();
    const accountId = client.getFirstAccountId();
    const { list } = await client.mailbox_get({ accountId, ids: null });
    const mailbox = (role: string): string => list.find((one) => one.role === role)!.id;
    await steps.step("without a Content-Type it is refused", async () => {
      const silent = new Client(options);
      await silent.fetchSession();
      const failure = await silent.mailbox_get({ accountId, ids: null }).then(
        () => "",
        (error: Error) => error.message,
      );
      assert(/status code 4\d\d/.test(failure), failure);
    });
    await steps.step("lists mailboxes and mails", async () => {
      assert(list.length >= 6 && list.every(({ name, id }) => name && id), JSON.stringify(list));
      const { ids } = await client.email_query({ accountId, filter: { inMailbox: mailbox("inbox") } } as never);
      const got = await client.email_get({ accountId, ids, properties: ["subject", "from", "bodyValues", "textBody"] });
      assert(got.list.length === 3 && got.list.some(({ subject }) => subject === "Grüße aus Köln"), "other mails");
    });
    await steps.step("makes, renames and destroys a mailbox, as IMAP sees it; follows it by changes", async () => {
      const state = (await client.mailbox_get({ accountId, ids: [] })).state;
      const set = (args: object) => client.mailbox_set({ accountId, ...args } as never);
      const { created } = await set({ create: { a: { name: "Reisen", parentId: null } } });
      const { id } = (created as Record<string, { readonly id: string }>).a!;
      assert((await askImap(server, 'LIST "" Reisen')).includes("Reisen"), "IMAP has it not");
      await set({ update: { [id]: { name: "Fahrten" } } });
      assert((await askImap(server, 'LIST "" Fahrten')).includes("Fahrten"), "IMAP has the old name");
      const changes = await client.mailbox_changes({ accountId, sinceState: state } as never);
      assert(changes.created.join() === id && changes.updated.length === 0, JSON.stringify(changes));
      const { destroyed } = await set({ destroy: [id] });
      assert(destroyed?.join() === id, JSON.stringify(destroyed));
    });
    await steps.step("moves and flags a mail by patches, as IMAP sees it", async () => {
      const { ids } = await client.email_query({ accountId, filter: { subject: "Welcome" } } as never);
      const [id] = ids as [string];
      const update = {
        [id]: {
          "keywords/$answered": true,
          [`mailboxIds/${mailbox("inbox")}`]: null,
          [`mailboxIds/${mailbox("archive")}`]: true,
        },
      };
      const { updated } = await client.email_set({ accountId, update } as never);
      assert(updated && id in updated, JSON.stringify(updated));
      const seen = await askImap(server, "SELECT Archive", "FETCH 1 (FLAGS EMAILID)");
      assert(seen.includes("\\Answered") && seen.includes(id), seen);
    });
    await steps.step("sends", async () => {
      const draft = {
        mailboxIds: { [mailbox("drafts")]: true },
        keywords: { $draft: true },
        from: [{ email: DEMO.user }],
        to: [{ email: DEMO.user }],
        subject: "by jmap-client-ts",
        textBody: [{ partId: "t", type: "text/plain" }],
        bodyValues: { t: { value: "hello" } },
      };
      const made = await client.email_set({ accountId, create: { d: draft } } as never);
      const emailId = made.created!.d!.id;
      const create = { s: { identityId: "i0", emailId } };
      const onSuccessDestroyEmail = ["#s"];
      const set = await client.emailSubmission_set({ accountId, create, onSuccessDestroyEmail } as never);
      const { id } = (set.created as Record<string, { readonly id: string }>).s!;
      await until("it", async () =>
        /by jmap-client-ts/.test(await askImap(server, "SELECT INBOX", "FETCH * BODY.PEEK[]")),
      );
      assert(/\* 0 EXISTS/.test(await askImap(server, "SELECT Drafts")), "the draft is left");
      await until("its end", async () => {
        const got = await client.emailSubmission_get({ accountId, ids: [id] } as never);
        return (got.list[0] as { readonly undoStatus: string }).undoStatus === "final";
      });
    });
  });
};
