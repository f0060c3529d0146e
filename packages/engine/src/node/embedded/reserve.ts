import { randomFillSync } from "node:crypto";
import { closeSync, ftruncateSync, openSync, rmSync, statfsSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";

/**
 * A file that holds room which essential writes get when the disk is full: to delete rows a write-ahead log must grow
 * first. All processes on a store share it. Whoever needs the room deletes it, and whoever is idle makes it again, piece
 * by piece, once that leaves enough room for the rest.
 *
 * Its bytes are random, since a file system may store zeros in no room at all.
 */
const STEP_BYTES: number = 1024 * 1024;

export interface ReserveOptions {
  readonly folder: string;
  /** Size of the file; 0 for none. */
  readonly bytes: number;
  /** Octets that must stay free on the disk beside it. */
  readonly freeBytesMin: number;
}

export function reservePath(folder: string): string {
  return join(folder, "reserve");
}

/** Room that is left on the disk. */
export function freeBytes(folder: string): number {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize;
}

/** Gives its room back to the disk. */
export function giveUpReserve(folder: string): void {
  rmSync(reservePath(folder), { force: true });
}

/** Makes a piece of what is missing of it. Returns whether more is to be made, and can be. */
export function growReserve({ folder, bytes, freeBytesMin }: ReserveOptions): boolean {
  const path = reservePath(folder);
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (size === bytes) return false;
  if (size < bytes && freeBytes(folder) - (bytes - size) < freeBytesMin) return false;
  // Opened anew each time: a process that gives the file up meanwhile gets all of its room.
  const handle = openSync(path, "a", 0o600);
  try {
    if (size > bytes) ftruncateSync(handle, bytes);
    else writeSync(handle, randomFillSync(Buffer.allocUnsafe(Math.min(STEP_BYTES, bytes - size))));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
    return false;
  } finally {
    closeSync(handle);
  }
  return size < bytes;
}
