import type { EmailEdit, MailboxId, ReadState } from "@restante/engine";
import { type Element, many, readValues, schema, group as shapeOf, text } from "wbxml";
import type { Context } from "../context.ts";
import { foldersNow } from "../folders/state.ts";
import { ID_CHARS_MAX, MOVES_MAX } from "../limits.ts";
import { findItem, idOf } from "../mail/item.ts";
import { group, leaf } from "../protocol/elements.ts";
import { formatItemId, parseItemId } from "../protocol/ids.ts";
import { CommandError, STATUS } from "../protocol/status.ts";

const MOVE_ITEMS = schema(
  "Move:MoveItems",
  shapeOf({
    moves: many(
      "Move:Move",
      shapeOf({
        item: many("Move:SrcMsgId", text(ID_CHARS_MAX * 4), 2),
        from: many("Move:SrcFldId", text(ID_CHARS_MAX), 2),
        to: many("Move:DstFldId", text(ID_CHARS_MAX), 2),
      }),
      MOVES_MAX,
    ),
  }),
);

/** Statuses: MS-ASCMD §2.2.3.177.9. */
const SOURCE_INVALID = 1;
const DESTINATION_INVALID = 2;
const MOVED = 3;
const SAME_FOLDER = 4;
const OTHER = 5;
const LOCKED = 7;

/** MoveItems: MS-ASCMD §2.2.1.12. By one op; what was moved before by the same request is found where it went. */
export async function moveItems(body: Element | undefined, context: Context): Promise<Element> {
  if (!body) throw new CommandError(STATUS.invalidXml);
  const { moves } = readValues(MOVE_ITEMS, body);
  if (moves.length === 0) throw new CommandError(STATUS.invalidXml);
  const plans = moves.map(({ item, from, to }) => plan(item, from, to, context));
  const edits = plans.filter((one) => typeof one.todo === "object");
  const { session, pace, signal } = context;
  const ends = await session.editEmails(
    edits.map(({ todo }) => todo as EmailEdit),
    { pace, signal },
  );
  const failed = new Set(edits.filter((_, at) => ends[at] !== undefined));
  const places = findMoved(
    session.state,
    plans.filter((one) => !failed.has(one) && typeof one.todo !== "number"),
  );
  return group(
    "Move:MoveItems",
    ...plans.map((one) => {
      const moved = places.get(one);
      const status = typeof one.todo === "number" ? one.todo : moved === undefined ? lost(failed.has(one)) : MOVED;
      return group(
        "Move:Response",
        leaf("Move:SrcMsgId", one.itemId),
        leaf("Move:Status", status),
        moved === undefined ? undefined : leaf("Move:DstMsgId", moved),
      );
    }),
  );
}

function lost(isFailed: boolean): number {
  return isFailed ? LOCKED : SOURCE_INVALID;
}

interface Plan {
  readonly itemId: string;
  /** A status where nothing is to be done; "look" where it went already. */
  readonly todo: EmailEdit | number | "look";
  readonly email: Uint8Array;
  readonly to: MailboxId | undefined;
}

const NO_EMAIL = new Uint8Array();

function plan(items: readonly string[], from: readonly string[], to: readonly string[], context: Context): Plan {
  const { state } = context.session;
  const [itemId = ""] = items;
  const refused = (todo: number): Plan => ({ itemId, todo, email: NO_EMAIL, to: undefined });
  if (items.length !== 1 || from.length !== 1) return refused(SOURCE_INVALID);
  if (to.length > 1) return refused(OTHER);
  const folders = foldersNow(context);
  const source = folders.find(({ id }) => id === from[0])?.mailbox;
  const destination = folders.find(({ id }) => id === to[0])?.mailbox;
  if (!source) return refused(SOURCE_INVALID);
  if (!destination) return refused(DESTINATION_INVALID);
  if (source.id === destination.id) return refused(SAME_FOLDER);
  const name = parseItemId(itemId);
  const row = name && state.findLasting(name);
  if (row === undefined || state.mailboxOf(row).id !== source.id) return refused(SOURCE_INVALID);
  const email = idOf(state, row);
  const isThere = name !== undefined && findItem(state, name) === row;
  const edit: EmailEdit = { email, add: [], remove: [], join: [destination.id], leave: [source.id] };
  return { itemId, todo: isThere ? edit : "look", email, to: destination.id };
}

/** The items that emails are in the folders that they were to go to, by plan. Each folder is gone through once: what was moved
 * lies at its end. */
function findMoved(state: ReadState, plans: readonly Plan[]): ReadonlyMap<Plan, string> {
  const moved = new Map<Plan, string>();
  for (const [to, some] of Map.groupBy(plans, (one) => one.to)) {
    const messages = (to && state.findMailbox(to))?.messages;
    if (!messages) continue;
    const wanted = Map.groupBy(some, ({ email }) => state.findEmail(email));
    wanted.delete(undefined);
    for (let position = messages.length - 1; position >= 0 && wanted.size > 0; position--) {
      const row = messages.at(position);
      const found = wanted.get(state.emailOf(row));
      if (!found || state.isDeleted(row)) continue;
      for (const one of found) moved.set(one, formatItemId(state.lastingNameOf(row)));
      wanted.delete(state.emailOf(row));
    }
  }
  return moved;
}
