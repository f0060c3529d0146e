import ICAL from "ical.js";
import type { Element } from "wbxml";
import { dashed } from "../protocol/dates.ts";
import { empty, group, leaf } from "../protocol/elements.ts";
import type { Version } from "../protocol/version.ts";
import { clean } from "./addresses.ts";
import { ianaOffsets, type OffsetAt, timeZoneBlob, UTC_OFFSETS } from "./time-zone.ts";

/** An invitation, its end, or an answer to one, as a mail brings it: RFC 5546. */
export interface Meeting {
  readonly messageClass: string;
  /** True for a recurring meeting, or one instance of it. */
  readonly isRecurring: boolean;
  /** Of what is no answer. */
  readonly request: ((version: Version) => Element) | undefined;
}

/** Undefined for a calendar that can't be read, or brings nothing that phones know. */
export function readMeeting(text: string): Meeting | undefined {
  try {
    const calendar = new ICAL.Component(ICAL.parse(text));
    const event = calendar.getFirstSubcomponent("vevent");
    if (calendar.name !== "vcalendar" || !event) return undefined;
    const method = wordOf(calendar, "method").toUpperCase();
    const messageClass = classOf(method, event);
    if (!messageClass) return undefined;
    const isAnswer = method === "REPLY";
    const one = isAnswer ? undefined : readEvent(calendar, event, method);
    if (!isAnswer && !one) return undefined;
    const isRecurring = event.hasProperty("rrule") || event.hasProperty("rdate") || event.hasProperty("recurrence-id");
    return { messageClass, isRecurring, request: one && ((version) => requestElement(one, version)) };
  } catch (error) {
    // The library throws errors of many kinds at what is no calendar: none of them is ours.
    if (error instanceof Error) return undefined;
    throw error;
  }
}

const REPLIES: Readonly<Record<string, string>> = { ACCEPTED: "Pos", TENTATIVE: "Tent", DECLINED: "Neg" };

function classOf(method: string, event: ICAL.Component): string | undefined {
  if (method === "REQUEST") return "IPM.Schedule.Meeting.Request";
  if (method === "CANCEL") return "IPM.Schedule.Meeting.Canceled";
  const answer = String(event.getFirstProperty("attendee")?.getFirstParameter("partstat") ?? "").toUpperCase();
  return method === "REPLY" && REPLIES[answer] ? `IPM.Schedule.Meeting.Resp.${REPLIES[answer]}` : undefined;
}

interface MeetingEvent {
  readonly uid: string;
  readonly isAllDay: boolean;
  readonly startMs: number;
  readonly endMs: number;
  readonly stampMs: number;
  readonly recurrenceMs: number | undefined;
  readonly location: string;
  readonly organizer: string;
  readonly wantsAnswer: boolean;
  readonly reminderSeconds: number | undefined;
  readonly sensitivity: number;
  readonly isFree: boolean;
  readonly isUpdate: boolean;
  readonly recurrence: Recurrence | undefined;
  readonly zone: string;
}

function wordOf(component: ICAL.Component, name: string): string {
  return clean(String(component.getFirstPropertyValue(name) ?? ""));
}

function readEvent(calendar: ICAL.Component, event: ICAL.Component, method: string): MeetingEvent | undefined {
  const start = event.getFirstPropertyValue("dtstart");
  const uid = wordOf(event, "uid");
  if (!(start instanceof ICAL.Time) || uid === "") return undefined;
  const tzid = String(event.getFirstProperty("dtstart")?.getFirstParameter("tzid") ?? "");
  const offsets = offsetsOf(calendar, tzid);
  const startMs = momentOf(start, offsets);
  const endMs = endOf(event, start, startMs, offsets);
  const stamp = event.getFirstPropertyValue("dtstamp");
  const recurrence = event.getFirstPropertyValue("recurrence-id");
  const organizer = event.getFirstProperty("organizer");
  const rule = event.getFirstPropertyValue("rrule");
  const attendees = event.getAllProperties("attendee");
  return {
    uid,
    isAllDay: start.isDate,
    startMs,
    endMs,
    stampMs: stamp instanceof ICAL.Time ? momentOf(stamp, offsets) : startMs,
    recurrenceMs: recurrence instanceof ICAL.Time ? momentOf(recurrence, offsets) : undefined,
    location: wordOf(event, "location"),
    organizer: organizer ? personOf(organizer) : "",
    wantsAnswer:
      method === "REQUEST" && attendees.some((one) => String(one.getFirstParameter("rsvp")).toUpperCase() === "TRUE"),
    reminderSeconds: reminderOf(event),
    sensitivity: SENSITIVITIES[wordOf(event, "class").toUpperCase()] ?? 0,
    isFree: wordOf(event, "transp").toUpperCase() === "TRANSPARENT",
    isUpdate: Number(event.getFirstPropertyValue("sequence") ?? 0) > 0,
    recurrence: rule instanceof ICAL.Recur ? recurrenceOf(rule, start) : undefined,
    zone: timeZoneBlob(offsets, new Date(startMs).getUTCFullYear(), tzid || UTC_NAME),
  };
}

/** Phones take a zone of zeros alone for none. */
const UTC_NAME = "UTC";
const SENSITIVITIES: Readonly<Record<string, number>> = { PRIVATE: 2, CONFIDENTIAL: 3 };

function personOf(property: ICAL.Property): string {
  const address = clean(String(property.getFirstValue() ?? "").replace(/^mailto:/i, ""));
  const name = clean(String(property.getFirstParameter("cn") ?? "")).replaceAll('"', "'");
  return name === "" ? address : `"${name}" <${address}>`;
}

/** A VTIMEZONE that the calendar brings, else IANA's of that name, else UTC. */
function offsetsOf(calendar: ICAL.Component, tzid: string): OffsetAt {
  const own = calendar.getAllSubcomponents("vtimezone").find((one) => wordOf(one, "tzid") === clean(tzid));
  if (tzid === "") return UTC_OFFSETS;
  if (!own || !isReadable(own)) return ianaOffsets(tzid) ?? UTC_OFFSETS;
  const zone = new ICAL.Timezone(own);
  /** The library's offset at a local time, which may stand for two moments. */
  const atLocal = (localMs: number): number => {
    const date = new Date(localMs);
    const [year, month, day] = [date.getUTCFullYear(), date.getUTCMonth() + 1, date.getUTCDate()];
    const [hour, minute, second] = [date.getUTCHours(), date.getUTCMinutes(), 0];
    return zone.utcOffset(ICAL.Time.fromData({ year, month, day, hour, minute, second })) / 60;
  };
  return (timeMs) => {
    const [before, after] = [atLocal(timeMs - DAY_MS), atLocal(timeMs + DAY_MS)];
    return atLocal(timeMs + after * 60_000) === after && atLocal(timeMs + before * 60_000) !== before ? after : before;
  };
}

const DAY_MS = 86_400_000;

/** Changes of a zone's clocks that are computed, one after the other, from its first to those of our days. */
const CLOCK_CHANGES_MAX = 4_000;
/** Until then the library goes through all of them. */
const CLOCK_YEAR_MAX = 2_040;
/** Parts of a recurrence rule that a zone's clocks may have: a day of one month. */
const CLOCK_PARTS: ReadonlySet<string> = new Set(["BYMONTH", "BYDAY", "BYMONTHDAY"]);

/** True for a VTIMEZONE with yearly rules, and few of them. Of any other, such as one whose clocks change each second, the
 * library would go through all changes since 1601. */
function isReadable(zone: ICAL.Component): boolean {
  let changes = 0;
  for (const observance of zone.getAllSubcomponents()) {
    const start = observance.getFirstPropertyValue("dtstart");
    if (!(start instanceof ICAL.Time)) return false;
    changes += 1 + observance.getAllProperties("rdate").length;
    for (const property of observance.getAllProperties("rrule")) {
      const rule = property.getFirstValue();
      if (!(rule instanceof ICAL.Recur) || rule.freq !== "YEARLY") return false;
      changes += changesOfYear(rule) * Math.max(0, CLOCK_YEAR_MAX - start.year);
    }
    if (!(changes <= CLOCK_CHANGES_MAX)) return false;
  }
  return true;
}

/** How often a rule puts clocks on in a year, at most; NaN for one that is none of clocks. */
function changesOfYear({ parts }: ICAL.Recur): number {
  const given = Object.entries(parts as Readonly<Record<string, readonly unknown[]>>);
  if (!given.every(([name]) => CLOCK_PARTS.has(name))) return Number.NaN;
  const { BYMONTH: months, BYDAY: days, BYMONTHDAY: monthDays } = Object.fromEntries(given);
  if (days?.some((day) => !/\d/.test(String(day))) && !monthDays) return Number.NaN;
  return (
    Math.max(1, months?.length ?? (given.length > 0 ? 12 : 1)) * Math.max(days?.length ?? 1, monthDays?.length ?? 1)
  );
}

function momentOf(time: ICAL.Time, offsets: OffsetAt): number {
  const { year, month, day, hour, minute, second } = time;
  const local = Date.UTC(year, month - 1, day, hour, minute, second);
  if (time.isDate || time.zone === ICAL.Timezone.utcTimezone) return local;
  const guess = local - offsets(local) * 60_000;
  return local - offsets(guess) * 60_000;
}

function endOf(event: ICAL.Component, start: ICAL.Time, startMs: number, offsets: OffsetAt): number {
  const end = event.getFirstPropertyValue("dtend");
  if (end instanceof ICAL.Time) return Math.max(startMs, momentOf(end, offsets));
  const duration = event.getFirstPropertyValue("duration");
  if (duration instanceof ICAL.Duration) return startMs + Math.max(0, duration.toSeconds() * 1000);
  return start.isDate ? startMs + DAY_MS : startMs;
}

function reminderOf(event: ICAL.Component): number | undefined {
  const trigger = event.getFirstSubcomponent("valarm")?.getFirstPropertyValue("trigger");
  return trigger instanceof ICAL.Duration && trigger.isNegative ? -trigger.toSeconds() : undefined;
}

/** A recurrence rule in the words that phones have: MS-ASEMAIL §2.2.2.58. */
interface Recurrence {
  readonly type: 0 | 1 | 2 | 3 | 5 | 6;
  readonly interval: number;
  readonly until: string | undefined;
  readonly occurrences: number | undefined;
  readonly dayOfWeek: number | undefined;
  readonly dayOfMonth: number | undefined;
  readonly weekOfMonth: number | undefined;
  readonly monthOfYear: number | undefined;
  readonly firstDay: number;
}

const WEEKDAYS: readonly string[] = ["SU", "MO", "TU", "WE", "TH", "FR", "SA"];

function recurrenceOf(rule: ICAL.Recur, start: ICAL.Time): Recurrence | undefined {
  const parts = (name: string): string[] => (rule.parts[name as keyof typeof rule.parts] ?? []).map(String);
  const byDay = parts("BYDAY")
    .map((day) => /^([+-]?\d+)?([A-Z]{2})$/.exec(day))
    .filter((match) => match !== null);
  const byMonthDay = parts("BYMONTHDAY");
  const bySetPos = parts("BYSETPOS");
  const startDay = start.dayOfWeek() - 1;
  const daysOf = (): number => byDay.reduce((sum, [, , day]) => sum + 2 ** WEEKDAYS.indexOf(day!), 0) || 2 ** startDay;
  const common = {
    interval: rule.interval || 1,
    until: rule.until ? compact(rule.until) : undefined,
    occurrences: rule.count ?? undefined,
    dayOfWeek: undefined,
    dayOfMonth: undefined,
    weekOfMonth: undefined,
    monthOfYear: undefined,
    firstDay: Math.max(0, (rule.wkst ?? 2) - 1),
  };
  const month = Number(parts("BYMONTH")[0] ?? start.month);
  const weekOf = (): number | undefined => {
    const which = Number(byDay[0]?.[1] ?? bySetPos[0] ?? Number.NaN);
    if (which === -1) return 5;
    return which >= 1 && which <= 4 ? which : undefined;
  };
  if (byMonthDay.length > 1 || parts("BYYEARDAY").length > 0 || parts("BYWEEKNO").length > 0) return undefined;
  switch (rule.freq) {
    case "DAILY":
      return { ...common, type: 0, dayOfWeek: byDay.length > 0 ? daysOf() : undefined };
    case "WEEKLY":
      return { ...common, type: 1, dayOfWeek: daysOf() };
    case "MONTHLY":
    case "YEARLY": {
      const isYearly = rule.freq === "YEARLY";
      if (isYearly && common.interval > 1) return undefined;
      const inYear = isYearly ? { monthOfYear: month } : {};
      if (byDay.length === 0)
        return { ...common, ...inYear, type: isYearly ? 5 : 2, dayOfMonth: Number(byMonthDay[0] ?? start.day) };
      const weekOfMonth = weekOf();
      return weekOfMonth === undefined
        ? undefined
        : { ...common, ...inYear, type: isYearly ? 6 : 3, weekOfMonth, dayOfWeek: daysOf() };
    }
    default:
      return undefined;
  }
}

function compact(time: ICAL.Time): string {
  const digits = (value: number, count: number): string => String(value).padStart(count, "0");
  const { year, month, day, hour, minute, second, isDate } = time;
  const clock = isDate ? "235959" : digits(hour, 2) + digits(minute, 2) + digits(second, 2);
  return `${digits(year, 4)}${digits(month, 2)}${digits(day, 2)}T${clock}Z`;
}

/** MeetingMessageType: MS-ASEMAIL §2.2.2.47. */
const INITIAL = 1;
const FULL_UPDATE = 2;
const BUSY = 2;

/** MS-ASEMAIL §2.2.2.48. */
function requestElement(one: MeetingEvent, version: Version): Element {
  const instance = one.recurrence ? 1 : one.recurrenceMs === undefined ? 0 : 3;
  const place =
    one.location === ""
      ? undefined
      : version >= 16
        ? group("AirSyncBase:Location", leaf("AirSyncBase:DisplayName", one.location))
        : leaf("Email:Location", one.location);
  return group(
    "Email:MeetingRequest",
    leaf("Email:AllDayEvent", one.isAllDay ? 1 : 0),
    leaf("Email:StartTime", dashed(one.startMs)),
    leaf("Email:DtStamp", dashed(one.stampMs)),
    leaf("Email:EndTime", dashed(one.endMs)),
    leaf("Email:InstanceType", instance),
    place,
    one.organizer === "" ? undefined : leaf("Email:Organizer", one.organizer),
    one.recurrenceMs === undefined ? undefined : leaf("Email:RecurrenceId", dashed(one.recurrenceMs)),
    one.reminderSeconds === undefined ? undefined : leaf("Email:Reminder", one.reminderSeconds),
    leaf("Email:ResponseRequested", one.wantsAnswer ? 1 : 0),
    one.recurrence ? group("Email:Recurrences", recurrenceElement(one.recurrence, version)) : undefined,
    leaf("Email:Sensitivity", one.sensitivity),
    leaf("Email:BusyStatus", one.isFree ? 0 : BUSY),
    leaf("Email:TimeZone", one.zone),
    version >= 16
      ? leaf("Calendar:UID", one.uid.slice(0, UID_CHARS_MAX))
      : leaf("Email:GlobalObjId", globalObjectId(one.uid, one.recurrenceMs)),
    version >= 14 ? empty("Email:DisallowNewTimeProposal") : undefined,
    version >= 14.1 ? leaf("Email2:MeetingMessageType", one.isUpdate ? FULL_UPDATE : INITIAL) : undefined,
  );
}

const UID_CHARS_MAX = 300;

function recurrenceElement(one: Recurrence, version: Version): Element {
  const optional = (tag: string, value: string | number | undefined): Element | undefined =>
    value === undefined ? undefined : leaf(tag, value);
  const hasCalendar = version >= 14 && one.type >= 2;
  return group(
    "Email:Recurrence",
    leaf("Email:Type", one.type),
    leaf("Email:Interval", one.interval),
    optional("Email:Until", one.occurrences === undefined ? one.until : undefined),
    optional("Email:Occurrences", one.occurrences),
    optional("Email:WeekOfMonth", one.weekOfMonth),
    optional("Email:DayOfMonth", one.dayOfMonth),
    optional("Email:DayOfWeek", one.dayOfWeek),
    optional("Email:MonthOfYear", one.monthOfYear),
    hasCalendar ? leaf("Email2:CalendarType", 1) : undefined,
    version >= 14.1 && one.type === 1 ? leaf("Email2:FirstDayOfWeek", one.firstDay) : undefined,
  );
}

const CLASS_ID = Buffer.from("040000008200E00074C5B7101A82E008", "hex");

/** Outlook's name of a meeting, made of its UID: MS-ASEMAIL §2.2.2.37. */
export function globalObjectId(uid: string, recurrenceMs: number | undefined): string {
  if (/^04000000[0-9A-F]{72,}$/i.test(uid) && uid.length % 2 === 0) return Buffer.from(uid, "hex").toString("base64");
  const date = recurrenceMs === undefined ? undefined : new Date(recurrenceMs);
  const instance = Buffer.alloc(4);
  if (date) {
    instance.writeUInt16BE(date.getUTCFullYear(), 0);
    instance.writeUInt8(date.getUTCMonth() + 1, 2);
    instance.writeUInt8(date.getUTCDate(), 3);
  }
  const name = Buffer.from(uid);
  const data = Buffer.concat([Buffer.from("vCal-Uid"), Buffer.from([1, 0, 0, 0]), name, Buffer.alloc(1)]);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(data.length);
  return Buffer.concat([CLASS_ID, instance, Buffer.alloc(16), length, data]).toString("base64");
}
