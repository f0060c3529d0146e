import { expect, test } from "vitest";
import { HeldFolder, mailText, openPhone, textOf } from "../activesync-kit.ts";
import { group, leaf } from "../protocol/elements.ts";

const invitation = (method: string, ...more: readonly string[]): string =>
  [
    ...["Subject: meet", `Content-Type: text/calendar; method=${method}`, ""],
    ...["BEGIN:VCALENDAR", `METHOD:${method}`, "BEGIN:VEVENT", "UID:u@x", "DTSTART:20260301T093000Z", ...more],
    ...["END:VEVENT", "END:VCALENDAR", ""],
  ].join("\r\n");

async function invited(text: string) {
  const { phone } = await openPhone();
  await phone.append(text);
  const inbox = await phone.folder(2);
  const held = new HeldFolder();
  await phone.catchUp(inbox, held);
  const [id] = held.items.keys();
  const answer = async (...more: ReturnType<typeof leaf>[]) => {
    const request = group(
      "MeetingResponse:Request",
      leaf("MeetingResponse:UserResponse", 1),
      leaf("MeetingResponse:CollectionId", inbox),
      leaf("MeetingResponse:RequestId", id!),
      ...more,
    );
    const root = await phone.command("MeetingResponse", group("MeetingResponse:MeetingResponse", request));
    return textOf(root, "MeetingResponse:Status");
  };
  const counts = () => ["INBOX", "Trash"].map((path) => phone.session.getMailbox(path).messages.length);
  return { answer, counts };
}
const instance = (date: string) => leaf("MeetingResponse:InstanceId", date);
const DAY = "2026-03-01T09:30:00.000Z";

test("an invitation that is answered goes to Deleted Items, and a repeat is told the same", async () => {
  const { answer, counts } = await invited(invitation("REQUEST"));
  expect([await answer(), counts()]).toEqual(["1", [0, 1]]);
  expect([await answer(), counts()]).toEqual(["1", [0, 1]]);
});

test.each([
  ["a mail that is no invitation", mailText(1)],
  ["the end of a meeting", invitation("CANCEL")],
  ["an answer to one", invitation("REPLY", "ATTENDEE;PARTSTAT=ACCEPTED:mailto:a@b")],
])("%s can't be answered, and stays", async (_, text) => {
  const { answer, counts } = await invited(text);
  expect([await answer(), counts()]).toEqual(["2", [1, 0]]);
});

test("of instances: a date that is none, one of a meeting that has none, one of a series", async () => {
  const { answer, counts } = await invited(invitation("REQUEST"));
  expect([await answer(instance("x")), await answer(instance(DAY)), counts()]).toEqual(["104", "146", [1, 0]]);
  const series = await invited(invitation("REQUEST", "RRULE:FREQ=WEEKLY"));
  expect([await series.answer(instance(DAY)), series.counts()]).toEqual(["1", [0, 1]]);
});
