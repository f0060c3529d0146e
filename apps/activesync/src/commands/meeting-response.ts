import {
  type Element,
  element,
  integer,
  many,
  optional,
  readValues,
  SchemaError,
  schema,
  group as shapeOf,
  text,
} from "wbxml";
import type { Context } from "../context.ts";
import { foldersNow } from "../folders/state.ts";
import { TRASH } from "../folders/tree.ts";
import { ID_CHARS_MAX, LONG_ID_CHARS_MAX, OPERATIONS_MAX } from "../limits.ts";
import { findItem, idOf } from "../mail/item.ts";
import { readDate } from "../protocol/dates.ts";
import { group, leaf } from "../protocol/elements.ts";
import { parseItemId } from "../protocol/ids.ts";
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
  let requests: ReturnType<(typeof RESPOND)["shape"]["read"]>["requests"];
  try {
    if (!body) throw new CommandError(STATUS.invalidXml);
    requests = readValues(RESPOND, body).requests;
  } catch (error) {
    if (error instanceof SchemaError) throw new CommandError(STATUS.invalidXml);
    throw error;
  }
  if (requests.length === 0) throw new CommandError(STATUS.invalidXml);
  const { session, pace, signal } = context;
  const trash = foldersNow(context).find(({ type }) => type === TRASH)?.mailbox;
  const results: Element[] = [];
  for (const { answer, itemId, longId, instance } of requests) {
    const id = itemId ?? longId ?? "";
    const name = parseItemId(id);
    const row = name && findItem(session.state, name);
    const isValid = answer !== null && answer >= 1 && answer <= 3 && row !== undefined;
    const status =
      instance !== null && readDate(instance) === undefined ? STATUS.invalidDateTime : isValid ? OK : INVALID;
    if (status === OK && row !== undefined) {
      const { state } = session;
      const leave = [state.mailboxOf(row).id];
      const join = trash ? [trash.id] : [];
      await session.editEmails([{ email: idOf(state, row), add: ["\\Seen"], remove: [], join, leave }], {
        pace,
        signal,
      });
    }
    results.push(
      group("MeetingResponse:Result", leaf("MeetingResponse:RequestId", id), leaf("MeetingResponse:Status", status)),
    );
  }
  return group("MeetingResponse:MeetingResponse", ...results);
}
