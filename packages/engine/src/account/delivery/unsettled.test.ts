import { expect, test } from "vitest";
import { type Fault, MemoryPlace } from "../../storage/memory.ts";
import { clock, mailText, makeAccount, open, platform, signer, stream, textsOf } from "../../testing/account-kit.ts";
import { Dropbox } from "./dropbox.ts";
import { Unsettled } from "./unsettled.ts";

const LARGE = 10_000;
const none = new Uint8Array(0);

async function scene() {
  const place = new MemoryPlace(() => clock.now++);
  const { ring, user } = await makeAccount(place);
  const unsettled = new Unsettled(platform);
  const store = place.open();
  const box = new Dropbox({ store, platform, signer, unsettled, users: { find: async () => user } }, user);
  const account = await open(place, ring());
  const texts = async (): Promise<string[]> => {
    await account.refresh();
    return textsOf(account, "INBOX");
  };
  return { place, unsettled, box, account, texts };
}

test.each([10, LARGE])(
  "a reply that was not read, and the mail again: one mail, also when it was taken in between (%i)",
  async (size) => {
    const { unsettled, box, account, texts } = await scene();
    const first = unsettled.connect();
    await box.deliver(none, stream(mailText(1, size)), first);
    expect(await texts()).toHaveLength(1);
    first.abandon();
    const second = unsettled.connect();
    await box.deliver(none, stream(mailText(1, size)), second);
    second.settle();
    expect(await texts()).toEqual([mailText(1, size)]);
    await account.dispose();
  },
);

test("equal mails that were both acknowledged are two mails; so are those of two clients at once", async () => {
  const { unsettled, box, account, texts } = await scene();
  const [one, two] = [unsettled.connect(), unsettled.connect()];
  await box.deliver(none, stream(mailText(1)), one);
  one.settle();
  await box.deliver(none, stream(mailText(1)), one);
  await box.deliver(none, stream(mailText(1)), two);
  expect(await texts()).toHaveLength(3);
  await account.dispose();
});

test.each<Fault["kind"]>(["lost-answer", "late"])(
  "a put whose outcome is unknown (%s), the next mail, and then the first again: each is there once",
  async (kind) => {
    const { place, unsettled, box, account, texts } = await scene();
    const client = unsettled.connect();
    const later: (() => void)[] = [];
    const fault: Fault = kind === "late" ? { kind, release: (run) => later.push(run) } : { kind: "lost-answer" };
    place.fault = (operation, name) => (operation === "put" && name.includes("/note/") ? fault : undefined);
    await expect(box.deliver(none, stream(mailText(1)), client)).rejects.toMatchObject({ code: "unknown-outcome" });
    place.fault = () => undefined;
    client.settle();
    await box.deliver(none, stream(mailText(2)), client);
    await texts();
    client.settle();
    await box.deliver(none, stream(mailText(1)), client);
    for (const run of later) run();
    expect((await texts()).sort()).toEqual([mailText(1), mailText(2)]);
    await account.dispose();
  },
);

test("a put whose outcome is unknown stays so, also when the next try is surely refused: one mail", async () => {
  const { place, unsettled, box, account, texts } = await scene();
  const client = unsettled.connect();
  const tries: readonly Fault[] = [{ kind: "lost-answer" }, { kind: "unavailable" }];
  for (const fault of tries) {
    place.fault = (operation, name) => (operation === "put" && name.includes("/note/") ? fault : undefined);
    const code = fault.kind === "unavailable" ? "unavailable" : "unknown-outcome";
    await expect(box.deliver(none, stream(mailText(1)), client)).rejects.toMatchObject({ code });
    client.settle();
  }
  place.fault = () => undefined;
  await box.deliver(none, stream(mailText(1)), client);
  expect(await texts()).toEqual([mailText(1)]);
  await account.dispose();
});

test("what was surely refused is forgotten; after an hour all is", async () => {
  const { place, unsettled, box, account, texts } = await scene();
  const client = unsettled.connect();
  place.fault = () => ({ kind: "unavailable" });
  await expect(box.deliver(none, stream(mailText(1)), client)).rejects.toMatchObject({ code: "unavailable" });
  place.fault = () => undefined;
  await box.deliver(none, stream(mailText(1)), client);
  client.abandon();
  clock.now += 3_700_000;
  await box.deliver(none, stream(mailText(1)), client);
  expect(await texts()).toHaveLength(2);
  await account.dispose();
});

test("what is held is bounded by its octets too: the oldest goes first", () => {
  const unsettled = new Unsettled(platform);
  const client = unsettled.connect();
  const noteOf = (name: string, octets: number) => ({ name, bytes: new Uint8Array(octets), along: [] });
  const half = 16 * 2 ** 20;
  for (const name of ["one", "two", "three"]) unsettled.hold(name, noteOf(name, half), client);
  client.abandon();
  expect(["one", "two", "three"].map((name) => unsettled.find(name)?.name)).toEqual([undefined, "two", "three"]);
  // Objects along with a note count as its own octets do.
  const more = unsettled.connect();
  unsettled.hold(
    "four",
    { ...noteOf("four", 0), along: [{ name: "body/x", content: new Uint8Array(half + 1) }] },
    more,
  );
  more.abandon();
  expect(["two", "three", "four"].map((name) => unsettled.find(name)?.name)).toEqual([undefined, undefined, "four"]);
});
