import { type Body, type EmailEdit, idOfEmail, partBody } from "@restante/engine";
import { findNode } from "@restante/mime";
import {
  type Element,
  element,
  empty as emptyShape,
  integer,
  many,
  octets,
  optional,
  SchemaError,
  group as shapeOf,
  text,
} from "wbxml";
import { type Context, itemTools } from "../context.ts";
import { foldersNow } from "../folders/state.ts";
import { TRASH } from "../folders/tree.ts";
import { FETCHED_BYTES_MAX, ID_CHARS_MAX, LONG_ID_CHARS_MAX, OPERATIONS_MAX } from "../limits.ts";
import { findItem, readItems } from "../mail/item.ts";
import { MessageTexts } from "../mail/texts.ts";
import { group, leaf, sizeOf } from "../protocol/elements.ts";
import { parseFileReference, parseItemId, threadOfConversation } from "../protocol/ids.ts";
import { CommandError, STATUS } from "../protocol/status.ts";
import { type BodyOptions, PREFERENCE_FIELDS, readBodyPart, readPreferences } from "../sync/options.ts";

/** Statuses: MS-ASCMD §2.2.3.177.8. */
const OK = 1;
const PROTOCOL = 2;
const NOT_FOUND = 6;
const RANGE_INVALID = 8;
const TOO_LARGE = 11;
const STORE_UNKNOWN = 9;
const ATTACHMENT_INVALID = 15;

const FETCH = shapeOf({
  store: optional("ItemOperations:Store", text(64)),
  collectionId: optional("AirSync:CollectionId", text(ID_CHARS_MAX)),
  itemId: optional("AirSync:ServerId", text(ID_CHARS_MAX * 4)),
  longId: optional("Search:LongId", text(LONG_ID_CHARS_MAX)),
  file: optional("AirSyncBase:FileReference", text(512)),
  link: optional("DocumentLibrary:LinkId", text()),
  rights: optional("RightsManagement:RemoveRightsManagementProtection", element),
  options: optional(
    "ItemOperations:Options",
    shapeOf({
      schema: optional("ItemOperations:Schema", element),
      range: optional("ItemOperations:Range", text(64)),
      user: optional("ItemOperations:UserName", text()),
      password: optional("ItemOperations:Password", text()),
      mimeSupport: optional("AirSync:MIMESupport", integer(0, 2)),
      bodies: many("AirSyncBase:BodyPreference", PREFERENCE_FIELDS, 8),
      bodyPart: many("AirSyncBase:BodyPartPreference", PREFERENCE_FIELDS, 8),
      rights: optional("RightsManagement:RightsManagementSupport", element),
    }),
  ),
});
const EMPTY_FOLDER = shapeOf({
  collectionId: optional("AirSync:CollectionId", text(ID_CHARS_MAX)),
  options: optional(
    "ItemOperations:Options",
    shapeOf({ subfolders: optional("ItemOperations:DeleteSubFolders", emptyShape) }),
  ),
});
const MOVE = shapeOf({
  conversation: optional("ItemOperations:ConversationId", octets(64)),
  to: optional("ItemOperations:DstFldId", text(ID_CHARS_MAX)),
  options: optional("ItemOperations:Options", shapeOf({ always: optional("ItemOperations:MoveAlways", emptyShape) })),
});

/** An answer, and the parts that it names beside itself. */
export interface Operations {
  readonly root: Element;
  readonly parts: readonly Body[];
}

/** ItemOperations: MS-ASCMD §2.2.1.10, one after the other. */
export async function itemOperations(body: Element | undefined, context: Context): Promise<Operations> {
  if (body?.tag !== "ItemOperations:ItemOperations" || body.children.length === 0) return failed(PROTOCOL);
  if (body.children.length > OPERATIONS_MAX) return failed(PROTOCOL);
  const run = new Run(context);
  const operations: (() => Promise<Element>)[] = [];
  try {
    for (const asked of body.children) operations.push(run.operation(asked));
  } catch (error) {
    if (error instanceof SchemaError) return failed(PROTOCOL);
    throw error;
  }
  const answers: Element[] = [];
  for (const operation of operations) answers.push(await operation());
  const response = group("ItemOperations:Response", ...answers);
  return {
    root: group("ItemOperations:ItemOperations", leaf("ItemOperations:Status", OK), response),
    parts: run.parts,
  };
}

function failed(status: number): Operations {
  return { root: group("ItemOperations:ItemOperations", leaf("ItemOperations:Status", status)), parts: [] };
}

class Run {
  readonly #context: Context;
  readonly parts: Body[] = [];
  /** Octets that the answer may still hold in itself; what goes by parts is streamed. */
  #left = FETCHED_BYTES_MAX;

  constructor(context: Context) {
    this.#context = context;
  }

  /** The work of one operation, to be done after all of the request was read. Throws SchemaError. */
  operation(asked: Element): () => Promise<Element> {
    switch (asked.tag) {
      case "ItemOperations:Fetch": {
        const wish = FETCH.read(asked);
        return () => this.#fetch(wish);
      }
      case "ItemOperations:EmptyFolderContents": {
        const wish = EMPTY_FOLDER.read(asked);
        return () => this.#emptyFolder(wish);
      }
      case "ItemOperations:Move": {
        const wish = MOVE.read(asked);
        return () => this.#move(wish);
      }
      default:
        throw new SchemaError("unexpected", asked.tag, asked.offset);
    }
  }

  async #fetch(asked: ReturnType<typeof FETCH.read>): Promise<Element> {
    const answered = (status: number, ...more: readonly (Element | undefined)[]): Element =>
      group(
        "ItemOperations:Fetch",
        leaf("ItemOperations:Status", status),
        asked.collectionId === null ? undefined : leaf("AirSync:CollectionId", asked.collectionId),
        asked.itemId === null ? undefined : leaf("AirSync:ServerId", asked.itemId),
        asked.longId === null ? undefined : leaf("Search:LongId", asked.longId),
        asked.file === null ? undefined : leaf("AirSyncBase:FileReference", asked.file),
        asked.link === null ? undefined : leaf("DocumentLibrary:LinkId", asked.link),
        ...more,
      );
    const ways = [asked.itemId, asked.longId, asked.file, asked.link].filter((way) => way !== null);
    if (ways.length !== 1) return answered(PROTOCOL);
    if (asked.link !== null || (asked.store ?? "Mailbox").toLowerCase() !== "mailbox") return answered(STORE_UNKNOWN);
    if (asked.file !== null) return this.#file(asked.file, asked.options?.range ?? null, answered);
    return this.#item(asked.itemId ?? asked.longId!, asked, answered);
  }

  async #item(id: string, asked: ReturnType<typeof FETCH.read>, answered: Answered): Promise<Element> {
    const context = this.#context;
    const { state } = context.session;
    const name = parseItemId(id);
    const row = name && findItem(state, name);
    if (row === undefined) return answered(NOT_FOUND);
    let options: BodyOptions;
    try {
      options = {
        bodies: readPreferences(asked.options?.bodies ?? []),
        bodyPart: readBodyPart(asked.options?.bodyPart ?? []),
        mimeSupport: (asked.options?.mimeSupport ?? 0) as 0 | 1 | 2,
        mimeBytesMax: undefined,
        // Without a preference, a message that is fetched by itself comes in its own form.
        isNativeDefault: true,
      };
    } catch (error) {
      if (error instanceof CommandError)
        return answered(error.status === STATUS.bodyPartTypeUnknown ? error.status : PROTOCOL);
      throw error;
    }
    const [item] = await Array.fromAsync(readItems([{ position: 0, row, state }], options, itemTools(context)));
    if (!item) return answered(NOT_FOUND);
    this.#left -= sizeOf(group("ItemOperations:Properties", ...item)).bytes;
    if (this.#left < 0) return answered(TOO_LARGE);
    const wanted = asked.options?.schema?.children.map(({ tag }) => tag);
    const told = wanted ? item.filter(({ tag }) => wanted.includes(tag)) : item;
    return answered(OK, leaf("AirSync:Class", "Email"), group("ItemOperations:Properties", ...told));
  }

  async #file(reference: string, range: string | null, answered: Answered): Promise<Element> {
    const context = this.#context;
    const file = await openFile(reference, context);
    if (!file) return answered(ATTACHMENT_INVALID);
    const { body, type } = file;
    const span = range === null ? { start: 0, end: body.size } : readRange(range, body.size);
    if (!span) return answered(RANGE_INVALID);
    const { start, end } = span;
    if (!this.#takes(end - start)) return answered(TOO_LARGE);
    // A phone may stumble over a range that it did not ask for.
    const told =
      range === null
        ? []
        : [leaf("ItemOperations:Range", `${start}-${end - 1}`), leaf("ItemOperations:Total", body.size)];
    return answered(
      OK,
      group(
        "ItemOperations:Properties",
        ...told,
        leaf("AirSyncBase:ContentType", type),
        await this.#data({ size: end - start, read: (from, to) => body.read(start + from, start + to) }),
      ),
    );
  }

  #takes(bytes: number): boolean {
    if (this.#context.acceptsMultipart) return true;
    this.#left -= bytes;
    return this.#left >= 0;
  }

  async #data(body: Body): Promise<Element> {
    if (this.#context.acceptsMultipart) {
      this.parts.push(body);
      return leaf("ItemOperations:Part", this.parts.length);
    }
    const pieces: Uint8Array[] = [];
    for await (const piece of body.read(0, body.size)) pieces.push(piece.slice());
    return leaf("ItemOperations:Data", Buffer.concat(pieces).toString("base64"));
  }

  /** Removes the messages of a folder for good: MS-ASCMD §2.2.3.55. */
  async #emptyFolder({ collectionId, options }: ReturnType<typeof EMPTY_FOLDER.read>): Promise<Element> {
    const { session } = this.#context;
    const answered = (status: number): Element =>
      group(
        "ItemOperations:EmptyFolderContents",
        leaf("ItemOperations:Status", status),
        leaf("AirSync:CollectionId", collectionId ?? ""),
      );
    if (collectionId === null) return answered(PROTOCOL);
    const folder = foldersNow(this.#context).find(({ id }) => id === collectionId);
    if (!folder?.mailbox) return answered(NOT_FOUND);
    const { path } = folder.mailbox;
    const below = options?.subfolders ? session.state.below(path) : [];
    const view = session.openView(session.getMailbox(path).id, { readOnly: false });
    const all = Array.from({ length: view.length }, (_, position) => position);
    if (all.length > 0) await view.setFlags(all, { mode: "add", flags: ["\\Deleted"] });
    await view.expunge(all);
    if (below.length > 0) {
      const outcome = await session.changeFolders(() => ({
        steps: below.toReversed().map(({ id }) => ({ do: "destroy", mailbox: id, ifEmpty: false })),
      }));
      if (outcome.refusal) return answered(NOT_FOUND);
    }
    return answered(OK);
  }

  /** A whole conversation goes into a folder: MS-ASCMD §2.2.3.117. Mails that come later are not moved: there are no filters
   * yet. */
  async #move({ conversation, to, options }: ReturnType<typeof MOVE.read>): Promise<Element> {
    const context = this.#context;
    const { session, pace, signal } = context;
    const answered = (status: number): Element =>
      group(
        "ItemOperations:Move",
        leaf("ItemOperations:Status", status),
        leaf("ItemOperations:ConversationId", conversation ?? new Uint8Array()),
      );
    if (conversation === null || to === null) return answered(PROTOCOL);
    if (!options?.always) return answered(STATUS.moveAlwaysMissing);
    const folders = foldersNow(context);
    const destination = folders.find(({ id }) => id === to)?.mailbox;
    if (!destination) return answered(STATUS.destinationInvalid);
    const thread = threadOfConversation(conversation);
    if (!thread) return answered(NOT_FOUND);
    const lists = await session.lists({ pace, signal });
    const { state } = lists;
    const number = lists.findThread(thread);
    const trash = folders.find(({ type }) => type === TRASH)?.mailbox;
    const edits: EmailEdit[] = [];
    const emails = number === undefined ? [] : [...lists.threadOf(number)];
    for (const email of emails.sort((a, b) => lists.compareInThread(a, b))) {
      const leave = [...lists.shownMemberships(email)]
        .map((row) => state.mailboxOf(row))
        .filter(
          // Mails that the owner wrote stay where they are.
          ({ id, specialUse }) =>
            id !== destination.id && specialUse !== "\\Sent" && specialUse !== "\\Drafts" && id !== trash?.id,
        );
      if (leave.length === 0) continue;
      const id = idOfEmail(state, email);
      edits.push({ email: id, add: [], remove: [], join: [destination.id], leave: leave.map((mailbox) => mailbox.id) });
    }
    if (edits.length > 0) await session.editEmails(edits, { pace, signal });
    return answered(OK);
  }
}

type Answered = (status: number, ...more: readonly (Element | undefined)[]) => Element;

/** `m-n`, both included, as far as there is something; undefined where nothing is. */
function readRange(range: string, size: number): { readonly start: number; readonly end: number } | undefined {
  const [, first, last] = /^(\d{1,15})-(\d{1,15})$/.exec(range.trim()) ?? [];
  const start = Number(first);
  const end = Math.min(size, Number(last) + 1);
  return first === undefined || start >= size || start >= end ? undefined : { start, end };
}

/** A part of an email with its transfer encoding undone; undefined where there is none. Errors: `unavailable`, `corrupt`. */
export async function openFile(
  reference: string,
  context: Context,
): Promise<{ readonly body: Body; readonly type: string } | undefined> {
  const { session, pace, signal } = context;
  const file = parseFileReference(reference);
  if (!file) return undefined;
  const [email] = await session.findEmails([file.email], { pace, signal });
  if (!email) return undefined;
  const [summary] = await session.readFullSummaries([email.message]);
  const texts = new MessageTexts(summary!, () => session.openBody(email.message), context);
  const part = findNode(texts.root, file.path);
  if (!part) return undefined;
  return { body: partBody(part, await texts.body()), type: `${part.type}/${part.subtype}` };
}

/** The answer by parts: a table of where each lies, then the answer itself, then the parts. MS-ASCMD §2.2.2.10.1. */
export function multipart(
  root: Uint8Array,
  parts: readonly Body[],
): { size: number; read(): AsyncIterable<Uint8Array> } {
  const sizes = [root.length, ...parts.map(({ size }) => size)];
  const head = Buffer.alloc(4 + 8 * sizes.length);
  head.writeUInt32LE(sizes.length, 0);
  let at = head.length;
  for (const [number, size] of sizes.entries()) {
    head.writeUInt32LE(at, 4 + 8 * number);
    head.writeUInt32LE(size, 8 + 8 * number);
    at += size;
  }
  return {
    size: at,
    async *read() {
      yield head;
      yield root;
      for (const part of parts) yield* part.read(0, part.size);
    },
  };
}
