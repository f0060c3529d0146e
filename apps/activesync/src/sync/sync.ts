import { firstShownAt, MembershipSet, type Message, NO_MODSEQ, NO_UID, type Row, uidOf } from "@restante/engine";
import { type Element, SchemaError } from "wbxml";
import { type Context, itemTools } from "../context.ts";
import { type Folder, findFolder } from "../folders/tree.ts";
import { ANSWER_ELEMENTS_MAX, SYNC_BYTES_MAX, SYNC_MS_MAX } from "../limits.ts";
import { readFlagElements, readItems } from "../mail/item.ts";
import { empty, group, leaf, sizeOf } from "../protocol/elements.ts";
import { formatItemId } from "../protocol/ids.ts";
import { CommandError } from "../protocol/status.ts";
import { type CollectionState, START } from "./collection-state.ts";
import { type Command, readCommands, refusedCommand } from "./command.ts";
import { type CommandsOutcome, runCommands } from "./commands.ts";
import { checkOptions, DEFAULT_OPTIONS, PROTOCOL_ERROR, readOptions, type SyncOptions } from "./options.ts";
import { type CollectionRequest, completed, readSync, SyncLimit, type SyncRequest } from "./request.ts";
import { findState, keepState, removeStarts } from "./store.ts";
import { pendingChanges, toldAll, windowOf } from "./window.ts";

/** Statuses of a folder: MS-ASCMD §2.2.3.177.17. */
const OK = 1;
const KEY_UNKNOWN = 3;
const FOLDER_GONE = 8;
const INCOMPLETE = 13;

/** The result of a Sync: an answer; an empty answer; or folders to wait for. */
export type SyncAnswer =
  | { readonly kind: "answer"; readonly root: Element }
  | { readonly kind: "nothing" }
  | { readonly kind: "wait"; readonly folders: readonly Folder[]; readonly seconds: number };

/** Sync: MS-ASCMD §2.2.1.21. `body`: undefined where the request has none. */
export async function sync(body: Element | undefined, context: Context): Promise<SyncAnswer> {
  const { phone, waits } = context;
  let asked: SyncRequest | undefined;
  try {
    asked = completed(body && readSync(body, waits), phone.lastSync, phone.keys);
  } catch (error) {
    if (error instanceof SyncLimit)
      return answer(leaf("AirSync:Status", error.status), leaf("AirSync:Limit", error.limit));
    if (error instanceof SchemaError) return answer(leaf("AirSync:Status", PROTOCOL_ERROR));
    if (error instanceof CommandError) return answer(leaf("AirSync:Status", error.status));
    throw error;
  }
  if (!asked) return answer(leaf("AirSync:Status", INCOMPLETE));
  // Commands and options are views into the whole request, so they are not kept beyond its answer.
  phone.lastSync = {
    ...asked,
    collections: asked.collections.map((one) => ({ ...one, commands: [], options: undefined })),
  };
  phone.synced();
  const room = {
    items: asked.windowSize,
    bytes: SYNC_BYTES_MAX,
    elements: ANSWER_ELEMENTS_MAX,
    until: context.now() + SYNC_MS_MAX,
  };
  const told: Element[] = [];
  const folders: Folder[] = [];
  for (const one of asked.collections) {
    const element = await new FolderSync(one, context, room).run(folders);
    if (element) told.push(element);
  }
  if (told.length > 0) return answer(group("AirSync:Collections", ...told));
  if (asked.waitSeconds === undefined) return { kind: "nothing" };
  return { kind: "wait", folders, seconds: asked.waitSeconds };
}

function answer(...children: readonly Element[]): SyncAnswer {
  return { kind: "answer", root: group("AirSync:Sync", ...children) };
}

/** Room that is left in one answer. */
interface Room {
  items: number;
  bytes: number;
  elements: number;
  /** Milliseconds since 1970. */
  readonly until: number;
}

class FolderSync {
  readonly #asked: CollectionRequest;
  readonly #context: Context;
  readonly #room: Room;

  constructor(asked: CollectionRequest, context: Context, room: Room) {
    this.#asked = asked;
    this.#context = context;
    this.#room = room;
  }

  /** The folder's part of the answer; undefined where there is nothing to tell, and the folder is added to `folders`. */
  async run(folders: Folder[]): Promise<Element | undefined> {
    const { session, version } = this.#context;
    const folder = findFolder(session.state, version, this.#asked.id);
    if (!folder) return this.#failed(FOLDER_GONE);
    folders.push(folder);
    try {
      return this.#asked.key === START ? await this.#start(folder) : await this.#continue(folder);
    } catch (error) {
      if (error instanceof SchemaError) return this.#failed(PROTOCOL_ERROR, folder);
      if (error instanceof CommandError) return this.#failed(error.status, folder);
      throw error;
    }
  }

  async #start(folder: Folder): Promise<Element> {
    const { getChanges, commands, options } = this.#asked;
    if (getChanges === true || commands.length > 0) throw new CommandError(PROTOCOL_ERROR, "a start tells nothing yet");
    const { epoch } = this.#context.session.state;
    const key = await keepState(
      this.#context,
      folder.id,
      {
        previous: "",
        epoch,
        held: MembershipSet.none,
        modSeq: NO_MODSEQ,
        uid: NO_UID,
        isComplete: false,
        options: this.#optionsOf(folder, options) ?? DEFAULT_OPTIONS,
        results: [],
      },
      [],
    );
    // The phone's old key stays good until it uses the new one: the states of both are stored now.
    this.#context.phone.keys.delete(folder.id);
    await removeStarts(this.#context, folder.id, key);
    return this.#told(folder, key, OK);
  }

  /** The request's options for the folder; undefined if it has none. Throws SchemaError and CommandError. */
  #optionsOf({ class: of }: Folder, blocks: CollectionRequest["options"]): SyncOptions | undefined {
    const { byConversation = false } = this.#asked;
    if (byConversation && of !== "Email") throw new CommandError(PROTOCOL_ERROR, "conversations of what is no mail");
    if (!blocks) return undefined;
    if (of !== "Email") {
      // Options of a folder that is always empty have no effect yet.
      for (const block of blocks) checkOptions(block, of);
      return undefined;
    }
    const read = blocks.map((block) => readOptions(block, byConversation));
    const mail = read.filter((options) => options !== undefined);
    if (mail.length > 1 || read.length - mail.length > 1) throw new CommandError(PROTOCOL_ERROR, "one class twice");
    return mail[0];
  }

  async #continue(folder: Folder): Promise<Element | undefined> {
    const { key, id, byConversation, commands: given, deletesAsMoves, getChanges = true } = this.#asked;
    const context = this.#context;
    const found = await findState(context, id, key, given.length > 0);
    if (!found || found.state.epoch !== context.session.state.epoch) return this.#failed(KEY_UNKNOWN, folder);
    const { state: known, repeated, stale } = found;
    const commands = readCommands(given);
    const asked = this.#optionsOf(folder, this.#asked.options);
    if (!folder.mailbox) return this.#continueEmpty(folder, commands, known, stale);
    const options = asked ?? {
      ...known.options,
      byConversation: byConversation ?? known.options.byConversation,
    };
    const outcome = await runCommands(commands, { folder, key, known, repeated, deletesAsMoves, options }, context);
    const changes = getChanges
      ? await this.#changes(folder, known, options, outcome)
      : this.#noChanges(folder, known, outcome);
    if (!changes) return this.#failed(KEY_UNKNOWN, folder);
    const isNews =
      changes.elements.length > 0 || outcome.responses.length > 0 || commands.length > 0 || changes.hasMore;
    const isMoved = JSON.stringify(options) !== JSON.stringify(known.options);
    if (!isNews && !isMoved && repeated.length === 0 && changes.isSame) return undefined;
    const next = await keepState(
      context,
      id,
      { ...changes.next, previous: key, epoch: known.epoch, options, results: outcome.results },
      stale,
    );
    return this.#told(
      folder,
      next,
      OK,
      changes.hasMore ? empty("AirSync:MoreAvailable") : undefined,
      changes.elements.length > 0 ? group("AirSync:Commands", ...changes.elements) : undefined,
      outcome.responses.length > 0 ? group("AirSync:Responses", ...outcome.responses) : undefined,
    );
  }

  /** A folder that holds nothing yet, and takes nothing: what is brought is refused, one by one. */
  async #continueEmpty(
    folder: Folder,
    commands: readonly Command[],
    known: CollectionState,
    stale: readonly string[],
  ): Promise<Element | undefined> {
    if (commands.length === 0) return undefined;
    const next = { ...known, previous: this.#asked.key, results: [] };
    const key = await keepState(this.#context, folder.id, next, stale);
    return this.#told(folder, key, OK, group("AirSync:Responses", ...commands.map(refusedCommand)));
  }

  /** Only what the client itself did is known of now. */
  #noChanges(folder: Folder, known: CollectionState, outcome: CommandsOutcome): FolderChanges | undefined {
    const { state } = this.#context.session;
    const mailbox = state.findMailbox(folder.mailbox!.id);
    if (!mailbox) return undefined;
    const all = pendingChanges(state, mailbox, known, { wants: () => true, wantsBody: () => true });
    if (!all) return undefined;
    const nameOf = (row: Row): string => formatItemId(state.lastingNameOf(row));
    const held = MembershipSet.of(state, all.rows, (row) => {
      const name = nameOf(row);
      return !outcome.gone.has(name) && (outcome.made.has(name) || known.held.has(state.lastingNameOf(row)));
    });
    // The phone's own changes are not told back, unless other news came before them.
    const isOwn =
      all.gone.every((row) => outcome.gone.has(nameOf(row))) &&
      all.changed.every((row) => this.#isOwn(nameOf(row), state.flagNames(row), outcome));
    const { modSeq, uid } = isOwn ? toldAll(state) : known;
    return { elements: [], hasMore: false, isSame: true, next: { held, modSeq, uid, isComplete: false } };
  }

  /** Elements for the folder's changes, as far as there is room: removals, then changes, then new items, the newest first. */
  async #changes(
    folder: Folder,
    known: CollectionState,
    options: SyncOptions,
    outcome: CommandsOutcome,
  ): Promise<FolderChanges | undefined> {
    const context = this.#context;
    const { state } = context.session;
    const mailbox = state.findMailbox(folder.mailbox!.id);
    if (!mailbox) throw new CommandError(FOLDER_GONE);
    const window = windowOf(state, mailbox, options, context.now());
    const pending = pendingChanges(state, mailbox, known, window);
    if (!pending) return undefined;
    // From here on others may change it while this is read.
    let point = toldAll(state);
    const nameOf = (row: Row): string => formatItemId(state.lastingNameOf(row));
    const limit = Math.min(this.#asked.windowSize, this.#room.items);
    const elements: Element[] = [];
    const hasRoom = (): boolean =>
      elements.length < limit &&
      this.#room.bytes > 0 &&
      this.#room.elements > 0 &&
      (elements.length === 0 || context.now() < this.#room.until);
    const add = (element: Element): void => {
      elements.push(element);
      const size = sizeOf(element);
      this.#room.bytes -= size.bytes;
      this.#room.elements -= size.elements;
    };
    const gone = new Set(pending.gone.filter((row) => outcome.gone.has(nameOf(row))));
    const left = new Set<number>();
    let hasMore = false;
    for (const row of pending.gone) {
      if (gone.has(row)) continue;
      if (!hasRoom()) {
        hasMore = true;
        break;
      }
      gone.add(row);
      add(group("AirSync:Delete", leaf("AirSync:ServerId", nameOf(row))));
    }
    for (const row of pending.unwanted) {
      if (hasMore || !hasRoom()) {
        hasMore = true;
        break;
      }
      left.add(row);
      add(group("AirSync:SoftDelete", leaf("AirSync:ServerId", nameOf(row))));
    }
    const tools = itemTools(context);
    for (const [at, row] of pending.changed.entries()) {
      if (!window.wants(row) || this.#isOwn(nameOf(row), state.flagNames(row), outcome)) continue;
      if (hasMore || !hasRoom()) {
        hasMore = true;
        const last = at === 0 ? undefined : pending.changed[at - 1];
        point =
          last === undefined
            ? { modSeq: known.modSeq, uid: known.uid }
            : { modSeq: pending.stampOf(last), uid: uidOf(state, last) };
        break;
      }
      const message: Message = { position: 0, row, state };
      // A draft got new content in its place.
      const isNew = firstShownAt(state, row) > known.modSeq;
      const items = isNew ? readItems([message], options, tools) : undefined;
      const data = items ? (await items.next()).value : await readFlagElements(message, tools);
      if (data)
        add(group("AirSync:Change", leaf("AirSync:ServerId", nameOf(row)), group("AirSync:ApplicationData", ...data)));
    }
    // Removals are told first. If some had no room, the next answer starts again from the same point.
    if (pending.gone.some((row) => !gone.has(row))) point = { modSeq: known.modSeq, uid: known.uid };
    const fresh = pending.fresh.filter((row) => !outcome.made.has(nameOf(row)));
    const made = new Set<number>(pending.fresh.filter((row) => outcome.made.has(nameOf(row))));
    if (fresh.length > 0 && (hasMore || !hasRoom())) hasMore = true;
    else {
      const newest = fresh
        .toSorted(
          (a, b) => state.receivedOf(b).timeMs - state.receivedOf(a).timeMs || uidOf(state, b) - uidOf(state, a),
        )
        .slice(0, limit - elements.length);
      const messages = newest.map((row): Message => ({ position: 0, row, state }));
      let at = 0;
      for await (const data of readItems(messages, options, tools, ({ row }) => window.wantsBody(row))) {
        const row = newest[at++]!;
        // One that went meanwhile is not there to be told of.
        if (data) {
          add(group("AirSync:Add", leaf("AirSync:ServerId", nameOf(row)), group("AirSync:ApplicationData", ...data)));
          made.add(row);
        }
        if (!hasRoom()) break;
      }
      hasMore ||= at < fresh.length;
    }
    this.#room.items -= elements.length;
    const held = MembershipSet.of(state, pending.rows, (row) => {
      if (gone.has(row) || left.has(row)) return false;
      return made.has(row) || known.held.has(state.lastingNameOf(row));
    });
    const isSame = known.isComplete && gone.size === 0 && made.size === 0;
    return { elements, hasMore, isSame, next: { held, ...point, isComplete: !hasMore } };
  }

  /** True if an item is as its client knows it, because the client changed it itself. */
  #isOwn(name: string, flags: readonly string[], outcome: CommandsOutcome): boolean {
    if (outcome.written.has(name)) return true;
    const expected = outcome.flags.get(name);
    return expected !== undefined && expected.size === flags.length && flags.every((flag) => expected.has(flag));
  }

  #failed(status: number, folder?: Folder): Element {
    return this.#told(folder, this.#asked.key, status);
  }

  #told(folder: Folder | undefined, key: string, status: number, ...more: readonly (Element | undefined)[]): Element {
    const { id, class: asked } = this.#asked;
    return group(
      "AirSync:Collection",
      this.#context.version < 14 ? leaf("AirSync:Class", folder?.class ?? asked ?? "Email") : undefined,
      leaf("AirSync:SyncKey", key),
      leaf("AirSync:CollectionId", id),
      leaf("AirSync:Status", status),
      ...more,
    );
  }
}

/** Elements that tell of a folder, and the state that its phone then has. */
interface FolderChanges {
  readonly elements: readonly Element[];
  readonly hasMore: boolean;
  /** The phone holds what it held. */
  readonly isSame: boolean;
  readonly next: Pick<CollectionState, "held" | "modSeq" | "uid" | "isComplete">;
}
