import { encode } from "cborg";
import { folderOf } from "../storage/object-kinds.ts";
import { type KeptHashes, NO_HASHES } from "./entry-hashes.ts";
import { Fields } from "./fields.ts";
import type { Sealer } from "./machine.ts";
import type { Position } from "./position.ts";
import type { WriterId } from "./writer.ts";

/**
 * A checkpoint's manifest: `checkpoint/<2^53 - n>`, so that the first name of a list is the newest. It is put after all
 * pages that it names and never changed (docs/formats/checkpoint.md).
 */
const MANIFEST_FORMAT = 2;
/** Manifests of the first releases, without hashes of entries. */
const FIRST_FORMAT = 1;
export const MANIFESTS: string = folderOf("checkpoint");

export interface Manifest {
  /** The last entry that it covers, and that entry's hash. */
  readonly covers: Position;
  readonly hash: Uint8Array;
  /** Each writer's last sequence. */
  readonly writers: readonly (readonly [WriterId, number])[];
  /** Of entries up to `covers`. */
  readonly hashes: KeptHashes;
  /** The snapshot's part of the manifest. */
  readonly body: Uint8Array;
}

/** The number in the name of the checkpoint that ends a log (`log-end.ts`): more than any other. */
export const END_NUMBER = (2 ** 53) as Position;

export function manifestName(covers: Position): string {
  return `${MANIFESTS}${(2 ** 53 - covers).toString(16).padStart(14, "0")}`;
}

export function manifestNumber(name: string): Position {
  return (2 ** 53 - Number.parseInt(name.slice(-14), 16)) as Position;
}

export function sealManifest(sealer: Sealer, { covers, hash, writers, hashes, body }: Manifest): Uint8Array {
  const list = writers.map(([writer, sequence]) => [writer, sequence]);
  return sealer.seal(
    "manifest",
    String(covers),
    encode([MANIFEST_FORMAT, covers, hash, list, encodeHashes(hashes), body]),
  );
}

/** Throws EngineError or RangeError for anything but a manifest that covers `covers`. */
export function openManifest(sealer: Sealer, covers: Position, bytes: Uint8Array): Manifest {
  const fields = Fields.decode(sealer.open("manifest", String(covers), bytes));
  const format = fields.integer();
  if ((format !== MANIFEST_FORMAT && format !== FIRST_FORMAT) || fields.integer() !== covers)
    throw new RangeError("checkpoint of an unknown form");
  const manifest = {
    covers,
    hash: fields.bytes(32),
    writers: fields.list((item) => [item.text() as WriterId, item.integer()] as const),
    hashes: format === FIRST_FORMAT ? NO_HASHES : readHashes(fields.nested()),
    body: fields.bytes(),
  };
  fields.end();
  return manifest;
}

function encodeHashes({ firstPage, pages, sparse }: KeptHashes): unknown[] {
  return [firstPage, pages, sparse];
}

function readHashes(fields: Fields): KeptHashes {
  const hashes = { firstPage: fields.integer(), pages: fields.texts(), sparse: fields.bytes() };
  fields.end();
  return hashes;
}
