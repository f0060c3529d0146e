import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { extent } from "@restante/engine/testing";
import fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";
import { EmlTarget, openEml } from "./eml/eml.ts";
import { wrongKind } from "./kind.ts";
import type { MailSource, MailTarget, TargetMail } from "./mail-place.ts";
import { MaildirTarget, openMaildir } from "./maildir/maildir.ts";
import { MboxTarget, openMbox } from "./mbox/mbox.ts";

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "restante-trip-"));
});
afterEach(() => rm(root, { recursive: true }));

const FORMS: Readonly<
  Record<
    string,
    { readonly target: (path: string) => MailTarget; readonly open: (path: string) => Promise<MailSource> }
  >
> = {
  maildir: { target: (path) => new MaildirTarget(path), open: openMaildir },
  eml: { target: (path) => new EmlTarget(path), open: openEml },
  mbox: { target: (path) => new MboxTarget(path, "mboxrd"), open: (path) => openMbox(path, "mbox") },
  mboxcl2: { target: (path) => new MboxTarget(path, "mboxcl2"), open: (path) => openMbox(path, "mboxcl2") },
};

/** Names that a file system, a format or a program could take for something else. */
const level = fc.oneof(
  fc.constantFrom(
    ...["cur", "new", "tmp", "NEW", "Messages", "Data", "1", "mbox", "INBOX", "a.sbd", "a.mbox", "a.eml", "a.emlx"],
    ...["..", ".", ".a", "a.", "a.b", "%41", "50%", "&", "&AC4-", "~", "*", '"', "\\", ":", "subscriptions", "a "],
    ...["table_of_contents", "x.msf", "x.dat", "Entw\u00fcrfe", "\u{1f4ec}", "dovecot-keywords", "Attachments"],
  ),
  fc.string({ unit: fc.constantFrom("a", ".", "%", "2", "F", "\u00e9", "&", " "), minLength: 1, maxLength: 5 }),
);
const path = fc
  .array(level, { minLength: 1, maxLength: 3 })
  .map((levels) => levels.join("/"))
  // INBOX is one in any case, and above all.
  .filter((text) => !/^inbox(?:\/|$)/i.test(text) || /^INBOX(?:\/|$)/.test(text));
const flags = fc.uniqueArray(
  fc.constantFrom("\\Seen", "\\Flagged", "\\Deleted", "$Forwarded", "todo", "a,b", "NonJunk"),
);
const text = fc
  .tuple(
    fc.array(
      fc.constantFrom("Subject: x", "Status: R", "From a@b Mon Feb  2 10:11:12 2026", "", "text", ">From x", "\r"),
    ),
    fc.constantFrom("\r\n", "\n"),
  )
  .map(([lines, end]) => lines.map((line) => line + end).join(""));
const mail = fc.record({ flags, text, seconds: fc.integer({ min: 0, max: 2 ** 31 - 1 }) });
const account = fc.dictionary(path, fc.array(mail, { maxLength: 3 }), { maxKeys: 5, noNullPrototype: true });

interface Told {
  readonly flags: readonly string[];
  readonly text: string;
  readonly seconds: number;
}

function isSubscribed(name: string): boolean {
  return name.length % 2 === 0;
}

async function write(target: MailTarget, mailboxes: Readonly<Record<string, readonly Told[]>>): Promise<void> {
  for (const [name, mails] of Object.entries(mailboxes)) {
    const keywords = new Set(mails.flatMap((one) => one.flags).filter((flag) => !flag.startsWith("\\")));
    expect(await target.begin(name, [...keywords].sort())).toEqual([]);
    for (const [at, one] of mails.entries()) {
      const written: TargetMail = {
        uid: at + 1,
        received: { timeMs: one.seconds * 1000, zoneMinutes: 0 },
        flags: one.flags,
        async *read() {
          yield Buffer.from(one.text, "latin1");
        },
      };
      await target.write(written);
    }
  }
  await target.end(Object.keys(mailboxes).filter(isSubscribed));
}

async function read(source: MailSource): Promise<Record<string, Told[]>> {
  const found: Record<string, Told[]> = {};
  for (const folder of source.folders) {
    found[folder.path] = [];
    for await (const one of folder.mails())
      found[folder.path]!.push({
        flags: [...one.flags].sort(),
        text: Buffer.concat(await Array.fromAsync(one.open())).toString("latin1"),
        seconds: one.received!.timeMs / 1000,
      });
  }
  expect([source.problems, source.notices]).toEqual([[], []]);
  return found;
}

/** Maildir names mails by when they came; what came at once is in the order of uids. */
function inOrder(mails: readonly Told[], form: string): Told[] {
  const told = mails.map((one) => ({ ...one, flags: [...one.flags].sort() }));
  return form === "maildir" ? told.sort((a, b) => a.seconds - b.seconds) : told;
}

test.each(Object.keys(FORMS))(
  "%s: what an export writes comes back: names, octets, flags, times, subscriptions",
  async (form) => {
    const { target, open } = FORMS[form]!;
    let turn = 0;
    await fc.assert(
      fc.asyncProperty(account, async (mailboxes) => {
        const place = join(root, String(turn++));
        // An export always has INBOX.
        const whole = { INBOX: [], ...mailboxes };
        await mkdir(place);
        await write(target(place), whole);
        const format = form === "mboxcl2" ? "mboxcl2" : (form as "mbox" | "eml" | "maildir");
        expect(await wrongKind({ format, path: place })).toBeUndefined();
        const source = await open(place);
        const found = await read(source);
        // Folders that only lead to others are none, but eml can't tell.
        const extra = form === "eml" ? Object.keys(found).filter((name) => !(name in whole)) : [];
        for (const name of extra) {
          expect(Object.keys(whole).some((other) => other.startsWith(`${name}/`))).toBe(true);
          expect(found[name]).toEqual([]);
          delete found[name];
        }
        expect(found).toEqual(
          Object.fromEntries(Object.entries(whole).map(([name, mails]) => [name, inOrder(mails, form)])),
        );
        // INBOX is there, subscribed or not.
        const others = Object.keys(whole).filter((name) => name !== "INBOX");
        const subscribed = source.folders.filter((folder) => folder.subscribed).map((folder) => folder.path);
        expect(others.filter((name) => subscribed.includes(name))).toEqual(others.filter(isSubscribed));
      }),
      { numRuns: extent(60, 12) },
    );
  },
);
