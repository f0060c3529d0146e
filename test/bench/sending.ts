import { execFile } from "node:child_process";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { createTransport, type Transporter } from "nodemailer";
import { JmapClient } from "../kit/jmap-client.ts";
import { Random } from "../kit/random.ts";
import { DEMO, makeDataFolder, type RunningServer, removeDataFolder, startServer } from "../kit/server.ts";
import { openSink, type Sink } from "../kit/sink.ts";
import { benchDeliveries, cpuMsOf } from "./deliveries.ts";
import { benchWaking } from "./waking.ts";

/** Mails that JMAP submits one after the other, and mails that come by the submission port at once. */
const ONE_BY_ONE = 200;
const AT_ONCE = 2_000;
const CONNECTIONS = 8;
const HELD = 10_000;
const WARM_UP = 50;
const BODY = "a line of text, as long as lines of text are wont to be\r\n".repeat(140);
const GONE_MS = 60_000;
const SENDING = ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:submission"];

/** Sending by one process, over an embedded store, to a smarthost that takes all at once. */
export async function benchSending(): Promise<string> {
  const data = await makeDataFolder();
  const sink = await openSink(new Random(1), 0, 0);
  const env = {
    RESTANTE_HTTPS_TLS: "off",
    RESTANTE_OUTBOUND_SMARTHOST: `smtp://127.0.0.1:${sink.port}`,
    RESTANTE_OUTBOUND_RECIPIENTS_PER_DAY: "1000000",
  };
  const server = await startServer(data, { env });
  try {
    const { answered, taken } = await oneByOne(server, sink);
    const before = cpuMsOf(server);
    const rate = await atOnce(server, sink);
    const cpuMs = (cpuMsOf(server) - before) / AT_ONCE;
    const { octets, ofQueue } = await held();
    return table([
      ["EmailSubmission/set, until its answer, ms", spread(answered), "3"],
      ["from its answer until the smarthost's 250, ms", spread(taken), "20"],
      [`${AT_ONCE} mails of 8 KB by ${CONNECTIONS} connections, until the last 250, a second`, rate.toFixed(0), "200"],
      ["the same: processor time of the server a mail, ms", cpuMs.toFixed(2), ""],
      [`${HELD.toLocaleString("en")} held mails: octets of the sender`, octets.toLocaleString("en"), "10,000,000"],
      ["the same: LISTs of the queue at start, a thousand names each", String(ofQueue), "one after the other"],
      ...(await benchWaking()),
      ...(await benchDeliveries()),
    ]);
  } finally {
    sink.close();
    await server.stop();
    await removeDataFolder(data);
  }
}

/** A sender in a process of its own. */
async function held(): Promise<{ readonly octets: number; readonly ofQueue: number }> {
  const args = ["--expose-gc", join(import.meta.dirname, "held.ts"), String(HELD)];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  return JSON.parse(stdout);
}

async function oneByOne(server: RunningServer, sink: Sink) {
  const client = await JmapClient.connect(server.ports.https!);
  const answered: number[] = [];
  const taken: number[] = [];
  for (let n = 0; n < WARM_UP + ONE_BY_ONE; n++) {
    const subject = `one ${n}`;
    const emailId = await draft(client, subject);
    const begun = performance.now();
    const submitted = await client.request(
      [["EmailSubmission/set", { create: { s: { identityId: "i0", emailId } } }, "0"]],
      SENDING,
    );
    const at = performance.now();
    if (!submitted.methodResponses[0][1].created) throw new Error(JSON.stringify(submitted));
    await until(() => sink.taken.has(subject));
    if (n < WARM_UP) continue;
    answered.push(at - begun);
    taken.push(Math.max(0, sink.taken.get(subject)![0]! - at));
  }
  return { answered, taken };
}

async function draft(client: JmapClient, subject: string): Promise<string> {
  const made = {
    mailboxIds: { [await client.mailbox("drafts")]: true },
    from: [{ email: DEMO.user }],
    to: [{ email: "x@sink.example" }],
    subject,
    textBody: [{ partId: "t", type: "text/plain" }],
    bodyValues: { t: { value: BODY } },
  };
  return (await client.call("Email/set", { create: { made } })).created.made.id;
}

/** Mails a second. */
async function atOnce(server: RunningServer, sink: Sink): Promise<number> {
  const programs: Transporter[] = Array.from({ length: CONNECTIONS }, () =>
    createTransport({
      host: "127.0.0.1",
      port: server.ports.submissions!,
      secure: true,
      pool: true,
      maxConnections: 1,
      maxMessages: Number.POSITIVE_INFINITY,
      auth: { user: DEMO.user, pass: DEMO.password },
      tls: { rejectUnauthorized: false },
    }),
  );
  const before = sink.taken.size;
  const begun = performance.now();
  let left = AT_ONCE;
  await Promise.all(
    programs.map(async (program) => {
      while (left-- > 0)
        await program.sendMail({ from: DEMO.user, to: "x@sink.example", subject: `many ${left}`, text: BODY });
    }),
  );
  await until(() => sink.taken.size - before >= AT_ONCE);
  for (const program of programs) program.close();
  return (AT_ONCE * 1000) / (performance.now() - begun);
}

async function until(isDone: () => boolean): Promise<void> {
  const begun = performance.now();
  while (!isDone()) {
    if (performance.now() - begun > GONE_MS) throw new Error("mail did not come");
    await delay(1);
  }
}

function quantile(values: readonly number[], share: number): string {
  return values.toSorted((a, b) => a - b)[Math.floor(share * (values.length - 1))]!.toFixed(1);
}

/** A busy machine has its part in the median, less in the first tenth. */
function spread(values: readonly number[]): string {
  return `${median(values)} (p10 ${quantile(values, 0.1)}, p95 ${quantile(values, 0.95)})`;
}

function median(values: readonly number[]): string {
  return quantile(values, 0.5);
}

function table(rows: readonly (readonly [what: string, figure: string, aim: string])[]): string {
  const lines = rows.map(([what, figure, aim]) => `| ${what} | ${figure} | ${aim} |`);
  return ["| | measured | aim |", "| --- | --- | --- |", ...lines, ""].join("\n");
}
