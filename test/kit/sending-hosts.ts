import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { createTransport } from "nodemailer";
import { expect } from "vitest";
import { storeEnvironment } from "../stores/store-server.ts";
import { startVersitygw } from "../stores/versitygw.ts";
import { JmapClient, type Json } from "./jmap-client.ts";
import { Random } from "./random.ts";
import { makeDataFolder, type RunningServer, removeDataFolder, restante, startServer } from "./server.ts";
import { openSink, type Sink } from "./sink.ts";

const USERS = ["ada@example.org", "bob@example.org"] as const;
const PASSWORD = "a-long-secret-of-hosts";
const USING = ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:submission"];
/** Clients that submit at once: so many of each host and user. */
const CLIENTS = 2;
/** Of ten submissions, how many come by the submission port, and how many by JMAP are held, and for how many seconds at most. */
const BY_PORT_OF_TEN = 3;
const HELD_OF_TEN = 5;
const HELD_S_MAX = 3;
/** Each one of so many is taken back: from before it is let go of until after it is gone. */
const CANCELED_EACH = 10;
const CANCELED_HELD_S_MAX = 2;
const CANCEL_MS_MAX = 2000;
/** Of a thousand mails the sink tells so many to come later: then either host may be the one that comes. */
const LATER_OF_THOUSAND = 50;
/** Another host sees a submission within this time. */
const SEEN_MS = 20_000;
/** Whatever comes later has come within this time: a retry is due after a minute, and what another host gave up on after one more. */
const GONE_MS = 300_000;
/** So long it is looked whether one goes again. */
const AGAIN_MS = 5_000;

export interface SendingHostsOptions {
  readonly submissions: number;
  readonly seed: number;
}

interface Submitted {
  readonly subject: string;
  /** Of JMAP's. */
  readonly id: string | undefined;
  readonly user: string;
  canceled: "no" | "confirmed" | "refused";
}

/**
 * Two hosts with one server key on one bucket take mail by JMAP and by the submission port and send it. A tenth is taken back in
 * flight, by either host. The sink has exactly those whose cancel was not confirmed, each once, and their owner is told the truth.
 */
export async function sendingHosts({ submissions, seed }: SendingHostsOptions): Promise<void> {
  const random = new Random(seed);
  const folder = await makeDataFolder();
  await using store = await startVersitygw();
  const sink = await openSink(random, LATER_OF_THOUSAND);
  const env = {
    ...storeEnvironment(store),
    RESTANTE_HTTPS_TLS: "off",
    RESTANTE_OUTBOUND_SMARTHOST: `smtp://127.0.0.1:${sink.port}`,
    RESTANTE_OUTBOUND_RECIPIENTS_PER_DAY: "1000000",
    // The hosts share these besides the store.
    RESTANTE_LOGIN_USERS_DIR: join(folder, "users"),
    RESTANTE_LOGIN_PEPPER_FILE: join(folder, "pepper"),
    RESTANTE_SERVER_KEY_FILE: join(folder, "server-key"),
  };
  const hosts = await startBoth(folder, env);
  try {
    const submitted = await submitAll(hosts, submissions, random);
    await judge(hosts, submitted, sink);
    for (const host of hosts) expect(await host.stop()).toBe(0);
    for (const host of hosts) expect(host.logs().match(/^.*"level":"error".*$/gm) ?? []).toEqual([]);
  } finally {
    for (const { process } of hosts) process.kill("SIGKILL");
    sink.close();
  }
  await removeDataFolder(folder);
}

async function startBoth(folder: string, env: Readonly<Record<string, string>>): Promise<RunningServer[]> {
  const names = ["first", "second"].map((name) => join(folder, name));
  for (const data of names) await mkdir(data);
  for (const user of USERS) {
    const made = await restante(names[0]!, ["account", "add", user, "--password-stdin"], `${PASSWORD}\n`, env);
    expect(made.code, made.err).toBe(0);
  }
  const keys: string[] = [];
  for (const data of names) {
    const once = await startServer(data, { env });
    expect(await once.stop()).toBe(0);
    keys.push(/"publicKey":"([^"]+)"/.exec(once.logs())![1]!);
  }
  const trusting = { ...env, RESTANTE_LOGIN_TRUSTED_HOSTS: keys.join(",") };
  return [await startServer(names[0]!, { env: trusting }), await startServer(names[1]!, { env: trusting })];
}

/** By clients of both users at both hosts, each of which submits one mail after the other. */
async function submitAll(hosts: readonly RunningServer[], submissions: number, random: Random): Promise<Submitted[]> {
  const submitted: Submitted[] = [];
  let left = submissions;
  const cancels: Promise<void>[] = [];
  const clients = await Promise.all(
    USERS.flatMap((user) =>
      Array.from({ length: CLIENTS }, async () => {
        const there = [];
        for (const { ports } of hosts) there.push(await JmapClient.connect(ports.https!, user, PASSWORD));
        return { user, there };
      }),
    ),
  );
  await Promise.all(
    clients.flatMap(({ user, there }) =>
      hosts.map(async (host, at) => {
        const program = smtpOf(host, user);
        while (left > 0) {
          const isTakenBack = left-- % CANCELED_EACH === 0;
          const subject = `mail ${random.between(0, 2 ** 31)}-${random.between(0, 2 ** 31)}`;
          const text = "line\r\n".repeat(random.pick([1, 10, 5000]));
          if (!isTakenBack && random.between(1, 10) <= BY_PORT_OF_TEN) {
            await program.sendMail({ from: user, to: "x@sink.example", subject, text });
            submitted.push({ subject, id: undefined, user, canceled: "no" });
            continue;
          }
          const isHeld = isTakenBack || random.between(1, 10) <= HELD_OF_TEN;
          const heldMax = isTakenBack ? CANCELED_HELD_S_MAX : HELD_S_MAX;
          const parameters = isHeld ? { HOLDFOR: String(random.between(0, heldMax)) } : undefined;
          const mail = { to: ["x@sink.example"], subject, text, ...(parameters && { parameters }) };
          const { created } = await there[at]!.send(mail);
          const one: Submitted = { subject, id: created.sent.id, user, canceled: "no" };
          submitted.push(one);
          if (isTakenBack) cancels.push(takeBack(random.pick(there), one, random.between(0, CANCEL_MS_MAX)));
        }
        program.close();
      }),
    ),
  );
  await Promise.all(cancels);
  expect(submitted.length).toBe(submissions);
  return submitted;
}

function smtpOf({ ports }: RunningServer, user: string): ReturnType<typeof createTransport> {
  const port = ports.submissions!;
  const tls = { rejectUnauthorized: false };
  const options = { host: "127.0.0.1", port, secure: true, tls, auth: { user, pass: PASSWORD } };
  return createTransport({ ...options, pool: true, maxConnections: 1, maxMessages: Number.POSITIVE_INFINITY });
}

/** While it may be under way; by a host that may not know of it yet. */
async function takeBack(client: JmapClient, one: Submitted, afterMs: number): Promise<void> {
  await delay(afterMs);
  const update = { [one.id!]: { undoStatus: "canceled" } };
  for (const begun = performance.now(); ; await delay(50)) {
    const { methodResponses } = await client.request([["EmailSubmission/set", { update }, "0"]], USING);
    const [name, answer] = methodResponses[0];
    expect(name).toBe("EmailSubmission/set");
    if (answer.updated && Object.hasOwn(answer.updated, one.id!)) {
      one.canceled = "confirmed";
      return;
    }
    const { type } = answer.notUpdated[one.id!];
    if (type === "cannotUnsend") {
      one.canceled = "refused";
      return;
    }
    // A host that does not know it yet.
    expect([type, performance.now() - begun < SEEN_MS]).toEqual(["notFound", true]);
  }
}

async function judge(hosts: readonly RunningServer[], submitted: readonly Submitted[], sink: Sink): Promise<void> {
  const isCanceled = (one: Submitted): boolean => one.canceled === "confirmed";
  const wanted = submitted.filter((one) => !isCanceled(one)).map(({ subject }) => subject);
  const missing = (): string[] => wanted.filter((subject) => !sink.taken.has(subject));
  await expect.poll(missing, { timeout: GONE_MS, interval: 500 }).toEqual([]);
  for (const { ports } of hosts) {
    const clients = new Map<string, JmapClient>();
    for (const user of USERS) clients.set(user, await JmapClient.connect(ports.https!, user, PASSWORD));
    for (const one of submitted) {
      if (one.id === undefined) continue;
      const told = async (): Promise<string> => toldOf(await clients.get(one.user)!.submission(one.id!));
      await expect.poll(told, { timeout: 120_000, interval: 500 }).toBe(isCanceled(one) ? "canceled" : "final 250");
    }
  }
  await delay(AGAIN_MS);
  const [subjects, times] = [[...sink.taken.keys()], [...sink.taken.values()]];
  expect(subjects.toSorted()).toEqual(wanted.toSorted());
  expect(times.filter((one) => one.length !== 1)).toEqual([]);
  const count = (state: Submitted["canceled"]): number => submitted.filter(({ canceled }) => canceled === state).length;
  const sent = hosts.map((host) => host.logs().match(/"event":"sent"/g)?.length ?? 0);
  console.log(
    `${submitted.length} submitted, ${count("confirmed")} taken back, ${count("refused")} too late; ` +
      `${sink.taken.size} at the sink, sent by ${sent.join(" and ")}, told to come later ${sink.deferred}`,
  );
  expect(count("confirmed")).toBeGreaterThan(0);
  expect(count("refused")).toBeGreaterThan(0);
  expect(sink.deferred).toBeGreaterThan(0);
  for (const one of sent) expect(one).toBeGreaterThan(0);
}

function toldOf({ undoStatus, deliveryStatus }: Json): string {
  const [status] = Object.values(deliveryStatus) as { readonly smtpReply: string }[];
  return undoStatus === "final" ? `final ${status!.smtpReply.slice(0, 3)}` : undoStatus;
}
