import {
  asModSeq,
  asUid,
  type DevicePlace,
  type DeviceStates,
  MembershipSet,
  type ModSeq,
  type Uid,
} from "@restante/engine";
import { decode, encode } from "cborg";
import type { BodyPreference, SyncOptions } from "./options.ts";

/** One folder as a phone holds it after the answer that told a key: MS-ASCMD §3.1.5.3. A state never changes; each answer
 * that tells something makes a new one. docs/formats/device.md has its bytes. */
export interface CollectionState {
  /** The key from which it came; "" at the start. */
  readonly previous: string;
  /** Which history of the account it is of. */
  readonly epoch: number;
  readonly held: MembershipSet;
  /** All that became of what is held was told up to this modseq; of what bears that one itself, up to this uid. */
  readonly modSeq: ModSeq;
  readonly uid: Uid;
  /** Nothing was left to be told. */
  readonly isComplete: boolean;
  readonly options: SyncOptions;
  /** Results of commands that brought drafts, in the request that this state answers. */
  readonly results: readonly ClientResult[];
}

/** The result of an Add, or of a Change that sent a draft: a repeat of the command is answered the same. */
export interface ClientResult {
  readonly clientId: string;
  readonly status: number;
  /** "" where it made nothing. */
  readonly itemId: string;
}

const FORMAT = 1;
/** Octets that nobody guesses, as text. */
const KEY_BYTES = 10;

/** The key that begins, in a Sync and a FolderSync. */
export const START = "0";

export function newKey(random: (bytes: number) => Uint8Array): string {
  return Array.from(random(KEY_BYTES), (octet) => octet.toString(36).padStart(2, "0")).join("");
}

/** Undefined where there is none, or none that this program can read. Errors: `unavailable`. */
export async function readState(
  devices: DeviceStates,
  place: DevicePlace,
  key: string,
): Promise<CollectionState | undefined> {
  const bytes = await devices.read(place, key);
  return bytes && decodeState(bytes);
}

export function encodeState(state: CollectionState): Uint8Array {
  const { previous, epoch, held, modSeq, uid, isComplete, options, results } = state;
  return encode([
    FORMAT,
    previous,
    epoch,
    [held.size, held.encode()],
    [modSeq, uid, isComplete],
    [
      options.filter,
      options.byConversation,
      options.isServerRight,
      options.bodies.map(encodePreference),
      options.bodyPart ? encodePreference(options.bodyPart) : null,
      options.mimeSupport,
      options.mimeBytesMax ?? null,
    ],
    results.map(({ clientId, status, itemId }) => [clientId, status, itemId]),
  ]);
}

function encodePreference({ type, bytesMax, allOrNone, preview }: BodyPreference): unknown[] {
  return [type, bytesMax ?? null, allOrNone, preview];
}

/** Reads a state. The bytes were sealed by us, so other bytes than ours are another program's: undefined. */
function decodeState(bytes: Uint8Array): CollectionState | undefined {
  const value: unknown = decode(bytes);
  if (!Array.isArray(value) || value[0] !== FORMAT) return undefined;
  const [, previous, epoch, [size, runs], [modSeq, uid, isComplete], options, results] = value as [
    ...[number, string, number, [number, Uint8Array], [number, number, boolean]],
    [number, boolean, boolean, EncodedPreference[], EncodedPreference | null, 0 | 1 | 2, number | null],
    [string, number, string][],
  ];
  const [filter, byConversation, isServerRight, bodies, bodyPart, mimeSupport, mimeBytesMax] = options;
  return {
    previous,
    epoch,
    held: MembershipSet.decode(runs, size),
    modSeq: asModSeq(modSeq),
    uid: asUid(uid),
    isComplete,
    options: {
      filter,
      byConversation,
      isServerRight,
      bodies: bodies.map(decodePreference),
      bodyPart: bodyPart ? decodePreference(bodyPart) : undefined,
      mimeSupport,
      mimeBytesMax: mimeBytesMax ?? undefined,
    },
    results: results.map(([clientId, status, itemId]) => ({ clientId, status, itemId })),
  };
}

type EncodedPreference = [BodyPreference["type"], number | null, boolean, number];

function decodePreference([type, bytesMax, allOrNone, preview]: EncodedPreference): BodyPreference {
  return { type, bytesMax: bytesMax ?? undefined, allOrNone, preview };
}
