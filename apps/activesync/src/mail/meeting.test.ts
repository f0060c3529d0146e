import { expect, test } from "vitest";
import { allOf, textOf } from "../activesync-kit.ts";
import { globalObjectId, readMeeting } from "./meeting.ts";
import { ianaOffsets, timeZoneBlob, UTC_OFFSETS } from "./time-zone.ts";

const PACIFIC =
  "4AEAAFAAYQBjAGkAZgBpAGMAIABTAHQAYQBuAGQAYQByAGQAIABUAGkAbQBlAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAsAAAABAAIAAAAAAAAAAAAAAFAAYQBjAGkAZgBpAGMAIABEAGEAeQBsAGkAZwBoAHQAIABUAGkAbQBlAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAMAAAACAAIAAAAAAAAAxP///w==";
const CENTRAL_EUROPE =
  "xP///wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAoAAAAFAAMAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAMAAAAFAAIAAAAAAAAAxP///w==";

/** A zone's blob without its names. */
function nameless(blob: string): string {
  const bytes = Buffer.from(blob, "base64");
  bytes.fill(0, 4, 68).fill(0, 88, 152);
  return bytes.toString("base64");
}

test("zones by IANA are those of the published vectors", () => {
  expect(nameless(timeZoneBlob(ianaOffsets("America/Los_Angeles")!, 2026))).toBe(nameless(PACIFIC));
  expect(timeZoneBlob(ianaOffsets("Europe/Paris")!, 2026)).toBe(CENTRAL_EUROPE);
  expect(Buffer.from(timeZoneBlob(UTC_OFFSETS, 2026), "base64")).toEqual(Buffer.alloc(172));
  const tokyo = Buffer.from(timeZoneBlob(ianaOffsets("Asia/Tokyo")!, 2026, "Tokyo"), "base64");
  expect([tokyo.readInt32LE(0), tokyo.readUInt16LE(70), tokyo.length]).toEqual([-540, 0, 172]);
  const sydney = Buffer.from(timeZoneBlob(ianaOffsets("Australia/Sydney")!, 2026), "base64");
  // Summer is from October to April there.
  expect([sydney.readUInt16LE(70), sydney.readUInt16LE(154)]).toEqual([4, 10]);
  expect(ianaOffsets("Nowhere/At_All")).toBeUndefined();
});

const VTIMEZONE = [
  "BEGIN:VTIMEZONE",
  "TZID:My Zone",
  "BEGIN:STANDARD",
  "DTSTART:19701025T030000",
  "TZOFFSETFROM:+0200",
  "TZOFFSETTO:+0100",
  "RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU",
  "END:STANDARD",
  "BEGIN:DAYLIGHT",
  "DTSTART:19700329T020000",
  "TZOFFSETFROM:+0100",
  "TZOFFSETTO:+0200",
  "RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU",
  "END:DAYLIGHT",
  "END:VTIMEZONE",
];
const calendar = (method: string, ...event: readonly string[]): string =>
  [
    "BEGIN:VCALENDAR",
    "VERSION:2.0",
    `METHOD:${method}`,
    ...VTIMEZONE,
    "BEGIN:VEVENT",
    "UID:abc@x",
    "DTSTAMP:20260301T093000Z",
    ...event,
    "END:VEVENT",
    "END:VCALENDAR",
    "",
  ].join("\r\n");
const TIMED = ["DTSTART;TZID=My Zone:20260701T090000", "DURATION:PT1H"];

test.each([
  ["each second", ["DTSTART:16010101T000000", "RRULE:FREQ=SECONDLY"]],
  ["each minute", ["DTSTART:20260101T000000", "RRULE:FREQ=MINUTELY"]],
  ["each day", ["DTSTART:16010101T000000", "RRULE:FREQ=DAILY"]],
  [
    "each second of a day",
    ["DTSTART:20260101T000000", `RRULE:FREQ=YEARLY;BYHOUR=1,2,3;BYMINUTE=${[...Array(60).keys()]}`],
  ],
  [
    "each day of a year",
    ["DTSTART:16010101T000000", `RRULE:FREQ=YEARLY;BYMONTH=1;BYMONTHDAY=${[...Array(28).keys()].map((n) => n + 1)}`],
  ],
  ["by very many rules", ["DTSTART:16010101T000000", ...Array<string>(60).fill("RRULE:FREQ=YEARLY")]],
  ["on very many days", ["DTSTART:20260101T000000", ...Array<string>(4_000).fill("RDATE:20260301T000000")]],
])("a zone whose clocks change %s is none, and holds nobody up", (_, observance) => {
  const rules = ["BEGIN:STANDARD", "TZOFFSETFROM:+0200", "TZOFFSETTO:+0100", ...observance, "END:STANDARD"];
  const zone = ["BEGIN:VTIMEZONE", "TZID:Europe/Paris", ...rules, "END:VTIMEZONE"];
  const text = calendar("REQUEST", "DTSTART;TZID=Europe/Paris:20260701T090000", "DURATION:PT1H").replace(
    VTIMEZONE.join("\r\n"),
    zone.join("\r\n"),
  );
  const begun = performance.now();
  const meeting = readMeeting(text);
  expect(performance.now() - begun).toBeLessThan(1_000);
  // As IANA has it.
  expect(textOf(meeting!.request!(16.1), "Email:StartTime")).toBe("2026-07-01T07:00:00.000Z");
});

test("an invitation: times in the zone that it brings, who asks, and what is asked", () => {
  const meeting = readMeeting(
    calendar(
      "REQUEST",
      ...TIMED,
      "LOCATION:Room 1",
      "ORGANIZER;CN=Ada:mailto:ada@example.org",
      "ATTENDEE;RSVP=TRUE:mailto:bob@example.org",
      "CLASS:PRIVATE",
      "BEGIN:VALARM",
      "TRIGGER:-PT15M",
      "END:VALARM",
    ),
  )!;
  expect(meeting.messageClass).toBe("IPM.Schedule.Meeting.Request");
  const modern = meeting.request!(16.1);
  const values = (...names: readonly string[]) => names.map((name) => textOf(modern, `Email:${name}`));
  expect(values("StartTime", "EndTime", "DtStamp", "AllDayEvent", "InstanceType", "Organizer")).toEqual([
    "2026-07-01T07:00:00.000Z",
    "2026-07-01T08:00:00.000Z",
    "2026-03-01T09:30:00.000Z",
    "0",
    "0",
    '"Ada" <ada@example.org>',
  ]);
  expect(values("ResponseRequested", "Reminder", "Sensitivity", "BusyStatus")).toEqual(["1", "900", "2", "2"]);
  expect(nameless(values("TimeZone")[0]!)).toBe(CENTRAL_EUROPE);
  expect([textOf(modern, "Calendar:UID"), textOf(modern, "AirSyncBase:DisplayName")]).toEqual(["abc@x", "Room 1"]);
  const older = meeting.request!(14.1);
  expect([textOf(older, "Email:Location"), allOf(older, "Calendar:UID").length]).toEqual(["Room 1", 0]);
  const id = Buffer.from(textOf(older, "Email:GlobalObjId")!, "base64");
  expect(id.subarray(40, 48).toString()).toBe("vCal-Uid");
  expect(id.subarray(52, -1).toString()).toBe("abc@x");
  expect(id.readUInt32LE(36)).toBe(8 + 4 + 5 + 1);
});

test("a meeting in UTC has a zone with a name, not one of zeros", () => {
  const meeting = readMeeting(calendar("REQUEST", "DTSTART:20260701T090000Z", "DURATION:PT1H"));
  const zone = Buffer.from(textOf(meeting!.request!(16.1), "Email:TimeZone")!, "base64");
  expect([zone.length, zone.readInt32LE(0), zone.subarray(4, 10).toString("utf16le")]).toEqual([172, 0, "UTC"]);
});

test("Outlook's own name of a meeting is it; an instance has its day in it", () => {
  const outlook = `040000008200E00074C5B7101A82E008${"00".repeat(40)}`;
  expect(Buffer.from(globalObjectId(outlook, undefined), "base64").toString("hex").toUpperCase()).toBe(outlook);
  const id = Buffer.from(globalObjectId("x", Date.UTC(2026, 6, 1)), "base64");
  expect([id.readUInt16BE(16), id[18], id[19]]).toEqual([2026, 7, 1]);
});

test.each([
  ["RRULE:FREQ=DAILY;COUNT=3", { Type: "0", Interval: "1", Occurrences: "3" }],
  ["RRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,WE", { Type: "1", Interval: "2", DayOfWeek: "10" }],
  ["RRULE:FREQ=WEEKLY", { Type: "1", DayOfWeek: "8" }],
  ["RRULE:FREQ=MONTHLY;UNTIL=20261231T000000Z", { Type: "2", DayOfMonth: "1", Until: "20261231T000000Z" }],
  ["RRULE:FREQ=MONTHLY;BYDAY=2TU", { Type: "3", WeekOfMonth: "2", DayOfWeek: "4" }],
  ["RRULE:FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", { Type: "3", WeekOfMonth: "5", DayOfWeek: "62" }],
  ["RRULE:FREQ=YEARLY", { Type: "5", MonthOfYear: "7", DayOfMonth: "1" }],
  ["RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU", { Type: "6", MonthOfYear: "3", WeekOfMonth: "5", DayOfWeek: "1" }],
])("%s", (rule, expected) => {
  const request = readMeeting(calendar("REQUEST", ...TIMED, rule))!.request!(16.1);
  expect(textOf(request, "Email:InstanceType")).toBe("1");
  const [told] = allOf(request, "Email:Recurrence");
  for (const [name, value] of Object.entries(expected)) expect(textOf(told, `Email:${name}`)).toBe(value);
});

test.each(["RRULE:FREQ=HOURLY", "RRULE:FREQ=MONTHLY;BYMONTHDAY=1,15", "RRULE:FREQ=YEARLY;BYYEARDAY=100"])(
  "%s can't be said, and no wrong rule is",
  (rule) => {
    expect(allOf(readMeeting(calendar("REQUEST", ...TIMED, rule))!.request!(16.1), "Email:Recurrence")).toEqual([]);
  },
);

test("a whole day, the end of a meeting, and answers", () => {
  const whole = readMeeting(calendar("REQUEST", "DTSTART;VALUE=DATE:20260701"))!.request!(16.1);
  expect([textOf(whole, "Email:AllDayEvent"), textOf(whole, "Email:EndTime")]).toEqual([
    "1",
    "2026-07-02T00:00:00.000Z",
  ]);
  expect(readMeeting(calendar("CANCEL", ...TIMED))?.messageClass).toBe("IPM.Schedule.Meeting.Canceled");
  const reply = (status: string) =>
    readMeeting(calendar("REPLY", ...TIMED, `ATTENDEE;PARTSTAT=${status}:mailto:bob@example.org`));
  expect(["ACCEPTED", "TENTATIVE", "DECLINED", "X"].map((status) => reply(status)?.messageClass)).toEqual([
    "IPM.Schedule.Meeting.Resp.Pos",
    "IPM.Schedule.Meeting.Resp.Tent",
    "IPM.Schedule.Meeting.Resp.Neg",
    undefined,
  ]);
});

test.each([
  "",
  "x",
  "BEGIN:VCALENDAR",
  "BEGIN:A\r\n".repeat(5_000),
  calendar("REQUEST"),
  calendar("REQUEST", "DTSTART:x"),
  calendar("REQUEST", "DTSTART:99999999T999999Z"),
  calendar("PUBLISH", ...TIMED),
])("%# is none that phones know, and stops nothing", (text) => {
  const meeting = readMeeting(text);
  if (meeting) expect(meeting.request?.(16.1).tag).toBe("Email:MeetingRequest");
  else expect(meeting).toBeUndefined();
});
