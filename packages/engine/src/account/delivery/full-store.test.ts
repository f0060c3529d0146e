import { expect, test } from "vitest";
import { openView } from "../../mail/mailbox-view.ts";
import { MemoryPlace } from "../../storage/memory.ts";
import { type ObjectStore, StoreError } from "../../storage/object-store.ts";
import { bytes, clock, dropbox, mailText, makeAccount, open, stream, textsOf } from "../../testing/account-kit.ts";

const full = { code: "over-quota" };

/** Stores that, once the switch is on, take what is essential alone, as an embedded one does when the disk is full. */
function fillable(place: MemoryPlace): { open(): ObjectStore; isFull: boolean } {
  const switches = {
    isFull: false,
    open() {
      const store = place.open();
      for (const name of ["put", "putIfAbsent"] as const) {
        const write = store[name].bind(store) as ObjectStore["putIfAbsent"];
        store[name] = async (object: string, content: never, options = {}) => {
          if (switches.isFull && !options.essential) throw new StoreError("full", "the disk is full");
          return write(object, content, options);
        };
      }
      return store;
    },
  };
  return switches;
}

test("a full store takes what removes and what it holds already, and refuses the rest, though they come at once", async () => {
  const place = new MemoryPlace(() => clock.now++);
  const { ring, user } = await makeAccount(place);
  const stores = fillable(place);
  const account = await open(stores, ring());
  const append = async (n: number): Promise<unknown> =>
    account.append(
      account.mail.getMailbox("Sent").id,
      await account.prepare(stream(mailText(n)), { mailbox: "Sent", flags: [] }),
    );
  for (let n = 0; n < 4; n++) await append(n);
  await dropbox(place, user).deliver(bytes(""), stream(mailText(9)));
  stores.isFull = true;

  const view = openView(account.mail, account.mail.getMailbox("Sent").id, { readOnly: false });
  const outcomes = await Promise.allSettled([
    append(5),
    view.setFlags([0, 1], { mode: "add", flags: ["\\Deleted"] }),
    append(6),
    view.move([3], account.mail.getMailbox("Trash").id),
    view.copy([2], account.mail.getMailbox("Trash").id),
    account.mail.create("Other"),
  ]);
  const rejected = { status: "rejected", reason: full };
  expect(outcomes).toMatchObject([
    rejected,
    { status: "fulfilled" },
    rejected,
    { status: "fulfilled" },
    rejected,
    rejected,
  ]);
  await expect(dropbox(stores, user).deliver(bytes(""), stream(mailText(10)))).rejects.toMatchObject(full);

  await account.refresh();
  expect(await textsOf(account, "INBOX"), "what was acknowledged is shown").toEqual([mailText(9)]);
  await openView(account.mail, account.mail.getMailbox("Sent").id, { readOnly: false }).expunge();
  await account.upkeep.checkpoint();
  await account.upkeep.run();
  expect(await textsOf(account, "Sent")).toEqual([mailText(2)]);
  expect(await textsOf(account, "Trash")).toEqual([mailText(3)]);
  await account.dispose();

  stores.isFull = false;
  const later = await open(stores, ring());
  await dropbox(stores, user).deliver(bytes(""), stream(mailText(11)));
  await later.refresh();
  expect(await textsOf(later, "INBOX")).toEqual([mailText(9), mailText(11)]);
  await later.dispose();
});
