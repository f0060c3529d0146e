import { setTimeout as delay } from "node:timers/promises";
import { expect } from "vitest";
import { JmapClient, type Json } from "./jmap-client.ts";
import { Random } from "./random.ts";
import { makeDataFolder, type RunningServer, removeDataFolder, startServer } from "./server.ts";
import { openSink } from "./sink.ts";

/** How long a round's load runs before the kill; how many clients it has; how many of ten mails are held, and taken back. */
const LOAD_MS = [200, 1200] as const;
const CLIENTS = 4;
const HELD_OF_TEN = 4;
/** Ahead of which clock no claim of a killed process counts any more. */
const LEASE_OVER_MS: number = 30 * 60_000;
/** Within how many milliseconds of the sink's 250 a kill may make a mail go twice. */
const UNRECORDED_MS = 10_000;

export interface SendingOptions {
  readonly rounds: number;
  readonly seed: number;
}

/** Submissions that were answered: subjects by their ids. */
interface Answered {
  readonly accepted: Map<string, string>;
  readonly canceled: Set<string>;
  /** Ids whose cancelling a kill kept the answer of: they may have been taken back. */
  readonly doubtful: Set<string>;
}

async function load(server: RunningServer, random: Random, answered: Answered, isOver: () => boolean): Promise<void> {
  const client = await JmapClient.connect(server.ports.https!);
  while (!isOver()) {
    const isHeld = random.between(1, 10) <= HELD_OF_TEN;
    const subject = `mail ${random.between(0, 2 ** 31)}-${random.between(0, 2 ** 31)}`;
    // Of each size that is stored otherwise.
    const text = "line\r\n".repeat(random.pick([1, 10, 5000]));
    const parameters = isHeld ? { HOLDFOR: String(random.between(0, 2)) } : undefined;
    const { created } = await client.send({ to: ["x@sink.example"], subject, text, ...(parameters && { parameters }) });
    answered.accepted.set(created.sent.id, subject);
    if (!isHeld || random.between(0, 1) === 0) continue;
    await delay(random.between(0, 500));
    const using = ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:submission"];
    const update = { [created.sent.id]: { undoStatus: "canceled" } };
    answered.doubtful.add(created.sent.id);
    const { methodResponses } = await client.request([["EmailSubmission/set", { update }, "0"]], using);
    answered.doubtful.delete(created.sent.id);
    if (methodResponses[0][1].updated) answered.canceled.add(created.sent.id);
  }
}

/** Kills the real `restante serve` again and again while mail is submitted, taken back and sent. What was accepted reaches the
 * sink once, or twice where the kill fell between the sink's 250 and our record of it; what was taken back never does; and its
 * owner is told the truth. */
export async function sendingRounds({ rounds, seed }: SendingOptions): Promise<void> {
  const random = new Random(seed);
  const data = await makeDataFolder();
  const sink = await openSink(random);
  const env = {
    RESTANTE_HTTPS_TLS: "off",
    RESTANTE_OUTBOUND_SMARTHOST: `smtp://127.0.0.1:${sink.port}`,
    RESTANTE_OUTBOUND_RECIPIENTS_PER_DAY: "1000000",
  };
  const answered: Answered = { accepted: new Map(), canceled: new Set(), doubtful: new Set() };
  const killedAt: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const server = await startServer(data, { env });
    let isOver = false;
    const one = (): Promise<void> =>
      load(server, random, answered, () => isOver).catch((error: unknown) => {
        // The kill ends requests in their middle; nothing else may.
        if (!isOver) throw error;
      });
    const before = answered.accepted.size;
    const loads = Promise.all(Array.from({ length: CLIENTS }, one));
    // However busy the machine is, every other kill falls when mail was accepted.
    const isAwaited = (): boolean => round % 2 === 0 && answered.accepted.size === before;
    while (isAwaited()) await Promise.race([loads, delay(5)]);
    await Promise.race([loads, delay(random.between(...LOAD_MS))]);
    isOver = true;
    await server.kill();
    killedAt.push(performance.now());
    await loads;
  }
  const last = await startServer(data, { env, clockShiftMs: LEASE_OVER_MS });
  const client = await JmapClient.connect(last.ports.https!);
  const { accepted, canceled, doubtful } = answered;
  const toldOf = async (id: string): Promise<string> => {
    const one: Json = await client.submission(id);
    const [status] = Object.values(one.deliveryStatus) as { readonly smtpReply: string }[];
    return `${one.undoStatus} ${one.undoStatus === "final" ? status!.smtpReply.slice(0, 3) : ""}`.trim();
  };
  for (const id of doubtful) {
    await expect.poll(() => toldOf(id), { timeout: 180_000, interval: 500 }).not.toBe("pending");
    if ((await toldOf(id)) === "canceled") canceled.add(id);
  }
  const gone = [...accepted].filter(([id]) => !canceled.has(id));
  await expect
    .poll(() => gone.filter(([, subject]) => !sink.taken.has(subject)), { timeout: 180_000, interval: 500 })
    .toEqual([]);
  let twice = 0;
  for (const [subject, times] of sink.taken) {
    expect([subject, times.length <= 2]).toEqual([subject, true]);
    if (times.length < 2) continue;
    twice++;
    expect(killedAt.some((at) => at >= times[0]! && at - times[0]! < UNRECORDED_MS)).toBe(true);
  }
  expect([...canceled].filter((id) => sink.taken.has(accepted.get(id)!))).toEqual([]);
  for (const [id] of accepted)
    await expect
      .poll(() => toldOf(id), { timeout: 60_000, interval: 500 })
      .toBe(canceled.has(id) ? "canceled" : "final 250");
  expect(accepted.size).toBeGreaterThanOrEqual(rounds / 2);
  console.log(`${rounds} kills, ${accepted.size} accepted, ${canceled.size} taken back, ${twice} sent twice`);
  expect(await last.stop()).toBe(0);
  sink.close();
  await removeDataFolder(data);
}
