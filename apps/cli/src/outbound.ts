import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import {
  AccountReporter,
  accountPrefix,
  type Deliverer,
  Dropbox,
  type EndedKeeper,
  HOLD_MS_MAX,
  isDeleted,
  MandateStore,
  type Outbound,
  type OutboundPlace,
  OutboundQueue,
  Pusher,
  pushSeed,
  Responder,
  SERVER_KEY_BYTES,
  Sender,
  setOlderAside,
  setQueueAside,
  type Transport,
  TransportTrouble,
  type User,
} from "@restante/engine";
import { endedFolder } from "@restante/engine/node";
import { type Config, ConfigError, findKey, isLoopbackAddress, type Metrics } from "@restante/host";
import { PUSH_WORDS } from "@restante/jmap/push-words";
import { candidates } from "@restante/lmtp";
import {
  LocalTransport,
  type LocalTransportOptions,
  parseSmarthost,
  type Smarthost,
  Vapid,
  WebPush,
} from "@restante/send";
import { type Context, keysOf, makeDeliverer, placesOf, readServerKey, writeServerPublicKey } from "./context.ts";
import type { Service } from "./service.ts";

/** Throws ConfigError for settings of what mail goes out by. */
export function checkOutbound({ outbound, push }: Config): void {
  readSmarthost(outbound.smarthost);
  readCa("outbound.ca_file", outbound.ca_file);
  openWebPush({ push }, vapidOf({ push }, new Uint8Array(SERVER_KEY_BYTES))).dispose();
}

function readSmarthost(text: string): Smarthost | undefined {
  try {
    const smarthost = text === "" ? undefined : parseSmarthost(text);
    if (smarthost?.user !== undefined && smarthost.tls === "none" && !isLoopbackAddress(smarthost.at))
      throw new RangeError("a password goes over TLS only: write smtp+starttls:// or smtps://");
    return smarthost;
  } catch (error) {
    if (error instanceof RangeError) throw new ConfigError(`outbound.smarthost: ${error.message}`);
    throw error;
  }
}

function readCa(setting: string, file: string): string | undefined {
  if (file === "") return undefined;
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new ConfigError(`${setting}: ${(error as Error).message}`);
  }
}

/** Throws ConfigError. */
function openWebPush({ push }: Pick<Config, "push">, vapid: Vapid): WebPush {
  const { allow, ca_file } = push;
  try {
    return new WebPush({ allow, ca: readCa("push.ca_file", ca_file), vapid });
  } catch (error) {
    if (error instanceof RangeError) throw new ConfigError(`push.allow: ${error.message}`);
    throw error;
  }
}

/** Throws ConfigError. */
function vapidOf({ push: { contact } }: Pick<Config, "push">, seed: Uint8Array): Vapid {
  if (contact !== "" && !/^(?:mailto:[^\s]+@[^\s]+|https:\/\/[^\s]+)$/.test(contact))
    throw new ConfigError("push.contact begins with mailto: or https://");
  return new Vapid({ seed, contact, now: Date.now });
}

/** The part of the server that works while no owner is signed in. */
export interface OpenOutbound {
  readonly outbound: Outbound;
  readonly mandates: MandateStore;
  /** The server's public key: delivering processes seal requests to it. */
  readonly serverPublicKey: Uint8Array;
  /** The service that sends, if this process does. */
  readonly service: Service | undefined;
}

/** The queue, mandates and server key, and the service that sends if `sends` is set. */
export async function openOutbound(context: Context, sends: boolean): Promise<OpenOutbound> {
  const { config, store, platform } = context;
  const serverKey = await readServerKey(config);
  const serverPublicKey = await writeServerPublicKey(context, serverKey);
  const ended = endedFolder(placesOf(config).ended);
  const queue = new OutboundQueue({ store, platform, serverKey, ended });
  const vapid = vapidOf(config, pushSeed(serverKey));
  const mandates = new MandateStore({ store, platform, serverKey, pushKey: vapid.publicKey });
  const smarthost = readSmarthost(config.outbound.smarthost);
  const isOwn: Outbound["isOwn"] = async (owner, address) => (await findUser(context, address))?.address === owner;
  const sender = sends ? await openSender(context, { queue, ended, smarthost, serverPublicKey }) : undefined;
  const responder = sender && new Responder({ mandates, queue, platform, serverKey, isOwn, sender: sender.sender });
  responder?.start();
  const webPush = sends ? openWebPush(config, vapid) : undefined;
  const pusher = webPush && new Pusher({ mandates, platform, transport: webPush, words: PUSH_WORDS });
  pusher?.start();
  const { size_max, recipients_max, recipients_per_day, undo_seconds } = config.outbound;
  const outbound: Outbound = {
    queue,
    isOwn,
    ...(smarthost ? {} : { reaches: async (address) => (await findUser(context, address)) !== undefined }),
    ...(sender && { sender: sender.sender }),
    limits: {
      bytesMax: size_max,
      recipientsMax: recipients_max,
      recipientsPerDay: recipients_per_day,
      holdMsMax: HOLD_MS_MAX,
      undoMs: undo_seconds * 1000,
    },
  };
  const service = sender && {
    listeners: [],
    async stop() {
      await pusher?.stop();
      webPush?.dispose();
      await responder?.stop();
      await sender.stop();
    },
  };
  return { outbound, mandates, serverPublicKey, service };
}

/** Mail that waits to be sent. Throws Exit. */
export async function openQueue({ config, store, platform }: Context): Promise<OutboundQueue> {
  return new OutboundQueue({ store, platform, serverKey: await readServerKey(config) });
}

/** The same for who takes mail away; undefined on a host that has no server key, and gets none by that. Throws Exit, ConfigError. */
export async function findQueue(context: Context): Promise<OutboundQueue | undefined> {
  const { path, bytes } = keysOf(context.config).server;
  return (await findKey(path, bytes)) && openQueue(context);
}

/** The queue and mandates of a store, for a command. Throws Exit. */
export async function openOutboundPlace(context: Context): Promise<OutboundPlace> {
  const { config, store, platform } = context;
  const serverKey = await readServerKey(config);
  return { queue: await openQueue(context), mandates: new MandateStore({ store, platform, serverKey }) };
}

/** Ends mail that a restored queue holds: its owners are told. Resolves with how many. Errors: the engine's. */
export async function setRestoredAside(context: Context): Promise<number> {
  const queue = await openQueue(context);
  const deliverer = makeDeliverer(context, undefined);
  const reporter = new AccountReporter({ deliverer, hostName: hostname(), read: (mail) => queue.read(mail) });
  return setQueueAside(queue, reporter);
}

/** The context of services that sign people in, with the mandates that their accounts may have. */
export function withOutbound(context: Context, { outbound, mandates }: OpenOutbound): Context {
  return { ...context, platform: { ...context.platform, outbound, mandates } };
}

/** The user who has an address, by aliases and details. The catch-all's owner does not have all addresses. */
async function findUser({ users, config }: Context, address: string): Promise<User | undefined> {
  const { aliases, recipient_delimiter: delimiter } = config.lmtp;
  for (const candidate of candidates(address, { aliases, delimiter, catchAll: "", postmaster: "" })) {
    const user = await users.find(candidate);
    if (user) return user;
  }
  return undefined;
}

interface SenderParts {
  readonly queue: OutboundQueue;
  readonly ended: EndedKeeper;
  readonly smarthost: Smarthost | undefined;
  readonly serverPublicKey: Uint8Array;
}

async function openSender(
  context: Context,
  { queue, ended, smarthost, serverPublicKey }: SenderParts,
): Promise<{ readonly sender: Sender; readonly stop: () => Promise<void> }> {
  const { config, platform } = context;
  const deliverer = makeDeliverer(context, serverPublicKey);
  const hostName = hostname();
  const { password, ca_file, give_up } = config.outbound;
  const smtp =
    smarthost &&
    new (await import("@restante/send/smtp")).SmtpTransport({
      smarthost,
      password: password === "" ? undefined : password,
      ca: readCa("outbound.ca_file", ca_file),
      hostName,
    });
  const bare: Transport = smtp ?? new LocalTransport({ deliver: deliveryHere(context, deliverer) });
  const transport = meteredTransport(bare, context.metrics);
  const reporter = new AccountReporter({ deliverer, hostName, read: (mail) => queue.read(mail) });
  const sender = new Sender({
    queue,
    transport,
    platform,
    reporter,
    settle: () => setOlderAside(queue, ended, reporter, platform),
    giveUpMs: give_up * 1000,
    isDeleted: (account) => isDeleted(context.store, account, platform.trustedHosts),
  });
  sender.start();
  context.metrics?.gauge("waiting_mails", "Mails that wait to be handed on", () => sender.waitingCount);
  return {
    sender,
    async stop() {
      await sender.stop();
      smtp?.dispose();
    },
  };
}

/** The same, of which each try is counted by what came of it. */
function meteredTransport(transport: Transport, metrics: Metrics | undefined): Transport {
  if (!metrics) return transport;
  return {
    async send(mail, signal) {
      const begunAt = performance.now();
      const tell = (outcomes: readonly string[]): void => metrics.outgoing(outcomes, performance.now() - begunAt);
      try {
        const replies = await transport.send(mail, signal);
        tell(replies.map(({ state }) => state));
        return replies;
      } catch (error) {
        const outcome = error instanceof TransportTrouble && error.kind === "operator" ? "trouble" : "waiting";
        tell(mail.envelope.recipients.map(() => outcome));
        throw error;
      }
    },
  };
}

/** Delivers to those who live here, as LMTP does. */
function deliveryHere(context: Context, deliverer: Deliverer): LocalTransportOptions["deliver"] {
  /** By account: each has a numbering of its own. */
  const dropboxes = new Map<string, Dropbox>();
  return async (address, mailFrom, message) => {
    const user = await findUser(context, address);
    if (!user) return false;
    const account = accountPrefix(user.record);
    const known = dropboxes.get(account);
    const dropbox = known?.isFor(user) ? known : new Dropbox(deliverer, user);
    dropboxes.set(account, dropbox);
    const before = Buffer.from(`Return-Path: <${mailFrom}>\r\nDelivered-To: ${address}\r\n`);
    await dropbox.deliver(before, message, deliverer.unsettled.connect());
    return true;
  };
}
