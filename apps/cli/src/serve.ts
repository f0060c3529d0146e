import { connect, type Server } from "node:net";
import { hostname } from "node:os";
import { accountPrefix, Dropbox, EngineError, sweepEnded, VouchedUsers } from "@restante/engine";
import { addressKey } from "@restante/engine/node";
import {
  acmeFile,
  type Config,
  ConfigError,
  dataPath,
  ListenError,
  type Log,
  listen,
  parseListenAddress,
  Tls,
} from "@restante/host";
import { createLmtpServer } from "@restante/lmtp";
import { acmeOf, acmeService, keepCertificate } from "./acme.ts";
import { watchCertificate } from "./certificate-watch.ts";
import {
  type Context,
  makeDeliverer,
  openContext,
  placesOf,
  readServerPublicKey,
  refuseOthersData,
} from "./context.ts";
import { DEMO_ADDRESS, DEMO_PASSWORD, makeDemoAccount, sendDemoMails } from "./demo.ts";
import { endInTime } from "./end-in-time.ts";
import { EXIT, Exit } from "./exit.ts";
import { imapService } from "./imap.ts";
import { openOutbound, openQueue, withOutbound } from "./outbound.ts";
import { openPeople } from "./people.ts";
import { checkDemo, isOnLoopback, RULES } from "./rules.ts";
import { tellRunning } from "./running.ts";
import type { Service } from "./service.ts";
import { Traces } from "./traces.ts";

type ServiceName = "lmtp" | "imap" | "https" | "send" | "submission";
const SERVICES: readonly ServiceName[] = ["lmtp", "imap", "https", "send", "submission"];
/** After SIGTERM the process ends within this, whatever still hangs. */
const STOP_MS = 10_000;
/** A timer's longest time, more or less. */
const KEPT_MS: number = 24 * 60 * 60_000;
/** Milliseconds between two sweeps for uploads of killed processes and for the rest of deleted accounts. */
const SWEEP_MS = 24 * 60 * 60_000;

/** `restante serve`: runs until a signal ends it. */
export async function serve(config: Config, flags: { readonly only: string | undefined }): Promise<number> {
  const wanted = wantedServices(flags.only);
  const use = wanted.every((name) => name === "lmtp") ? "deliver" : "all";
  for (const [, check] of RULES) check(config);
  await refuseOthersData(config);
  const isCounted = config.metrics.listen.length > 0;
  const metrics = isCounted ? new (await import("@restante/host/metrics")).Metrics() : undefined;
  const open = await openContext(config, use, metrics);
  await open.checkStore();
  // A key that only writes can't list.
  if (use === "all") sweepDaily(open);
  const acme = acmeOf(config, open);
  const tls = new Tls({
    ...config.tls,
    minVersion: config.tls.min_version,
    oldSuites: config.tls.old_suites,
    folder: dataPath(config, "tls"),
    renewedFile: acme && acmeFile(dataPath(config, "tls")),
  });
  const hasTls =
    wanted.includes("imap") || wanted.includes("submission") || (wanted.includes("https") && config.https.tls === "on");
  if (hasTls) await tls.reload();
  if (hasTls) watchCertificate(tls, open);
  const services: Service[] = [];
  const outbound = use === "all" ? await openOutbound(open, wanted.includes("send")) : undefined;
  const serverKey = outbound ? outbound.serverPublicKey : await readServerPublicKey(config);
  const people = outbound && (await openPeople(withOutbound(open, outbound)));
  const traces = people ? await Traces.open(placesOf(config).traces, open.platform.now, open.log) : undefined;
  if (people && wanted.includes("imap")) services.push(imapService(people, tls, traces!));
  if (wanted.includes("lmtp")) services.push(lmtpService(open, serverKey));
  // A door that nobody listens at is not loaded.
  if (people && wanted.includes("https") && config.https.listen.length > 0)
    services.push(await (await import("./https.ts")).httpsService(people, tls, traces));
  if (people && wanted.includes("submission") && listensForSubmission(config))
    services.push((await import("./submission.ts")).submissionService(people, tls, traces));
  if (acme && hasTls) services.push(acmeService(acme, config));
  if (outbound?.service) services.push(outbound.service);
  let isServing = false;
  if (metrics) {
    const watched = { context: open, metrics, people, tls: hasTls ? tls : undefined, mayRead: use === "all" };
    services.push((await import("./metrics.ts")).metricsService({ ...watched, isServing: () => isServing }));
  }
  const isDemo = await prepareDemo(open, wanted);
  await tellTwins(open);
  let told: AsyncDisposable | undefined;
  const end = async (): Promise<void> => {
    await told?.[Symbol.asyncDispose]();
    await Promise.all(services.map((service) => service.stop()));
    await traces?.[Symbol.asyncDispose]();
    await people?.accounts.dispose();
    await open[Symbol.asyncDispose]();
  };
  const bound = await bindAll(services, config.server.share_ports, open.log).catch(async (error: unknown) => {
    // Half a server is none.
    await endInTime(end, STOP_MS);
    throw error;
  });
  if (isDemo === "new") await sendDemoMails(connect, bound.find(({ name }) => name === "lmtp")?.address);
  // A full disk keeps nobody from serving.
  told = await tellRunning(config).catch((error: unknown) => {
    open.log({ level: "warn", event: "what is listened on can't be told", error });
    return undefined;
  });
  isServing = true;
  if (acme && hasTls) keepCertificate(acme, tls, open);
  // Heard from before the first line that tells of us: a signal that comes right after it ends us well too.
  const signal = untilSignal(open, hasTls ? tls : undefined);
  announce(bound, isDemo !== "none");
  // The public key that other hosts put into login.trusted_hosts.
  if (wanted.includes("lmtp"))
    open.log({ level: "info", event: "deliveries are signed", publicKey: base64(open.signer.publicKey) });
  await signal;
  isServing = false;
  await endInTime(end, STOP_MS);
  // A request to a certificate authority that is under way can't be stopped.
  if (acme) process.exit(EXIT.well);
  return EXIT.well;
}

function listensForSubmission({ submission, submissions }: Config): boolean {
  return submission.listen.length > 0 || submissions.listen.length > 0;
}

function sweepDaily(context: Context): void {
  const { store, signer, platform, sweepStore, log } = context;
  const sweepAccounts = async (): Promise<void> =>
    sweepEnded({ store, signer, queue: await openQueue(context) }, platform.trustedHosts);
  const sweep = (): void => {
    sweepStore().catch((error: unknown) => log({ level: "warn", event: "uploads can't be looked at", error }));
    sweepAccounts().catch((error: unknown) =>
      log({ level: "warn", event: "deleted accounts can't be looked at", error }),
    );
  };
  sweep();
  platform.every?.(SWEEP_MS, sweep);
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}

function wantedServices(only: string | undefined): readonly ServiceName[] {
  if (only === undefined) return SERVICES;
  const names = only.split(",").map((name) => name.trim());
  const unknown = names.find((name) => !SERVICES.some((service) => service === name));
  if (unknown !== undefined) throw new ConfigError(`--only: there is no service ${unknown}`);
  return SERVICES.filter((service) => names.includes(service));
}

function lmtpService(context: Context, serverPublicKey: Uint8Array | undefined): Service {
  const { config, users, log } = context;
  const deliverer = makeDeliverer(context, serverPublicKey);
  const vouched = new VouchedUsers(users, context.seenRecords, log);
  /** By account, whatever the address; what it seals to is looked at each time. */
  const dropboxes = new Map<string, Dropbox>();
  const server = createLmtpServer({
    async findDropbox(address) {
      const user = await vouched.find(address);
      if (!user) {
        if (await users.isExpected?.(address)) throw new EngineError("locked", "has not signed in yet");
        return undefined;
      }
      const account = accountPrefix(user.record);
      const known = dropboxes.get(account);
      if (known?.isFor(user)) return known;
      // The owner has new keys.
      const dropbox = new Dropbox(deliverer, user);
      dropboxes.set(account, dropbox);
      return dropbox;
    },
    connect: () => deliverer.unsettled.connect(),
    rules: {
      aliases: config.lmtp.aliases,
      delimiter: config.lmtp.recipient_delimiter,
      catchAll: config.lmtp.catch_all,
      postmaster: config.lmtp.postmaster,
    },
    sizeMax: config.lmtp.size_max,
    onFull: config.quota.on_full,
    serverName: hostname(),
    log,
    onReply: (code, bytes) => context.metrics?.delivery(code, bytes),
  });
  return {
    listeners: [{ name: "lmtp", server: server.makeListener(), addresses: config.lmtp.listen }],
    stop: () => server.stop(),
  };
}

/** Accounts whose addresses are one, by forms of its domain: who is looked for by none of their names is either. */
async function tellTwins({ users, passwords, log }: Context): Promise<void> {
  // A directory has its own people, and may be away while the server starts.
  if (passwords) return;
  const addresses = (await users.list()).map(({ address }) => address);
  for (const twins of Map.groupBy(addresses, addressKey).values())
    if (twins.length > 1) log({ level: "warn", event: "accounts of one address", addresses: twins.sort() });
}

/** The demo account: made where nothing is configured and nobody is there yet; it keeps the server on loopback. */
async function prepareDemo(context: Context, wanted: readonly ServiceName[]): Promise<"none" | "new" | "old"> {
  const { config, users, passwords } = context;
  // A directory has its own people, and may be away while the server starts.
  if (passwords) return "none";
  const all = await users.list();
  const addresses = all.map(({ address }) => address);
  checkDemo(config, addresses);
  if (addresses.includes(DEMO_ADDRESS)) return "old";
  if (config.file !== undefined || all.length > 0 || wanted.length < SERVICES.length) return "none";
  if (!isOnLoopback(config)) return "none";
  await makeDemoAccount(context);
  return "new";
}

async function bindAll(
  services: readonly Service[],
  shares: boolean,
  log: Log,
): Promise<{ readonly name: string; readonly address: string }[]> {
  const bound = [];
  for (const { listeners } of services)
    for (const { name, setting = `${name}.listen`, server, addresses } of listeners)
      for (const address of addresses) {
        bound.push({ name, address: await bind(server, address, shares, setting) });
        // A connection that could not be taken, for want of descriptors: the next may be.
        server.on("error", (error) => log({ level: "error", event: "a connection could not be taken", name, error }));
      }
  return bound;
}

async function bind(server: Server, address: string, shares: boolean, setting: string): Promise<string> {
  try {
    return await listen(server, parseListenAddress(address), shares);
  } catch (error) {
    if (!(error instanceof ListenError)) throw error;
    const text = `${setting}: can't listen on ${address}: ${error.message}`;
    throw error.kind === "taken" ? new Exit(EXIT.unavailable, text) : new ConfigError(text);
  }
}

function announce(bound: readonly { readonly name: string; readonly address: string }[], demo: boolean): void {
  for (const { name, address } of bound) process.stdout.write(`listening ${name} ${address}\n`);
  process.stdout.write("Restante is ready\n");
  const placeOf = (service: string): string | undefined => bound.find(({ name }) => name === service)?.address;
  const [imap, submissions] = [placeOf("imap"), placeOf("submissions")];
  if (demo && imap)
    process.stdout.write(
      `\nSign in with any IMAP program: ${imap}, no encryption, user ${DEMO_ADDRESS}, password ${DEMO_PASSWORD}\n` +
        (submissions ? `It sends by ${submissions} (SMTP, SSL/TLS, the same user), to itself alone\n` : "") +
        `Or: curl --user ${DEMO_ADDRESS}:${DEMO_PASSWORD} imap://${imap}/INBOX\n`,
    );
}

/** Resolves at SIGTERM or SIGINT. SIGHUP reads certificates again; users are read when they are asked for. */
function untilSignal({ log }: Context, tls: Tls | undefined): Promise<void> {
  const hangUp = (): void => {
    tls?.reload().then(
      () => log({ level: "info", event: "certificates read again" }),
      (error: unknown) => log({ level: "error", event: "certificates can't be read, the old ones stay", error }),
    );
  };
  process.on("SIGHUP", hangUp);
  return new Promise((ended) => {
    // A process that only sends has nothing else that keeps it.
    const kept = setInterval(() => undefined, KEPT_MS);
    const resolve = (): void => {
      clearInterval(kept);
      ended();
    };
    // The terminal and npm may both pass one on: the second must not cut the first one's work off.
    process.on("SIGTERM", () => resolve());
    process.on("SIGINT", () => resolve());
  });
}
