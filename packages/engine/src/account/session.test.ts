import { describe, expect, test } from "vitest";
import { signingKeyPair } from "../crypto/index.ts";
import type { MailboxView } from "../mail/mailbox-view.ts";
import { NO_MODSEQ } from "../mail/numbers.ts";
import { FOUNDER, INBOX_ID, mailboxId } from "../mail/ops/names.ts";
import { mailText, outboundQueue, stream } from "../testing/account-kit.ts";
import { FIRST, SECOND, setUpAda } from "../testing/ways-in-kit.ts";
import { addAppPassword, revokeAppPassword } from "./keys/app-passwords.ts";
import { changePassword } from "./keys/passwords.ts";
import { rotateAccount } from "./keys/rotate.ts";
import { deleteAccount } from "./moving/delete-account.ts";
import type { AccountSession } from "./session.ts";

const TRASH = mailboxId(FOUNDER, 0, 3);

const pace = { isOver: () => false, take: async () => undefined };

type Verbs<T> = Readonly<Record<string, (of: T) => unknown>>;

/** Calls of a session, and of a view that it opened, each with arguments that would do. */
const SESSION: Verbs<AccountSession> = {
  state: (session) => session.state,
  refresh: (session) => session.refresh(),
  retryNotes: (session) => session.retryNotes(),
  repair: (session) => session.repair(),
  onChange: (session) => session.onChange(() => undefined),
  getMailbox: (session) => session.getMailbox("INBOX"),
  openView: (session) => session.openView(INBOX_ID, { readOnly: false }),
  create: (session) => session.create("New"),
  delete: (session) => session.delete(TRASH),
  rename: (session) => session.rename("Trash", "Rubbish"),
  subscribe: (session) => session.subscribe("Trash", false),
  prepare: (session) => session.prepare(stream(mailText(2)), { mailbox: "INBOX", flags: [] }),
  append: (session) => session.append(INBOX_ID, undefined as never),
  appendMany: (session) => session.appendMany(INBOX_ID, []),
  replace: (session) => session.replace(undefined as never, 0, undefined as never),
  addMany: (session) => session.addMany([]),
  readFullSummaries: (session) => session.readFullSummaries([]),
  findEmails: (session) => session.findEmails([], { pace }),
  readSummaries: (session) => session.readSummaries([]),
  readHeaders: (session) => session.readHeaders([]),
  openBody: (session) => session.openBody(undefined as never),
  search: (session) => session.search(undefined as never, undefined as never, { pace }),
  queryEmails: (session) => session.queryEmails(undefined as never, { pace }),
  countLostPages: (session) => session.countLostPages(),
  countEmails: (session) => session.countEmails(INBOX_ID, { pace }),
  sort: (session) => session.sort(undefined as never, { kind: "all" }, [], { pace }),
  thread: (session) => session.thread(undefined as never, "refs", { kind: "all" }, { pace }),
  readSnippets: (session) => session.readSnippets([], { kind: "text", text: "x" }, { pace }),
  queryChanges: (session) => session.queryChanges(undefined as never, { modSeq: NO_MODSEQ }, { pace }),
  lists: (session) => session.lists({ pace }),
  emailChanges: (session) => session.emailChanges({ modSeq: NO_MODSEQ }),
  threadChanges: (session) => session.threadChanges({ modSeq: NO_MODSEQ }, { pace }),
  mailboxListChanges: (session) => session.mailboxListChanges({ modSeq: NO_MODSEQ }, { pace }),
  mailboxCounts: (session) => session.mailboxCounts({ pace }),
  editEmails: (session) => session.editEmails([], { pace }),
  changeFolders: (session) => session.changeFolders(() => ({ steps: [] })),
  submit: (session) => session.submit(undefined as never),
  submissions: (session) => session.submissions(),
  findSubmission: (session) => session.findSubmission("x"),
  findRepeated: (session) => session.findRepeated("x"),
  cancelSubmission: (session) => session.cancelSubmission("x"),
  forgetSubmissions: (session) => session.forgetSubmissions([]),
  isOwnAddress: (session) => session.isOwnAddress("x"),
  vacation: (session) => session.vacation(),
  setVacation: (session) => session.setVacation(undefined as never),
  pushSubscriptions: (session) => session.pushSubscriptions(),
  createPushSubscription: (session) => session.createPushSubscription(undefined as never),
  updatePushSubscription: (session) => session.updatePushSubscription("x", {}),
  endPushSubscription: (session) => session.endPushSubscription("x"),
  quota: (session) => session.quota,
  mandates: (session) => session.mandates(),
  endMandate: (session) => session.endMandate("vacation"),
  writeRecords: (session) => session.writeRecords([]),
  readRecord: (session) => session.readRecord("x", "x"),
  upload: (session) => session.upload(stream(mailText(1))),
  openBlob: (session) => session.openBlob(new Uint8Array(16)),
  uidNextAtOpening: (session) => session.uidNextAtOpening,
  keywordsIn: (session) => session.keywordsIn(undefined as never),
  tokens: (session) => session.tokens(),
  addToken: (session) => session.addToken({ label: "x", scope: "mail" }),
  endToken: (session) => session.endToken("x"),
  devices: (session) => session.devices,
};
const VIEW: Verbs<MailboxView> = {
  mailbox: (view) => view.mailbox,
  messages: (view) => view.messages([0]),
  messagesIn: (view) => view.messagesIn(0, 1),
  message: (view) => view.message(0),
  mailboxNow: (view) => view.mailboxNow,
  isBehind: (view) => view.isBehind,
  sync: (view) => view.sync({ expunges: true }),
  targetOf: (view) => view.targetOf(0),
  vanishedSince: (view) => view.vanishedSince(NO_MODSEQ, []),
  changedSince: (view) => view.changedSince(NO_MODSEQ, [0]),
  setFlags: (view) => view.setFlags([0], { mode: "add", flags: ["\\Flagged"] }),
  markSeen: (view) => view.markSeen([0]),
  firstUnseen: (view) => view.firstUnseen(),
  copy: (view) => view.copy([0], TRASH),
  move: (view) => view.move([0], TRASH),
  expunge: (view) => view.expunge([0]),
};
/** These tell what the client knows already, or why nothing is told. */
const HARMLESS = [
  "constructor",
  "account",
  "way",
  "ended",
  "barred",
  "isPartial",
  "sends",
  "holdMsMax",
  "hasMandates",
  "pushKey",
  "close",
  "length",
  "uidValidity",
  "uidAt",
  "highestModSeq",
  "modSeqOf",
  "lowerBound",
];

const verbsOf = (made: object): string[] =>
  Object.getOwnPropertyNames(Object.getPrototypeOf(made)).filter((name) => !HARMLESS.includes(name));

/** Ada, signed in by the way that is to end, with a mail and a mailbox selected. */
async function scene() {
  const ada = await setUpAda();
  const { tools, user, accounts } = ada;
  const { appPassword, id } = await addAppPassword(tools, user(), FIRST, "Phone");
  const server = accounts();
  const session = await server.login("ada", appPassword, "");
  const prepared = await session.prepare(stream(mailText(1)), { mailbox: "INBOX", flags: ["\\Deleted"] });
  await session.append(INBOX_ID, prepared);
  const view = session.openView(INBOX_ID, { readOnly: false });
  return { ...ada, server, session, view, id };
}

const ENDS: Readonly<Record<string, (of: Awaited<ReturnType<typeof scene>>) => Promise<unknown>>> = {
  "its app password was revoked": ({ tools, user, id }) => revokeAppPassword(tools, user(), FIRST, id),
  "the account has new keys": ({ tools, user }) => rotateAccount(tools, user(), FIRST),
  "the account was deleted": ({ tools, user }) =>
    deleteAccount(
      { ...tools, queue: outboundQueue(tools.store), signer: signingKeyPair(new Uint8Array(32).fill(9)) },
      user(),
    ),
};

describe.each(Object.entries(ENDS))("after %s", (_, end) => {
  test("a session is told, and each verb of it and of its view is refused: nothing is written", async () => {
    const made = await scene();
    const { server, session, view, place } = made;
    expect([...verbsOf(session)].sort()).toEqual(Object.keys(SESSION).sort());
    expect([...verbsOf(view)].sort()).toEqual(Object.keys(VIEW).sort());
    await end(made);
    if (!session.ended.aborted)
      await new Promise((resolve) => session.ended.addEventListener("abort", resolve, { once: true }));
    const before = place.snapshot();
    const reason: unknown = session.ended.reason;
    for (const [name, verb] of Object.entries(SESSION))
      await expect((async () => verb(session))(), name).rejects.toBe(reason);
    for (const [name, verb] of Object.entries(VIEW))
      await expect((async () => verb(view))(), name).rejects.toBe(reason);
    expect(place.snapshot()).toEqual(before);
    session.close();
    await server.dispose();
  });
});

test("who signed in by a password stays when it is sealed anew, and when another's app password is revoked", async () => {
  const { tools, user, id, server } = await scene();
  const session = await server.login("ada", FIRST, "");
  await revokeAppPassword(tools, user(), FIRST, id);
  await session.refresh();
  expect(session.ended.aborted).toBe(false);
  await changePassword(tools, user(), FIRST, SECOND);
  await expect(session.refresh()).rejects.toMatchObject({ code: "not-permitted" });
  session.close();
  await server.dispose();
});
