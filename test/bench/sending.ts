import { execFile } from "node:child_process";
import { chmodSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { createTransport, type Transporter } from "nodemailer";
import { temporaryFolder } from "../interop/harness.ts";
import { JmapClient } from "../kit/jmap-client.ts";
import { connectImap } from "../kit/line-client.ts";
import { Random } from "../kit/random.ts";
import { DEMO, makeDataFolder, type RunningServer, removeDataFolder, startServer } from "../kit/server.ts";
import { openSink, type Sink } from "../kit/sink.ts";
import { type Contender, startContender } from "./contender.ts";
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
const USING = ["core", "mail", "submission"].map((name) => `urn:ietf:params:jmap:${name}`);

/** Others that submit mail by JMAP, by name. */
export const SENDING_PEERS: Readonly<Record<string, Contender>> = {
  cyrus: { script: "cyrus.sh", flags: ["--http"], notes: "" },
};

/** A server that submits to the smarthost. */
interface Sender {
  readonly client: JmapClient;
  readonly identityId: string;
  readonly drafts: string;
  readonly from: string;
  readonly notes: string;
}

interface Times {
  /** Milliseconds from the request until its answer, and until the smarthost's 250. */
  readonly answered: number[];
  readonly taken: number[];
}

/** Sending by one process, over an embedded store, to a smarthost that takes all at once; and by peers, mail by mail in turn. */
export async function benchSending(peers: readonly string[]): Promise<string> {
  await using ends = new AsyncDisposableStack();
  const sink = await openSink(new Random(1), 0, 0);
  ends.defer(() => sink.close());
  const data = await makeDataFolder();
  ends.defer(() => removeDataFolder(data));
  const env = {
    RESTANTE_HTTPS_TLS: "off",
    RESTANTE_OUTBOUND_SMARTHOST: `smtp://127.0.0.1:${sink.port}`,
    RESTANTE_OUTBOUND_RECIPIENTS_PER_DAY: "1000000",
  };
  const server = await startServer(data, { env });
  ends.defer(async () => void (await server.stop()));
  const notes =
    "an answer once the record is in the log and the mail in the queue, both synced; the sender takes it from there";
  const ours = await JmapClient.connect(server.ports.https!);
  const senders = new Map<string, Sender>([["restante", { ...(await senderOf(ours)), from: DEMO.user, notes }]]);
  for (const name of peers) senders.set(name, await startPeer(name, sink.port, ends));
  const times = await oneByOne(senders, sink);
  const before = cpuMsOf(server);
  const rate = await atOnce(server, sink);
  const cpuMs = (cpuMsOf(server) - before) / AT_ONCE;
  const { octets, ofQueue } = await held();
  const of = (what: keyof Times): readonly string[] => [...times.values()].map((of) => spread(of[what]));
  const nothing = peers.map(() => "");
  const after = times.get("restante")!.taken.map((ms, at) => Math.max(0, ms - times.get("restante")!.answered[at]!));
  return [
    ...[...senders].map(([name, { notes: told }]) => `- ${name}: ${told}`),
    "",
    table(
      [...senders.keys()],
      [
        ["EmailSubmission/set, until its answer, ms", of("answered"), "3"],
        ["the same, until the smarthost's 250, ms", of("taken"), ""],
        ["from its answer until the smarthost's 250, ms", [spread(after), ...nothing], "20"],
        [
          `${AT_ONCE} mails of 8 KB by ${CONNECTIONS} connections, until the last 250, a second`,
          [rate.toFixed(0), ...nothing],
          "200",
        ],
        ["the same: processor time of the server a mail, ms", [cpuMs.toFixed(2), ...nothing], ""],
        [
          `${HELD.toLocaleString("en")} held mails: octets of the sender`,
          [octets.toLocaleString("en"), ...nothing],
          "10,000,000",
        ],
        [
          "the same: LISTs of the queue at start, a thousand names each",
          [String(ofQueue), ...nothing],
          "one after the other",
        ],
        ...[...(await benchWaking()), ...(await benchDeliveries())].map(
          ([what, figure, aim]) => [what, [figure, ...nothing], aim] as const,
        ),
      ],
    ),
  ].join("\n");
}

async function startPeer(name: string, smarthost: number, ends: AsyncDisposableStack): Promise<Sender> {
  const folder = await temporaryFolder("bench-sending");
  // A peer's own user must come through.
  chmodSync(folder, 0o755);
  const { script, flags, notes } = SENDING_PEERS[name]!;
  const contender = { script, flags: [...flags, "--smarthost", String(smarthost)], notes };
  const { endpointFile } = await startContender({ name, contender }, { folder, users: 1 }, ends);
  const { imap, pass, notes: told } = JSON.parse(readFileSync(endpointFile, "utf8"));
  // It makes an account's mailboxes when that signs in by IMAP.
  (await connectImap(imap, "user1", pass)).end();
  const client = await JmapClient.connect(imap + 2, "user1", pass);
  const how = "an answer once the smarthost has taken it";
  return { ...(await senderOf(client)), from: "user1@bench.example", notes: `${told}${how}` };
}

/** A sender in a process of its own. */
async function held(): Promise<{ readonly octets: number; readonly ofQueue: number }> {
  const args = ["--expose-gc", join(import.meta.dirname, "held.ts"), String(HELD)];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  return JSON.parse(stdout);
}

async function senderOf(client: JmapClient) {
  const [{ id: identityId }] = (await ask(client, "Identity/get", {})).list;
  const { list } = await ask(client, "Mailbox/get", { ids: null });
  return { client, identityId, drafts: list.find(({ role }: { role: string }) => role === "drafts").id };
}

async function ask(client: JmapClient, name: string, args: Readonly<Record<string, unknown>>) {
  const [[answered, result]] = (await client.request([[name, args, "0"]], USING)).methodResponses;
  if (answered !== name) throw new Error(`${name}: ${JSON.stringify(result)}`);
  return result;
}

/** The same mail by each in turn. */
async function oneByOne(senders: ReadonlyMap<string, Sender>, sink: Sink): Promise<ReadonlyMap<string, Times>> {
  const all = new Map<string, Times>([...senders.keys()].map((name) => [name, { answered: [], taken: [] }]));
  for (let n = 0; n < WARM_UP + ONE_BY_ONE; n++)
    for (const [name, sender] of senders) {
      const { client, identityId, from } = sender;
      const subject = `one ${n} by ${name}`;
      const emailId = await draft(sender, subject);
      const create = { s: { identityId, emailId, envelope: envelopeOf(from) } };
      const begun = performance.now();
      const submitted = await ask(client, "EmailSubmission/set", { create });
      const answered = performance.now() - begun;
      if (!submitted.created?.s) throw new Error(JSON.stringify(submitted));
      await until(() => sink.taken.has(subject));
      if (n < WARM_UP) continue;
      all.get(name)!.answered.push(answered);
      all.get(name)!.taken.push(sink.taken.get(subject)![0]! - begun);
    }
  return all;
}

function envelopeOf(from: string) {
  return { mailFrom: { email: from }, rcptTo: [{ email: "x@sink.example" }] };
}

async function draft({ client, from, drafts }: Sender, subject: string): Promise<string> {
  const made = {
    mailboxIds: { [drafts]: true },
    from: [{ email: from }],
    to: [{ email: "x@sink.example" }],
    subject,
    textBody: [{ partId: "t", type: "text/plain" }],
    bodyValues: { t: { value: BODY } },
  };
  return (await ask(client, "Email/set", { create: { made } })).created.made.id;
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

function table(
  names: readonly string[],
  rows: readonly (readonly [what: string, figures: readonly string[], aim: string])[],
): string {
  const lines = rows.map(([what, figures, aim]) => `| ${[what, ...figures, aim].join(" | ")} |`);
  const head = ["", ...names, "aim"];
  return [`| ${head.join(" | ")} |`, `|${" --- |".repeat(head.length)}`, ...lines, ""].join("\n");
}
