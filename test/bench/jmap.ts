import { chmodSync, readFileSync } from "node:fs";
import { temporaryFolder } from "../interop/harness.ts";
import { connectImap } from "../kit/line-client.ts";
import { makeDataFolder, removeDataFolder, startServer } from "../kit/server.ts";
import { type Contender, startContender } from "./contender.ts";
import { JMAP_AIMS } from "./jmap-aims.ts";
import { empty, type LoadOptions, type Report, type Row, runLoad, type Target, targetOf } from "./jmap-program.ts";

/** Rounds of all rows, in which each server has its turn: first, last, last, first, and so on. A row's figures are those of
 * its quickest round, which others on the machine disturbed least. */
const ROUNDS = 5;
/** A name of no row: mail is loaded and looked through, and nothing is timed. */
const NO_ROW = "-";

/** Measurements of the load program, as Markdown, and the rows whose answers were wrong. */
export interface JmapResult {
  readonly table: string;
  readonly rows: number;
  readonly failures: readonly string[];
}

/** Others that speak JMAP, by name. */
export const JMAP_PEERS: Readonly<Record<string, Contender & { readonly options: LoadOptions }>> = {
  cyrus: {
    script: "cyrus.sh",
    flags: ["--http"],
    notes: "",
    // It looks for news once a minute. What it answers wrongly has its figure, and is marked.
    options: { lenient: "1", skip: "push" },
  },
};

/**
 * A fresh Restante, whose one account is filled and asked by JMAP over plain HTTP/1.1, and peers with the same mail, in
 * turn. `options` are the load program's.
 */
export async function benchJmap(options: LoadOptions, peers: readonly string[]): Promise<JmapResult> {
  const folder = await temporaryFolder("bench-jmap");
  // A peer's own user must come through.
  chmodSync(folder, 0o755);
  await using ends = new AsyncDisposableStack();
  const targets = new Map([["restante", await startOurs(ends)]]);
  for (const name of peers) targets.set(name, await startPeer(name, folder, ends));
  const loads = new Map<string, Report>();
  for (const [name, target] of targets)
    loads.set(name, await runLoad({ name, folder, target }, { ...options, rows: NO_ROW }));
  const reports = new Map<string, Report[]>([...targets.keys()].map((name) => [name, []]));
  for (let round = 0; round < ROUNDS; round++)
    for (const [name, target] of round % 2 === 0 ? [...targets] : [...targets].reverse())
      reports.get(name)!.push(await runLoad({ name, folder, target }, { ...options, load: "none" }));
  const ours = reports.get("restante")!;
  const failures = [
    ...loads.get("restante")!.checks,
    ...ours.flatMap(({ checks, rows }) => [
      ...checks,
      ...rows.flatMap(({ key, error }) => (error === undefined ? [] : [`${key}: ${error}`])),
    ]),
  ];
  const told = [...loads].map(([name, load]) => tellLoad(name, load, targets.get(name)!));
  return { table: [...told, "", ...tableOf(reports)].join("\n"), rows: ours[0]!.rows.length * ROUNDS, failures };
}

async function startOurs(ends: AsyncDisposableStack): Promise<Target> {
  const data = await makeDataFolder();
  ends.defer(() => removeDataFolder(data));
  const server = await startServer(data, { env: { RESTANTE_HTTPS_TLS: "off" } });
  ends.defer(async () => void (await server.stop()));
  await empty(server.ports.https!);
  return targetOf(server.ports.https!, server.process.pid!);
}

async function startPeer(name: string, folder: string, ends: AsyncDisposableStack): Promise<Target> {
  const peer = JMAP_PEERS[name]!;
  const { endpointFile } = await startContender({ name, contender: peer }, { folder, users: 1 }, ends);
  const { imap, pass, pidFile } = JSON.parse(readFileSync(endpointFile, "utf8"));
  // It makes an account's mailboxes when that signs in by IMAP.
  (await connectImap(imap, "user1", pass)).end();
  const pid = Number(readFileSync(pidFile, "utf8"));
  return {
    url: `http://127.0.0.1:${imap + 2}`,
    user: "user1",
    pass,
    pid,
    options: { ...peer.options, load: "imap", imap: `127.0.0.1:${imap}` },
  };
}

function tellLoad(name: string, { load, checks, meanBytes, rssMB }: Report, { options }: Target): string {
  const wrong = checks.length === 0 ? "" : `; ${checks.length} answers were not what was sent, as ${checks[0]}`;
  // Of a server that has many processes, the first one's is none.
  const memory = name === "restante" ? `; resident ${rssMB.start} MB before, ${rssMB.loaded} MB after` : "";
  const skipped = options.skip === undefined ? "" : `; not asked for: ${options.skip}`;
  return `- ${name}: mails of ${meanBytes} bytes in one Inbox; load by ${load!.how === "imap" ? "APPEND of 50" : "upload and Email/import"}: ${load!.msPerMail} ms a mail, server's processor time ${load!.serverCpuMsPerMail} ms${memory}${skipped}${wrong}`;
}

function tableOf(reports: ReadonlyMap<string, readonly Report[]>): string[] {
  const [ours, ...peers] = [...reports.keys()] as [string, ...string[]];
  const columns = [
    ...["Operation", `${ours} p50`, "p95", "first", "CPU", "bytes", "aim"],
    ...peers.flatMap((name) => [`${name} p50`, "p95", "CPU", `${name} : ${ours}`]),
    "Stalwart, elsewhere",
  ];
  const lines = [`| ${columns.join(" | ")} |`, `|${" --- |".repeat(columns.length)}`];
  for (const { key, label } of reports.get(ours)![0]!.rows) {
    const of = (name: string): readonly Row[] =>
      reports.get(name)!.flatMap(({ rows }) => rows.filter((row) => row.key === key));
    const wrong = (name: string): string => (of(name).some((row) => row.error !== undefined) ? " (wrong)" : "");
    const quickest = (name: string): Row | undefined =>
      of(name)
        .filter(({ p50 }) => p50 !== undefined)
        .toSorted((one, other) => one.p50! - other.p50!)[0];
    const { aim, stalwart } = JMAP_AIMS[key] ?? {};
    const own = quickest(ours);
    const cells = [
      ...[label, `${tell(own?.p50)}${wrong(ours)}`, tell(own?.p95), tell(of(ours)[0]?.firstMs)],
      ...[tell(own?.serverCpuMs), String(own?.bytes ?? ""), String(aim ?? "")],
      ...peers.flatMap((name) => {
        const its = quickest(name);
        const times = its && own ? its.p50! / own.p50! : undefined;
        const ratio = times === undefined ? "" : `${times.toFixed(times < 1 ? 2 : 1)}×`;
        return [`${tell(its?.p50)}${wrong(name)}`, tell(its?.p95), tell(its?.serverCpuMs), ratio];
      }),
      stalwart ?? "",
    ];
    lines.push(`| ${cells.join(" | ")} |`);
  }
  return lines;
}

function tell(ms: number | null | undefined): string {
  return ms === undefined || ms === null ? "" : ms.toFixed(2);
}
