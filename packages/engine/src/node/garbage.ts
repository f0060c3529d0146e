import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/**
 * Messages pass through buffers that lie outside the collector's heap and die young. Left alone it looks for dead ones
 * after some 32 MB of them, and marks all of its heap for that: the more accounts are open, the longer it takes. Here it
 * is told to look among the young things alone, and sooner (docs/decisions/0004-garbage.md).
 */
const BYTES_A_LOOK: number = 8 * 1024 * 1024;

let bytesMade = 0;
let lookAmongYoung: (() => void) | undefined;

/** A buffer of so many bytes was made that will not be needed for long. */
export function countGarbage(bytes: number): void {
  bytesMade += bytes;
  if (bytesMade < BYTES_A_LOOK) return;
  bytesMade = 0;
  lookAmongYoung ??= collector();
  lookAmongYoung();
}

function collector(): () => void {
  // A context that is made meanwhile has the collector by name; the process's own never does.
  setFlagsFromString("--expose-gc");
  const gc = runInNewContext("gc") as (options: { readonly type: "minor" }) => void;
  setFlagsFromString("--no-expose-gc");
  return () => gc({ type: "minor" });
}
