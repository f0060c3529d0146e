import {
  boolean,
  type Element,
  element,
  empty,
  group,
  integer,
  many,
  optional,
  readValues,
  SchemaError,
  schema,
  text,
} from "wbxml";
import { COLLECTIONS_MAX, ID_CHARS_MAX, WINDOW_DEFAULT, WINDOW_MAX } from "../limits.ts";
import { CommandError } from "../protocol/status.ts";
import { PROTOCOL_ERROR } from "./options.ts";

/** A Sync: MS-ASCMD §2.2.1.21. */
export interface SyncRequest {
  readonly collections: readonly CollectionRequest[];
  /** Seconds to be waited for changes; undefined: none. */
  readonly waitSeconds: number | undefined;
  readonly windowSize: number;
  readonly isPartial: boolean;
}

export interface CollectionRequest {
  readonly key: string;
  readonly id: string;
  /** Told back to those before 14.0. */
  readonly class: string | undefined;
  readonly deletesAsMoves: boolean;
  readonly getChanges: boolean | undefined;
  readonly windowSize: number;
  readonly byConversation: boolean | undefined;
  /** The blocks as they came: undefined where there is none, and those of the key hold. */
  readonly options: readonly Element[] | undefined;
  /** Add, Change, Delete and Fetch. */
  readonly commands: readonly Element[];
}

/** Of Email and of SMS: MS-ASCMD §2.2.3.125.5. */
const OPTIONS_MAX = 2;

const COLLECTION = group({
  class: optional("AirSync:Class", text(ID_CHARS_MAX)),
  key: optional("AirSync:SyncKey", text(ID_CHARS_MAX)),
  notify: optional("AirSync:NotifyGUID", text()),
  id: optional("AirSync:CollectionId", text(ID_CHARS_MAX)),
  supported: optional("AirSync:Supported", element),
  deletesAsMoves: optional("AirSync:DeletesAsMoves", boolean),
  getChanges: optional("AirSync:GetChanges", boolean),
  windowSize: optional("AirSync:WindowSize", integer(0, 1_000_000)),
  byConversation: optional("AirSync:ConversationMode", boolean),
  options: many("AirSync:Options", element, OPTIONS_MAX),
  commands: optional("AirSync:Commands", element),
});
/** Numbers that are read to be told that they are out of range. */
export const SECONDS_MAX = 9_999_999_999;
const SYNC = schema(
  "AirSync:Sync",
  group({
    collections: optional(
      "AirSync:Collections",
      group({ list: many("AirSync:Collection", COLLECTION, COLLECTIONS_MAX) }),
    ),
    wait: optional("AirSync:Wait", integer(-SECONDS_MAX, SECONDS_MAX)),
    heartbeat: optional("AirSync:HeartbeatInterval", integer(-SECONDS_MAX, SECONDS_MAX)),
    windowSize: optional("AirSync:WindowSize", integer(0, 1_000_000)),
    partial: optional("AirSync:Partial", empty),
  }),
);

/** A value out of range: Status 14 or 15 of Sync, with the nearest value that is in range. */
export class SyncLimit extends Error {
  override readonly name = "SyncLimit";
  readonly status: 14 | 15;
  readonly limit: number;
  constructor(status: 14 | 15, limit: number) {
    super(`status ${status}`);
    this.status = status;
    this.limit = limit;
  }
}

export interface WaitLimits {
  /** Seconds. */
  readonly secondsMin: number;
  readonly secondsMax: number;
}

/** Throws SchemaError, CommandError 4 and SyncLimit. */
export function readSync(root: Element, limits: WaitLimits): SyncRequest {
  const values = readBounded(root);
  const list = values.collections?.list ?? [];
  if (values.collections && list.length === 0) throw new CommandError(PROTOCOL_ERROR, "no collection");
  if (values.wait !== null && values.heartbeat !== null) throw new CommandError(PROTOCOL_ERROR, "Wait and a heartbeat");
  const collections = list.map((one): CollectionRequest => {
    if (one.key === null || one.id === null) throw new CommandError(PROTOCOL_ERROR, "a collection without key or id");
    return {
      key: one.key,
      id: one.id,
      class: one.class ?? undefined,
      deletesAsMoves: one.deletesAsMoves ?? true,
      getChanges: one.getChanges ?? undefined,
      windowSize: windowOf(one.windowSize),
      byConversation: one.byConversation ?? undefined,
      options: one.options.length > 0 ? one.options : undefined,
      commands: one.commands?.children ?? [],
    };
  });
  if (new Set(collections.map(({ id }) => id)).size < collections.length)
    throw new CommandError(PROTOCOL_ERROR, "one collection twice");
  return {
    collections,
    waitSeconds: waitOf(values.wait, values.heartbeat, limits),
    windowSize: values.windowSize === null ? WINDOW_MAX : windowOf(values.windowSize),
    isPartial: values.partial === true,
  };
}

/** Of too many folders no more is read than that they are. */
function readBounded(root: Element): ReturnType<typeof SYNC.shape.read> {
  try {
    return readValues(SYNC, root);
  } catch (error) {
    if (error instanceof SchemaError && error.code === "many" && error.tag === "AirSync:Collection")
      throw new SyncLimit(15, COLLECTIONS_MAX);
    throw error;
  }
}

/** None, and more than there may be, is as much as there may be: MS-ASCMD §2.2.3.199. */
function windowOf(asked: number | null): number {
  if (asked === null) return WINDOW_DEFAULT;
  return asked === 0 || asked > WINDOW_MAX ? WINDOW_MAX : asked;
}

const MINUTE_SECONDS = 60;

function waitOf(minutes: number | null, seconds: number | null, { secondsMin, secondsMax }: WaitLimits) {
  if (minutes === null && seconds === null) return undefined;
  const [unit, asked] = minutes === null ? [1, seconds!] : [MINUTE_SECONDS, minutes];
  const [least, most] = [Math.ceil(secondsMin / unit), Math.floor(secondsMax / unit)];
  if (asked < least) throw new SyncLimit(14, least);
  if (asked > most) throw new SyncLimit(14, most);
  return asked * unit;
}

/** A request whose folders stand for the whole of the last one, or that says nothing at all: MS-ASCMD §2.2.3.129. Undefined
 * where nothing is remembered. */
export function completed(
  given: SyncRequest | undefined,
  last: SyncRequest | undefined,
  keys: ReadonlyMap<string, string>,
): SyncRequest | undefined {
  // One that names no folder, and does not say that those before are meant, asks for nothing.
  if (given && !given.isPartial) return given.collections.length > 0 ? given : undefined;
  if (!last || (given && given.collections.length === 0 && given.waitSeconds === undefined)) return undefined;
  const named = new Set(given?.collections.map(({ id }) => id) ?? []);
  const remembered = last.collections
    .filter(({ id }) => !named.has(id))
    .map((one) => ({ ...one, key: keys.get(one.id) ?? one.key, commands: [], options: undefined }));
  return {
    collections: [...(given?.collections ?? []), ...remembered],
    waitSeconds: given ? given.waitSeconds : last.waitSeconds,
    windowSize: given ? given.windowSize : last.windowSize,
    isPartial: false,
  };
}
