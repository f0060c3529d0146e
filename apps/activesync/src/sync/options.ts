import { boolean, type Element, group, integer, many, optional, readValues, type Shape, schema, text } from "wbxml";
import type { FolderClass } from "../folders/tree.ts";
import { CommandError, STATUS } from "../protocol/status.ts";

/** How bodies are wanted: MS-ASAIRS §2.2.2.8. */
export interface BodyPreference {
  readonly type: BodyType;
  /** Octets of UTF-8; undefined: all. */
  readonly bytesMax: number | undefined;
  readonly allOrNone: boolean;
  /** Characters of a preview. */
  readonly preview: number;
}
export type BodyType = 1 | 2 | 3 | 4;
export const PLAIN = 1;
export const HTML = 2;
export const MIME = 4;

/** Form and size in which bodies are wanted. */
export interface BodyOptions {
  readonly bodies: readonly BodyPreference[];
  /** The part that is new against its conversation. */
  readonly bodyPart: BodyPreference | undefined;
  /** 0 never, 1 of signed and encrypted messages, 2 of all. */
  readonly mimeSupport: 0 | 1 | 2;
  /** Octets of MIME, where its preference says none. */
  readonly mimeBytesMax: number | undefined;
  /** Where nothing is said of bodies: the form in which it was written rather than plain text. */
  readonly isNativeDefault?: boolean;
}

/** Options of a folder's Sync. They stay until a request gives others: MS-ASCMD §2.2.3.125.5. */
export interface SyncOptions extends BodyOptions {
  /** 0 all; 1 to 5: a day, three, a week, two, a month. */
  readonly filter: number;
  readonly byConversation: boolean;
  readonly isServerRight: boolean;
}

export const NO_BODY_OPTIONS: BodyOptions = {
  bodies: [],
  bodyPart: undefined,
  mimeSupport: 0,
  mimeBytesMax: undefined,
};
export const DEFAULT_OPTIONS: SyncOptions = {
  ...NO_BODY_OPTIONS,
  filter: 0,
  byConversation: false,
  isServerRight: true,
};

/** Milliseconds back from now, by filter. */
export const FILTER_MS: readonly number[] = [Number.POSITIVE_INFINITY, 1, 3, 7, 14, 31].map(
  (days) => days * 86_400_000,
);
/** The highest filter of the protocol, with those that mail does not have: MS-ASCMD §2.2.3.68.2. */
const FILTER_MAX = 8;
/** MS-ASCMD §2.2.3.101. */
const MIME_TRUNCATION: readonly (number | undefined)[] = [
  0,
  4096,
  5120,
  7168,
  10_240,
  20_480,
  51_200,
  102_400,
  undefined,
];
/** Preferences of one block: one a type, and room for one too many to be told from none. */
const PREFERENCES_MAX = 8;
const BYTES_MAX = 4_294_967_295;

interface PreferenceValues {
  readonly type: number | null;
  readonly bytesMax: number | null;
  readonly allOrNone: boolean | null;
  readonly preview: number | null;
}
export const PREFERENCE_FIELDS: Shape<PreferenceValues> = group({
  type: optional("AirSyncBase:Type", integer(0, 255)),
  bytesMax: optional("AirSyncBase:TruncationSize", integer(0, BYTES_MAX)),
  allOrNone: optional("AirSyncBase:AllOrNone", boolean),
  preview: optional("AirSyncBase:Preview", integer(0, 255)),
});

const OPTIONS = schema(
  "AirSync:Options",
  group({
    filter: optional("AirSync:FilterType", integer(0, 255)),
    class: optional("AirSync:Class", text(64)),
    bodies: many("AirSyncBase:BodyPreference", PREFERENCE_FIELDS, PREFERENCES_MAX),
    bodyPart: many("AirSyncBase:BodyPartPreference", PREFERENCE_FIELDS, PREFERENCES_MAX),
    conflict: optional("AirSync:Conflict", integer(0, 1)),
    mimeSupport: optional("AirSync:MIMESupport", integer(0, 2)),
    mimeTruncation: optional("AirSync:MIMETruncation", integer(0, 8)),
    truncation: optional("AirSync:Truncation", integer(0, 9)),
    rtfTruncation: optional("AirSync:RtfTruncation", integer(0, 9)),
    maxItems: optional("AirSync:MaxItems", integer(0, 1_000_000)),
    rights: optional("RightsManagement:RightsManagementSupport", boolean),
  }),
);

/** Reads one Options block of a folder of mail; `undefined` for one of SMS, which there is none of. Throws SchemaError, and
 * CommandError 4 (what contradicts itself) or 164. */
export function readOptions(options: Element, byConversation: boolean): SyncOptions | undefined {
  const values = readValues(OPTIONS, options);
  const isMail = values.class === null || values.class === "Email";
  if (!isMail && values.class !== "SMS") throw new CommandError(PROTOCOL_ERROR, "a class that the folder has not");
  if (!isMail) return undefined;
  const filter = values.filter ?? 0;
  if (filter > FILTER_MAX || FILTER_MS[filter] === undefined)
    throw new CommandError(PROTOCOL_ERROR, "a filter that mail has not");
  return {
    filter,
    byConversation,
    isServerRight: values.conflict !== 0,
    bodies: readPreferences(values.bodies),
    bodyPart: readBodyPart(values.bodyPart),
    mimeSupport: (values.mimeSupport ?? 0) as 0 | 1 | 2,
    mimeBytesMax: MIME_TRUNCATION[values.mimeTruncation ?? MIME_TRUNCATION.length - 1],
  };
}

/** Filters by class; those of others mean nothing. MS-ASCMD §2.2.3.68.2. */
const FILTERS: Readonly<Partial<Record<FolderClass, readonly number[]>>> = {
  Calendar: [0, 4, 5, 6, 7],
  Tasks: [0, 8],
};

/** Looks at an Options block of a folder that holds no mail: of what it says nothing is kept. Throws SchemaError, and CommandError
 * 4 for a class or a filter that the folder has not. */
export function checkOptions(options: Element, of: FolderClass): void {
  const values = readValues(OPTIONS, options);
  if (values.class !== null && values.class !== of)
    throw new CommandError(PROTOCOL_ERROR, "a class that the folder has not");
  if (FILTERS[of]?.includes(values.filter ?? 0) === false)
    throw new CommandError(PROTOCOL_ERROR, "a filter that its class has not");
}

/** Status 4 of Sync: MS-ASCMD §2.2.3.177.17. */
export const PROTOCOL_ERROR = 4;

/** Throws CommandError 4: one a type. */
export function readPreferences(list: readonly PreferenceValues[]): BodyPreference[] {
  const preferences = list.map(preference);
  if (new Set(preferences.map(({ type }) => type)).size < preferences.length)
    throw new CommandError(PROTOCOL_ERROR, "two preferences of one type");
  return preferences;
}

/** Throws CommandError 164: of HTML alone is there a part. */
export function readBodyPart(list: readonly PreferenceValues[]): BodyPreference | undefined {
  if (list.length > 1) throw new CommandError(PROTOCOL_ERROR, "two preferences for a body's part");
  const [one] = list.map(preference);
  if (one && one.type !== HTML) throw new CommandError(STATUS.bodyPartTypeUnknown);
  return one;
}

function preference({ type, bytesMax, allOrNone, preview }: PreferenceValues): BodyPreference {
  if (type === null || type < PLAIN || type > MIME)
    throw new CommandError(PROTOCOL_ERROR, "a type that bodies have not");
  return {
    type: type as BodyType,
    bytesMax: bytesMax ?? undefined,
    // AllOrNone means nothing without a size.
    allOrNone: bytesMax !== null && (allOrNone ?? false),
    preview: preview ?? 0,
  };
}
