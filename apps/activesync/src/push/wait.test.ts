import { NO_MODSEQ } from "@restante/engine";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { mailText, openPhone, type TestPhone } from "../activesync-kit.ts";
import { foldersNow } from "../folders/state.ts";
import { idOf } from "../mail/item.ts";
import { changedMarks, marksRecord } from "../mail/marks.ts";
import { seenOf, Wait, type WaitEnd, type WaitRequest } from "./wait.ts";

// Changes that wake a waiting phone, and changes that don't.

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }));
afterEach(() => void vi.useRealTimers());

async function waiting(paths: readonly string[], more: Partial<WaitRequest> = {}) {
  const { phone, another } = await openPhone();
  await phone.append(mailText(1));
  await phone.append(mailText(2), "Archive");
  const folders = foldersNow(phone.context).filter(({ mailbox }) => mailbox && paths.includes(mailbox.path));
  const gone = new AbortController();
  const wait = new Wait({
    folders,
    seconds: 600,
    version: 16.1,
    phone: phone.context.phone,
    since: seenOf(phone.session.state),
    known: undefined,
    signal: gone.signal,
    ...more,
  });
  let end: WaitEnd | undefined;
  void wait.end.then((how) => {
    end = how;
  });
  /** After so many milliseconds. */
  const passed = async (ms: number): Promise<WaitEnd | undefined> => {
    await vi.advanceTimersByTimeAsync(ms);
    return end;
  };
  const idOfPath = (path: string): string => folders.find(({ mailbox }) => mailbox!.path === path)!.id;
  const look = (): void => wait.changed({ state: phone.session.state });
  return { phone, another, wait, passed, idOfPath, look, gone };
}
const flag = async (phone: TestPhone, path: string): Promise<void> => {
  const view = phone.session.openView(phone.session.getMailbox(path).id, { readOnly: false });
  await view.setFlags([0], { mode: "add", flags: ["\\Flagged"] });
};

describe("while the account is open", () => {
  test("a mail, a flag and what phones say wake for their folder, gathered for a second", async () => {
    const changes: ((phone: TestPhone) => Promise<void>)[] = [
      (phone) => phone.append(mailText(3)),
      (phone) => flag(phone, "INBOX"),
      async ({ session }) => {
        const { row, state } = session.openView(session.getMailbox("INBOX").id, { readOnly: true }).message(0);
        await session.writeRecords([marksRecord(idOf(state, row), { flag: undefined, verb: 1, verbMs: 1 })]);
      },
    ];
    for (const change of changes) {
      const { phone, look, passed, idOfPath } = await waiting(["INBOX", "Archive"]);
      await change(phone);
      look();
      expect(await passed(900)).toBeUndefined();
      expect(await passed(200)).toEqual({ kind: "changes", folders: [idOfPath("INBOX")] });
    }
  });

  test("what comes within the second is told with it", async () => {
    const { phone, look, passed, idOfPath } = await waiting(["INBOX", "Archive"]);
    await flag(phone, "Archive");
    look();
    await passed(500);
    await flag(phone, "INBOX");
    look();
    expect(await passed(600)).toEqual({ kind: "changes", folders: ["Archive", "INBOX"].map(idOfPath) });
  });

  test("another folder, a record that is none of a mail's, and nothing at all wake nobody", async () => {
    const { phone, look, passed } = await waiting(["INBOX"]);
    await flag(phone, "Archive");
    look();
    const { row, state } = phone.session
      .openView(phone.session.getMailbox("Archive").id, { readOnly: true })
      .message(0);
    await phone.session.writeRecords([marksRecord(idOf(state, row), { flag: undefined, verb: 1, verbMs: 1 })]);
    await phone.session.writeRecords([{ type: "other", id: "x", value: new Uint8Array(1) }]);
    look();
    look();
    expect(changedMarks(phone.session.state, NO_MODSEQ).size).toBe(1);
    expect(await passed(10_000)).toBeUndefined();
  });

  test("another history wakes for all folders; a new folder is told where it is waited for", async () => {
    const { wait, passed, phone, idOfPath } = await waiting(["INBOX", "Archive"]);
    wait.changed({ state: Object.create(phone.session.state, { epoch: { value: 99 } }) as never });
    expect(await passed(1_100)).toEqual({ kind: "changes", folders: ["Archive", "INBOX"].map(idOfPath) });
    const first = await openPhone();
    const known = foldersNow(first.phone.context);
    const { phone: other, look, passed: later } = await waiting(["INBOX"], { known });
    await other.session.create("New");
    look();
    expect(await later(0)).toEqual({ kind: "folders" });
  });
});

test("while it is locked a note wakes for the Inbox, a log entry and what has no name for every folder", async () => {
  const { wait, passed } = await waiting(["Archive"]);
  wait.changed({ name: "note/abc" });
  expect(await passed(5_000)).toBeUndefined();
  for (const name of ["log/000001", undefined]) {
    const one = await waiting(["Archive"]);
    one.wait.changed({ name });
    expect(await one.passed(1_100)).toEqual({ kind: "changes", folders: [one.idOfPath("Archive")] });
  }
  const inbox = await waiting(["INBOX", "Archive"]);
  inbox.wait.changed({ name: "note/abc" });
  expect(await inbox.passed(1_100)).toEqual({ kind: "changes", folders: [inbox.idOfPath("INBOX")] });
});

test("its time, the next request, a way in that is gone and a phone that is gone end it, and no news after that", async () => {
  const timely = await waiting(["INBOX"]);
  expect(await timely.passed(599_000)).toBeUndefined();
  expect(await timely.passed(2_000)).toEqual({ kind: "time" });
  const next = await waiting(["INBOX"]);
  next.phone.context.phone.endWait();
  expect(await next.passed(0)).toEqual({ kind: "ended" });
  const revoked = await waiting(["INBOX"]);
  revoked.wait.ended();
  expect(await revoked.passed(0)).toEqual({ kind: "ended" });
  revoked.wait.changed({ name: undefined });
  expect(await revoked.passed(2_000)).toEqual({ kind: "ended" });
  const gone = await waiting(["INBOX"]);
  gone.gone.abort();
  expect(await gone.passed(0)).toEqual({ kind: "ended" });
  const before = await waiting(["INBOX"], { signal: AbortSignal.abort() });
  expect(await before.passed(0)).toEqual({ kind: "ended" });
});
