import { EXIT } from "./exit.ts";

/** Awaits an orderly end. A process that takes longer than this is ended; until then it lives, though what is waited for may be
 * nothing that keeps it. */
export async function endInTime(end: () => Promise<void>, withinMs: number): Promise<void> {
  const late = setTimeout(() => process.exit(EXIT.failed), withinMs);
  try {
    await end();
  } finally {
    // From here on the timer alone keeps no process alive.
    late.unref();
  }
}
