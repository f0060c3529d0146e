import { expect, test } from "vitest";
import { allOf, HeldFolder, openSender, type TestPhone, textOf } from "../activesync-kit.ts";
import { empty, group, leaf } from "../protocol/elements.ts";

// Drafts that go out from where they lie: 16.0 on.

/** A sender whose Drafts are synchronized, and what became of its mails. */
async function sender() {
  const { phone, another, queue } = await openSender();
  const id = await phone.folder(3);
  const held = new HeldFolder();
  await phone.catchUp(id, held);
  const counts = async (of: TestPhone) => {
    await of.session.refresh();
    const sent = of.session.state.liveMailboxes().find(({ specialUse }) => specialUse === "\\Sent");
    const queued = (await Array.fromAsync(queue.list())).length;
    return { queued, sent: sent?.messages.length ?? 0, drafts: of.session.getMailbox("Drafts").messages.length };
  };
  return { phone, another, id, held, counts };
}

const letter = (to: string) => group("AirSync:ApplicationData", leaf("Email:To", to), leaf("Email:Subject", "S"));
const add = (clientId: string, to = "bob@x.org", sends = true) =>
  group("AirSync:Add", leaf("AirSync:ClientId", clientId), ...(sends ? [empty("Email2:Send")] : []), letter(to));
const change = (item: string, to = "bob@x.org") =>
  group("AirSync:Change", leaf("AirSync:ServerId", item), empty("Email2:Send"), letter(to));
const responses = (answer: Parameters<typeof allOf>[0]) => allOf(answer, "AirSync:Responses")[0];

test("one that is added and sent is there no more; the same ClientId under another key is another mail", async () => {
  const { phone, id, held, counts } = await sender();
  for (let mails = 1; mails <= 2; mails++) {
    const answer = await phone.sync(id, held.key, { commands: [add("1")] });
    expect([textOf(responses(answer), "AirSync:Status"), textOf(answer, "AirSync:ServerId")]).toEqual(["1", undefined]);
    held.take(answer);
    expect(await counts(phone)).toEqual({ queued: mails, sent: mails, drafts: 0 });
  }
  expect(await phone.sync(id, held.key)).toBeUndefined();
});

test("one whose answer is lost goes out once, also where its state was lost too", async () => {
  const { phone, another, id, held, counts } = await sender();
  const { key } = held;
  const commands = [add("1")];
  const first = await phone.sync(id, key, { commands });
  const again = await another();
  const second = await again.sync(id, key, { commands });
  const place = { device: "phone", place: id };
  const others = (await again.session.devices.keys(place)).filter((other) => other !== key);
  await again.session.devices.remove(place, others);
  const last = await another();
  const third = await last.sync(id, key, { commands });
  for (const answer of [first, second, third])
    expect([textOf(responses(answer), "AirSync:Status"), textOf(answer, "AirSync:ServerId")]).toEqual(["1", undefined]);
  expect(await counts(last)).toEqual({ queued: 1, sent: 1, drafts: 0 });
  held.take(third);
  expect(await last.sync(id, held.key)).toBeUndefined();
});

test.each([
  ["nobody", ""],
  ["somebody who is not there", "nobody@x.org"],
])("one to %s is 183, and nothing is left of it; a repeat is told the same", async (_, to) => {
  const { phone, id, held, counts } = await sender();
  const { key } = held;
  for (let time = 0; time < 2; time++) {
    const answer = await phone.sync(id, key, { commands: [add("1", to)] });
    expect(textOf(responses(answer), "AirSync:Status")).toBe("183");
    expect(await counts(phone)).toEqual({ queued: 0, sent: 0, drafts: 0 });
    if (time === 1) held.take(answer);
  }
  held.take(await phone.sync(id, held.key, { commands: [add("1")] }));
  expect(await counts(phone)).toEqual({ queued: 1, sent: 1, drafts: 0 });
});

test("a draft that is changed and sent goes out once, and one that can't be is told as it is stored", async () => {
  const { phone, another, id, held, counts } = await sender();
  const made = await phone.sync(id, held.key, { commands: [add("1", "bob@x.org", false)] });
  const item = textOf(made, "AirSync:ServerId")!;
  held.take(made);
  const wrong = await phone.sync(id, held.key, { commands: [change(item, "nobody@x.org")] });
  expect(textOf(responses(wrong), "AirSync:Status")).toBe("183");
  const [told] = allOf(allOf(wrong, "AirSync:Commands")[0], "AirSync:Change");
  expect([textOf(told, "AirSync:ServerId"), textOf(told, "Email:To")]).toEqual([item, "nobody@x.org"]);
  const key = textOf(wrong, "AirSync:SyncKey")!;
  const first = await phone.sync(id, key, { commands: [change(item)] });
  const second = await (await another()).sync(id, key, { commands: [change(item)] });
  expect([responses(first), responses(second)]).toEqual([undefined, undefined]);
  expect(await counts(phone)).toEqual({ queued: 1, sent: 1, drafts: 0 });
});
