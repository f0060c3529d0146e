import {
  type EmailEdit,
  firstShownAt,
  lastChangeOf,
  type Message,
  modSeqBefore,
  type NewRecord,
  type ReadState,
  type Row,
  type Uid,
  uidOf,
} from "@restante/engine";
import type { Element } from "wbxml";
import { type Context, itemTools } from "../context.ts";
import { DRAFTS, type Folder, folderTree, TRASH } from "../folders/tree.ts";
import { FETCHED_BYTES_MAX } from "../limits.ts";
import { findItem, idOf, readItems } from "../mail/item.ts";
import { changedMarks, marksRecord, readMarks } from "../mail/marks.ts";
import { group, leaf, sizeOf } from "../protocol/elements.ts";
import { formatItemId, parseItemId } from "../protocol/ids.ts";
import { CONVERSION_ERROR, CommandError } from "../protocol/status.ts";
import { sendStored, wasDraftSent } from "../sending/send.ts";
import type { ClientResult, CollectionState } from "./collection-state.ts";
import { CONFLICT, type Command, NOT_FOUND, OK, statusLeaf, statusOf, TRY_AGAIN, type Verb } from "./command.ts";
import {
  type DraftWish,
  draftAnswer,
  draftMessageId,
  findByMessageId,
  isDraftContent,
  readDraft,
  writeDraft,
} from "./drafts.ts";
import { readFlagWish } from "./flag-wish.ts";
import type { SyncOptions } from "./options.ts";

/** The result of a client's commands in one folder. */
export interface CommandsOutcome {
  /** For what failed, what was fetched, and what was made. */
  readonly responses: readonly Element[];
  readonly results: readonly ClientResult[];
  /** Items that the client has no more, by its own doing, and those that it has since. */
  readonly gone: ReadonlySet<string>;
  readonly made: ReadonlySet<string>;
  /** Items that nobody else changed since they were told, and the flags that they have as the client knows. */
  readonly flags: ReadonlyMap<string, ReadonlySet<string>>;
  /** Drafts that the client gave new content: none of theirs has a file, whose reference would be another now. */
  readonly written: ReadonlySet<string>;
}

export const NO_COMMANDS: CommandsOutcome = {
  responses: [],
  results: [],
  gone: new Set(),
  made: new Set(),
  flags: new Map(),
  written: new Set(),
};

export interface CommandsOf {
  readonly folder: Folder;
  readonly key: string;
  readonly known: CollectionState;
  /** Results of requests that used this key already. */
  readonly repeated: readonly ClientResult[];
  readonly deletesAsMoves: boolean;
  readonly options: SyncOptions;
}

/** Carries out a client's commands: what changes flags and places by one op. Errors: `unavailable`, `unknown-outcome`. */
export async function runCommands(
  commands: readonly Command[],
  of: CommandsOf,
  context: Context,
): Promise<CommandsOutcome> {
  if (commands.length === 0) return NO_COMMANDS;
  const run = new Run(of, context);
  for (const command of commands) await run.take(command);
  await run.edit();
  await run.fetch();
  return run.outcome;
}

interface PlannedEdit {
  readonly itemId: string;
  readonly verb: Verb;
  readonly edit: EmailEdit;
  /** The flags that it will have, where nobody else has changed them since they were told. */
  readonly expected: ReadonlySet<string> | undefined;
}

/** Marks that a command sets on an item beside its flags. */
interface PlannedMarks {
  readonly itemId: string;
  readonly record: NewRecord;
  /** Others changed it since it was told. */
  readonly isNews: boolean;
  readonly flags: readonly string[];
}

class Run {
  readonly #of: CommandsOf;
  readonly #context: Context;
  readonly #edits: PlannedEdit[] = [];
  readonly #marks: PlannedMarks[] = [];
  readonly #fetched: string[] = [];
  readonly #responses: Element[] = [];
  readonly #results: ClientResult[] = [];
  readonly #gone = new Set<string>();
  readonly #made = new Set<string>();
  readonly #flags = new Map<string, ReadonlySet<string>>();
  readonly #written = new Set<string>();

  constructor(of: CommandsOf, context: Context) {
    this.#of = of;
    this.#context = context;
  }

  get outcome(): CommandsOutcome {
    return {
      responses: this.#responses,
      results: this.#results,
      gone: this.#gone,
      made: this.#made,
      flags: this.#flags,
      written: this.#written,
    };
  }

  get #state(): ReadState {
    return this.#context.session.state;
  }

  async take(command: Command): Promise<void> {
    const { verb } = command;
    try {
      if (verb === "Add") await this.#add(command);
      else if (verb === "Fetch") this.#fetched.push(command.serverId!);
      else if (verb === "Change") await this.#change(command);
      else this.#delete(command);
    } catch (error) {
      const status = statusOf(error);
      if (status === undefined) throw error;
      this.#answer(command, status);
    }
  }

  /** The membership of a command's item. Throws CommandError 8. */
  #rowOf({ serverId }: Command): Row {
    const name = parseItemId(serverId!);
    const row = name && findItem(this.#state, name);
    const { mailbox } = this.#of.folder;
    if (row === undefined || !mailbox || this.#state.mailboxOf(row).id !== mailbox.id)
      throw new CommandError(NOT_FOUND);
    return row;
  }

  #isNews(row: Row): boolean {
    const { modSeq, uid } = this.#of.known;
    const marked = changedMarks(this.#state, modSeqBefore(modSeq)).get(this.#state.emailOf(row)) ?? 0;
    const stamp = Math.max(lastChangeOf(this.#state, row), marked);
    return stamp > modSeq || (stamp === modSeq && uidOf(this.#state, row) > uid);
  }

  #delete(command: Command): void {
    const row = this.#rowOf(command);
    const { folder, deletesAsMoves } = this.#of;
    const trash = folderTree(this.#state, this.#context.version).find(({ type }) => type === TRASH)?.mailbox;
    const join = deletesAsMoves && trash && trash.id !== folder.mailbox!.id ? [trash.id] : [];
    const edit = { email: idOf(this.#state, row), add: [], remove: [], join, leave: [folder.mailbox!.id] };
    this.#edits.push({ itemId: command.serverId!, verb: "Delete", edit, expected: undefined });
  }

  async #change(command: Command): Promise<void> {
    const { send, serverId } = command;
    if (send && this.#find(serverId!) === undefined && (await wasDraftSent(this.#sendName(serverId!), this.#context))) {
      // The draft went out, and the answer that told it was lost.
      this.#results.push({ clientId: serverId!, status: OK, itemId: serverId! });
      this.#gone.add(serverId!);
      return;
    }
    const row = this.#rowOf(command);
    const data = command.data!;
    if (send || isDraftContent(data)) await this.#changeDraft(command, row);
    else await this.#changeFlags(command, row);
  }

  async #changeFlags({ serverId, data }: Command, row: Row): Promise<void> {
    const { session } = this.#context;
    const state = this.#state;
    const flags = state.flagNames(row);
    const email = idOf(state, row);
    const wish = readFlagWish(data!, flags);
    const isNews = this.#isNews(row);
    if (wish.flag) {
      const marks = await readMarks(session, email);
      const [before, next] = [marksRecord(email, marks), marksRecord(email, { ...marks, flag: wish.flag.flag })];
      if (!isSameValue(before.value, next.value)) this.#marks.push({ itemId: serverId!, record: next, isNews, flags });
    }
    const held = new Set(flags);
    const add = wish.add.filter((flag) => !held.has(flag));
    const remove = wish.remove.filter((flag) => held.has(flag));
    if (add.length === 0 && remove.length === 0) return;
    for (const flag of remove) held.delete(flag);
    for (const flag of add) held.add(flag);
    const edit = { email, add, remove, join: [], leave: [] };
    this.#edits.push({ itemId: serverId!, verb: "Change", edit, expected: isNews ? undefined : held });
  }

  async #changeDraft(command: Command, row: Row): Promise<void> {
    const { folder, known, key, options } = this.#of;
    const context = this.#context;
    if (context.version < 16 || folder.type !== DRAFTS) throw new CommandError(CONVERSION_ERROR);
    const wish = readDraft(command.data!);
    const state = this.#state;
    const made = firstShownAt(state, row);
    const repeated = this.#repeatedAs(command.serverId!);
    if (repeated) {
      this.#results.push(repeated);
      if (command.send) await this.#send(repeated.itemId, this.#sendName(repeated.itemId));
      else await this.#answerDraft(command, wish, repeated.itemId);
      return;
    }
    if (options.isServerRight && made > known.modSeq) throw new CommandError(CONFLICT);
    const view = context.session.openView(context.session.getMailbox(folder.mailbox!.path).id, { readOnly: false });
    const position = view.lowerBound(uidOf(state, row));
    const messageId = await draftMessageId(context, folder, key, command.serverId!);
    const draft = await writeDraft(wish, view.message(position), messageId, context);
    const flags = [...new Set([...state.flagNames(row), "\\Draft", "\\Seen"])];
    const prepared = await context.session.prepare(draft, { mailbox: folder.mailbox!.path, flags });
    await context.session.replace(view, position, prepared);
    const result = { clientId: command.serverId!, status: OK, itemId: command.serverId! };
    this.#results.push(result);
    if (command.send) await this.#send(command.serverId!, this.#sendName(command.serverId!));
    else {
      if (!(await this.#hasFiles(command.serverId!))) this.#written.add(command.serverId!);
      await this.#answerDraft(command, wish, command.serverId!);
    }
  }

  async #add(command: Command): Promise<void> {
    const { folder, key } = this.#of;
    const context = this.#context;
    const clientId = command.clientId!;
    const isDraft = context.version >= 16 && folder.type === DRAFTS && (command.class ?? "Email") === "Email";
    if (!isDraft) throw new CommandError(CONVERSION_ERROR, "of these nothing can be added");
    const wish = readDraft(command.data!);
    const repeated = this.#repeatedAs(clientId);
    const messageId = await draftMessageId(context, folder, key, clientId);
    const itemId =
      repeated?.itemId ?? (await this.#findDraft(messageId)) ?? (await this.#store(command, wish, messageId));
    if (command.send)
      try {
        await this.#send(itemId, this.#sendName(clientId), command);
      } catch (error) {
        // Its maker is told that nothing came of it.
        if (statusOf(error) !== undefined) await this.#destroy(itemId);
        throw error;
      }
    this.#results.push({ clientId, status: OK, itemId });
    if (itemId !== "") this.#made.add(itemId);
    if (!command.send) await this.#answerDraft(command, wish, itemId);
  }

  /** A draft's name in the queue. Phones count from 1 again in each request, so the sync key is part of it. */
  #sendName(name: string): string {
    return `${this.#of.key} ${name}`;
  }

  /** A draft that is there, and whose answer was lost. */
  async #findDraft(messageId: string): Promise<string | undefined> {
    const { folder, known } = this.#of;
    const fresh = messagesBeyond(this.#state, folder, known);
    const found = await findByMessageId(this.#context, fresh, messageId);
    return found && formatItemId(found.state.lastingNameOf(found.row));
  }

  /** Resolves with the item that a draft is; "" for one that is sent already. */
  async #store(command: Command, wish: DraftWish, messageId: string): Promise<string> {
    const { folder } = this.#of;
    const context = this.#context;
    if (command.send && (await wasDraftSent(this.#sendName(command.clientId!), context))) return "";
    const draft = await writeDraft(wish, undefined, messageId, context);
    const flags = ["\\Draft", "\\Seen"];
    const prepared = await context.session.prepare(draft, { mailbox: folder.mailbox!.path, flags });
    const { uids } = await context.session.append(context.session.getMailbox(folder.mailbox!.path).id, prepared);
    const stored = messageAt(this.#state, folder, uids[0]!);
    if (!stored) throw new CommandError(NOT_FOUND);
    return formatItemId(stored.state.lastingNameOf(stored.row));
  }

  async #destroy(itemId: string): Promise<void> {
    const row = this.#find(itemId);
    if (row === undefined) return;
    const { session, pace, signal } = this.#context;
    const email = idOf(this.#state, row);
    await session.editEmails([{ email, add: [], remove: [], join: [], leave: [this.#of.folder.mailbox!.id] }], {
      pace,
      signal,
    });
  }

  #repeatedAs(clientId: string): ClientResult | undefined {
    return this.#of.repeated.find((result) => result.clientId === clientId);
  }

  async #hasFiles(itemId: string): Promise<boolean> {
    const row = this.#find(itemId);
    if (row === undefined) return false;
    const [summary] = await this.#context.session.readFullSummaries([this.#messageOf(row)]);
    return summary!.format === 2 && summary!.hasAttachment;
  }

  /** A draft goes out, and leaves its folder for Sent: MS-ASEMAIL §2.2.2.65. */
  async #send(itemId: string, repeatName: string, command?: Command): Promise<void> {
    const row = this.#find(itemId);
    if (row !== undefined) await sendStored(this.#messageOf(row), repeatName, this.#context);
    this.#gone.add(itemId);
    if (command)
      this.#responses.push(group("AirSync:Add", leaf("AirSync:ClientId", command.clientId!), statusLeaf(OK)));
  }

  /** Answers for a draft that was stored: MS-ASCMD §2.2.3.152. A Change is answered only if files came with it. */
  async #answerDraft({ verb, clientId }: Command, wish: DraftWish, itemId: string): Promise<void> {
    if (verb === "Change" && wish.files.length === 0) return;
    const row = this.#find(itemId);
    const data = row === undefined ? undefined : await draftAnswer(this.#messageOf(row), wish, verb, this.#context);
    this.#responses.push(
      group(
        `AirSync:${verb}`,
        verb === "Add" ? leaf("AirSync:ClientId", clientId!) : undefined,
        itemId === "" ? undefined : leaf("AirSync:ServerId", itemId),
        statusLeaf(OK),
        data,
      ),
    );
  }

  /** Answers for a command that failed. */
  #answer({ verb, clientId, serverId }: Pick<Command, "verb" | "clientId" | "serverId">, status: number): void {
    // A client takes an item that is gone already for deleted.
    if (verb === "Delete" && status === NOT_FOUND) this.#gone.add(serverId!);
    this.#responses.push(
      group(
        `AirSync:${verb}`,
        verb === "Add" ? leaf("AirSync:ClientId", clientId!) : leaf("AirSync:ServerId", serverId!),
        statusLeaf(status),
      ),
    );
  }

  #find(itemId: string): Row | undefined {
    const name = parseItemId(itemId);
    return name && findItem(this.#state, name);
  }

  #messageOf(row: Row): Message {
    return { position: 0, row, state: this.#state };
  }

  /** All changes of flags and places, by one op, after one for what phones say beside them. */
  async edit(): Promise<void> {
    const { session, pace, signal } = this.#context;
    const edits = this.#edits;
    if (this.#marks.length > 0) await session.writeRecords(this.#marks.map(({ record }) => record));
    for (const { itemId, isNews, flags } of this.#marks) if (!isNews) this.#flags.set(itemId, new Set(flags));
    if (edits.length === 0) return;
    const ends = await session.editEmails(
      edits.map(({ edit }) => edit),
      { pace, signal },
    );
    for (const [at, { itemId, verb, expected }] of edits.entries()) {
      const end = ends[at];
      if (end === undefined && verb === "Delete") this.#gone.add(itemId);
      else if (end === undefined && expected) this.#flags.set(itemId, expected);
      else if (end) this.#answer({ verb, clientId: null, serverId: itemId }, statusOf(end) ?? NOT_FOUND);
    }
  }

  async fetch(): Promise<void> {
    const rows = this.#fetched.map((itemId) => {
      const row = this.#find(itemId);
      const isHere = row !== undefined && this.#state.mailboxOf(row).id === this.#of.folder.mailbox?.id;
      return isHere ? row : undefined;
    });
    const there = rows.filter((row) => row !== undefined).map((row) => this.#messageOf(row));
    const items: (Element | undefined)[] = [];
    let left = FETCHED_BYTES_MAX;
    for await (const item of readItems(there, this.#of.options, itemTools(this.#context))) {
      const data = item && group("AirSync:ApplicationData", ...item);
      items.push(data);
      left -= data ? sizeOf(data).bytes : 0;
      if (left < 0) break;
    }
    for (const [at, itemId] of this.#fetched.entries()) {
      const isBeyond = rows[at] !== undefined && items.length === 0;
      const data = rows[at] === undefined ? undefined : items.shift();
      if (data === undefined)
        this.#answer({ verb: "Fetch", clientId: null, serverId: itemId }, isBeyond ? TRY_AGAIN : NOT_FOUND);
      else this.#responses.push(group("AirSync:Fetch", leaf("AirSync:ServerId", itemId), statusLeaf(OK), data));
    }
  }
}

function isSameValue(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined ? a === b : Buffer.compare(a, b) === 0;
}

/** Mails of a folder that a phone was not told of. */
function messagesBeyond(state: ReadState, { mailbox }: Folder, { held }: CollectionState): Message[] {
  const messages: Message[] = [];
  for (let position = 0; position < mailbox!.messages.length; position++) {
    const row = mailbox!.messages.at(position);
    if (!held.has(state.lastingNameOf(row))) messages.push({ position, row, state });
  }
  return messages.slice(-BEYOND_MAX);
}

/** Of these, the newest are looked through for one that was made before its answer was lost. */
const BEYOND_MAX = 256;

function messageAt(state: ReadState, { mailbox }: Folder, uid: Uid): Message | undefined {
  const { messages } = mailbox!;
  const position = messages.lowerBound(uid, (row) => uidOf(state, row));
  const row = position < messages.length ? messages.at(position) : undefined;
  return row !== undefined && uidOf(state, row) === uid ? { position, row, state } : undefined;
}
