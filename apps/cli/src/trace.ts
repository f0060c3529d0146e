import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createReadStream } from "node:fs";
import { rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Config, makeFolder } from "@restante/host";
import { getUser, openContext, placesOf } from "./context.ts";
import { EXIT, Exit } from "./exit.ts";
import { REQUEST_ENDING, type TraceRequest } from "./traces.ts";

const MINUTES_MAX = 60;
const MINUTES = 5;
/** How often what was told is looked for. */
const LOOK_MS = 200;

/** `restante trace ADDRESS [--minutes N]`: shows what programs and server say to each other; ends at its time, or when it is told to. */
export async function trace(
  config: Config,
  [address]: readonly [string],
  flags: { readonly minutes: string | undefined },
): Promise<number> {
  const minutes = Number(flags.minutes ?? MINUTES);
  if (!(minutes > 0 && minutes <= MINUTES_MAX))
    throw new Exit(EXIT.usage, `--minutes is a number above 0, and at most ${MINUTES_MAX}`);
  const folder = placesOf(config).traces;
  const user = await userOf(config, address);
  await makeFolder(folder);
  const name = join(folder, randomBytes(8).toString("hex"));
  const untilMs = Date.now() + minutes * 60_000;
  const request: TraceRequest = { address: user, untilMs };
  await writeFile(`${name}.new`, JSON.stringify(request), { mode: 0o600 });
  await rename(`${name}.new`, name + REQUEST_ENDING);
  process.stderr.write(
    `restante: following ${user} for ${minutes} minutes, from the next command on; Ctrl-C ends it\n`,
  );
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stop.abort());
  try {
    let shown = 0;
    while (Date.now() < untilMs && !stop.signal.aborted) {
      shown += await show(`${name}.log`, shown);
      const waitMs = Math.min(LOOK_MS, Math.max(0, untilMs - Date.now()));
      // A sleep fails by being ended alone, which the loop asks.
      await sleep(waitMs, undefined, { signal: stop.signal }).catch(() => undefined);
    }
    // A server writes its lines just after it said what they tell.
    await sleep(LOOK_MS);
    await show(`${name}.log`, shown);
  } finally {
    await rm(name + REQUEST_ENDING, { force: true });
    await rm(`${name}.log`, { force: true });
  }
  return EXIT.well;
}

async function userOf(config: Config, address: string): Promise<string> {
  await using context = await openContext(config);
  return (await getUser(context, address)).address;
}

/** Before the first line there is no file. */
function absentIsNothing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== "ENOENT") throw error;
}

/** Shows what came after the first octets; resolves with how many that were. */
async function show(file: string, from: number): Promise<number> {
  const facts = await stat(file).catch(absentIsNothing);
  if (facts === undefined || facts.size <= from) return 0;
  const stream = createReadStream(file, { start: from, end: facts.size - 1 });
  stream.pipe(process.stdout, { end: false });
  await once(stream, "close");
  return facts.size - from;
}
