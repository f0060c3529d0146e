import { EngineError, type MailboxId, type Message, type Row } from "@restante/engine";
import { type Element, element, integer, many, optional, schema, group as shapeOf, text } from "wbxml";
import type { Context } from "../context.ts";
import { foldersNow } from "../folders/state.ts";
import { TRASH } from "../folders/tree.ts";
import { ID_CHARS_MAX, LONG_ID_CHARS_MAX, OPERATIONS_MAX } from "../limits.ts";
import { findItem, idOf, readKept } from "../mail/item.ts";
import { type Meeting, readMeeting } from "../mail/meeting.ts";
import { MessageTexts } from "../mail/texts.ts";
import { readDate } from "../protocol/dates.ts";
import { group, leaf } from "../protocol/elements.ts";
import { parseItemId } from "../protocol/ids.ts";
import { valuesOf } from "../protocol/read.ts";
import { CommandError, STATUS } from "../protocol/status.ts";

/** Statuses: MS-ASCMD §2.2.3.177.7. */
const OK = 1;
const INVALID = 2;

const RESPOND = schema(
  "MeetingResponse:MeetingResponse",
  shapeOf({
    requests: many(
      "MeetingResponse:Request",
      shapeOf({
        answer: optional("MeetingResponse:UserResponse", integer(0, 255)),
        folderId: optional("MeetingResponse:CollectionId", text(ID_CHARS_MAX)),
        itemId: optional("MeetingResponse:RequestId", text(ID_CHARS_MAX * 4)),
        longId: optional("Search:LongId", text(LONG_ID_CHARS_MAX)),
        instance: optional("MeetingResponse:InstanceId", text(ID_CHARS_MAX)),
        send: optional("MeetingResponse:SendResponse", element),
      }),
      OPERATIONS_MAX,
    ),
  }),
);

/** MeetingResponse, as far as mail goes: the invitation leaves the Inbox (MS-ASCMD §2.2.1.11). There is no calendar that it
 * could stand in; the answer is sent by the phone. */
export async function meetingResponse(body: Element | undefined, context: Context): Promise<Element> {
  const requests = valuesOf(RESPOND, body)?.requests ?? [];
  if (requests.length === 0) throw new CommandError(STATUS.invalidXml);
  const results: Element[] = [];
  for (const asked of requests) {
    const id = asked.itemId ?? asked.longId ?? "";
    const status = await answered(id, asked, context);
    results.push(
      group("MeetingResponse:Result", leaf("MeetingResponse:RequestId", id), leaf("MeetingResponse:Status", status)),
    );
  }
  return group("MeetingResponse:MeetingResponse", ...results);
}

interface Asked {
  readonly answer: number | null;
  readonly instance: string | null;
}

/** Resolves with the status of one answer. */
async function answered(id: string, { answer, instance }: Asked, context: Context): Promise<number> {
  const { session, pace, signal } = context;
  const { state } = session;
  const name = parseItemId(id);
  const row = name && state.findLasting(name);
  if (answer === null || answer < 1 || answer > 3 || name === undefined || row === undefined) return INVALID;
  if (instance !== null && readDate(instance) === undefined) return STATUS.invalidDateTime;
  const email = idOf(state, row);
  const trash = foldersNow(context).find(({ type }) => type === TRASH)?.mailbox;
  // The invitation was answered, and the phone has not got the answer.
  if (findItem(state, name) !== row)
    return trash && (await isIn(trash.id, email, context)) && (await meetingOf(row, context)) ? OK : INVALID;
  const meeting = await meetingOf(row, context);
  if (meeting?.messageClass !== REQUEST) return INVALID;
  if (instance !== null && !meeting.isRecurring) return STATUS.notRecurring;
  const leave = [state.mailboxOf(row).id];
  const join = trash ? [trash.id] : [];
  const [end] = await session.editEmails([{ email, add: ["\\Seen"], remove: [], join, leave }], { pace, signal });
  return end ? INVALID : OK;
}

async function isIn(mailbox: MailboxId, email: Uint8Array, { session, pace, signal }: Context): Promise<boolean> {
  const [found] = await session.findEmails([email], { pace, signal });
  return found?.memberships.some((row) => found.message.state.mailboxOf(row).id === mailbox) ?? false;
}

async function meetingOf(row: Row, context: Context): Promise<Meeting | undefined> {
  const { session } = context;
  const message: Message = { position: 0, row, state: session.state };
  const [kept] = await readKept([message], context);
  if (kept === undefined || kept instanceof EngineError) return undefined;
  const calendar = await new MessageTexts(kept.summary, () => session.openBody(message), context).calendar();
  return calendar === undefined ? undefined : readMeeting(calendar);
}

const REQUEST = "IPM.Schedule.Meeting.Request";
