import { Unsettled } from "../account/delivery/unsettled.ts";
import { isDeleted } from "../account/moving/delete-account.ts";
import { AccountReporter } from "../account/outbound/account-reporter.ts";
import { type EndedKeeper, setOlderAside } from "../account/outbound/older-history.ts";
import { OutboundQueue } from "../account/outbound/queue.ts";
import type { Envelope, RecipientState } from "../account/outbound/queued.ts";
import { type OutgoingMail, Sender, type TransportReply, TransportTrouble } from "../account/outbound/sender.ts";
import type { Outbound, SubmitLimits, SubmitRequest } from "../account/outbound/submit.ts";
import type { WitnessKeeper } from "../account/platform.ts";
import type { QuotaLimits } from "../account/quota.ts";
import type { AccountSession } from "../account/session.ts";
import { Accounts } from "../account/sign-in/accounts.ts";
import { orUndefinedIfDamaged } from "../bay/store-failure.ts";
import type { MemoryPlace } from "../storage/memory.ts";
import { type ObjectStore, StoreError, type StoreOptions } from "../storage/object-store.ts";
import { collect } from "../streams.ts";
import { signer } from "./account-kit.ts";
import { HandTime } from "./hand-time.ts";
import { type Ada, FIRST, setUpAda } from "./ways-in-kit.ts";

/** Kit of the tests of sending: Ada, processes that submit and send her mail, and a smarthost. */

const OWN = ["ada@example.org", "ada+x@example.org", "info@example.org"];
export const MINUTE: number = 60_000;
export const DAY: number = 24 * 60 * MINUTE;
export const LIMITS: SubmitLimits = {
  bytesMax: 1_000_000,
  recipientsMax: 5,
  recipientsPerDay: 500,
  holdMsMax: 30 * DAY,
  undoMs: 0,
};

/** A smarthost's treatment of a mail: an answer for each recipient, or an error. */
export type Smarthost = (
  mail: OutgoingMail,
  text: string,
) => readonly TransportReply[] | Promise<readonly TransportReply[]>;
export const TAKES: Smarthost = ({ envelope }) =>
  envelope.recipients.map(() => ({ state: "sent", reply: "250 2.0.0 Ok" }));

/** A process that may be killed: from then on none of its requests is answered, and none does anything. */
export class Mortal {
  isDead = false;
  requests = 0;
  /** At which request it is killed: before it is done, or when it is and before it is answered. */
  readonly killAt: number;
  readonly isDone: boolean;

  constructor(killAt: number = Number.POSITIVE_INFINITY, isDone: boolean = false) {
    this.killAt = killAt;
    this.isDone = isDone;
  }

  /** One step of what it does. */
  async step<T>(work: () => Promise<T>): Promise<T> {
    if (this.isDead) return new Promise(() => undefined);
    if (++this.requests < this.killAt) return work();
    if (this.requests === this.killAt && this.isDone) await work();
    this.isDead = true;
    return new Promise(() => undefined);
  }

  store(store: ObjectStore): ObjectStore {
    const step = this.step.bind(this);
    return new Proxy(store, {
      get(target, name) {
        const value = Reflect.get(target, name) as unknown;
        if (typeof value !== "function") return value;
        if (!["put", "putIfAbsent", "get", "list", "delete"].includes(name as string)) return value.bind(target);
        return (...args: unknown[]) =>
          step(() => (value as (...all: unknown[]) => Promise<unknown>).apply(target, args));
      },
    });
  }
}

/** A process that stops once before it claims a mail, until it is let go. */
export class Stalled extends Mortal {
  goOn: () => void = () => undefined;
  readonly hasStopped: Promise<void>;
  #stop: () => void = () => undefined;

  constructor() {
    super();
    this.hasStopped = new Promise((resolve) => {
      this.#stop = resolve;
    });
  }

  override store(store: ObjectStore): ObjectStore {
    let isFirst = true;
    return new Proxy(store, {
      get: (target, name) => {
        const value = Reflect.get(target, name) as unknown;
        if (typeof value !== "function") return value;
        if (name !== "putIfAbsent") return value.bind(target);
        return async (...args: unknown[]) => {
          if (isFirst && String(args[0]).startsWith("outbound/claim/")) {
            isFirst = false;
            const going = new Promise<void>((resolve) => {
              this.goOn = resolve;
            });
            this.#stop();
            await going;
          }
          return (value as (...all: unknown[]) => unknown).apply(target, args);
        };
      },
    });
  }
}

/** A process on a disk that may be nearly full: nothing goes on but what is essential. */
export class NearlyFull extends Mortal {
  isFull: boolean;

  constructor(isFull: boolean) {
    super();
    this.isFull = isFull;
  }

  override store(store: ObjectStore): ObjectStore {
    const refuses = (options: StoreOptions = {}): boolean => this.isFull && !options.essential && !this.isDead;
    return new Proxy(super.store(store), {
      get: (target, name) => {
        const value = Reflect.get(target, name) as unknown;
        if (name !== "put" && name !== "putIfAbsent") return value;
        return async (object: string, content: unknown, options?: StoreOptions) => {
          if (refuses(options)) throw new StoreError("full", "the disk is nearly full");
          return (value as (...all: unknown[]) => unknown).call(target, object, content, options);
        };
      },
    });
  }
}

/** A host's memory of mails that ended. */
export class EndedMemory implements EndedKeeper {
  readonly ids: Map<string, number> = new Map();
  readonly #now: () => number;

  constructor({ now }: { readonly now: () => number }) {
    this.#now = now;
  }

  note(id: string): void {
    this.ids.set(id, this.#now());
  }
  async find(ids: ReadonlySet<string>): Promise<ReadonlyMap<string, number>> {
    return new Map([...this.ids].filter(([id]) => ids.has(id)));
  }
}

export const SERVER_KEY: Uint8Array = new Uint8Array(32).fill(7);

/** Settings of a process. */
interface ProcessOptions {
  readonly smarthost?: Smarthost;
  readonly sends?: boolean;
  readonly mortal?: Mortal;
  /** Another store than the first, and the server key there. */
  readonly place?: MemoryPlace;
  readonly serverKey?: Uint8Array;
  /** Its host's memory of mails that ended, and of accounts. */
  readonly ended?: EndedKeeper;
  readonly witnesses?: WitnessKeeper;
  readonly limits?: Partial<SubmitLimits>;
  readonly quota?: QuotaLimits;
}
export interface SendingProcess {
  readonly queue: OutboundQueue;
  readonly sender: Sender;
  readonly accounts: Accounts;
  readonly signIn: () => Promise<AccountSession>;
  readonly outbound: Outbound;
}
export interface Sending extends Ada {
  readonly time: HandTime;
  /** Mails that the smarthost took. */
  readonly sink: { readonly to: readonly string[]; readonly text: string; readonly mail: OutgoingMail }[];
  readonly logs: string[];
  readonly process: (options?: ProcessOptions) => Promise<SendingProcess>;
}

export async function setUp(): Promise<Sending> {
  const time = new HandTime();
  const ada = await setUpAda();
  ada.place.now = () => time.now();
  const sink: Sending["sink"] = [];
  const logs: string[] = [];
  const process: Sending["process"] = async (options = {}) => {
    const { smarthost = TAKES, sends = true, mortal = new Mortal(), place = ada.place } = options;
    const { serverKey = SERVER_KEY, ended, witnesses, quota } = options;
    const store = mortal.store(place.open());
    const base = {
      ...ada.tools.platform,
      ...time,
      log: ({ event }: { readonly event: string }) => void logs.push(event),
      ...(witnesses && { witnesses }),
      ...(quota && { quota }),
    };
    const queue = new OutboundQueue({ store, platform: base, serverKey, ended });
    const users = { find: (address: string) => ada.users.find(address) };
    const deliverer = { store, platform: base, users, signer, unsettled: new Unsettled(base) };
    const reporter = new AccountReporter({ deliverer, hostName: "mx.example.org", read: (mail) => queue.read(mail) });
    const sender = new Sender({
      queue,
      platform: base,
      reporter,
      ...(ended && { settle: () => setOlderAside(queue, ended, reporter, base) }),
      giveUpMs: 5 * DAY,
      isDeleted: (account) => isDeleted(store, account, base.trustedHosts),
      transport: {
        async send(mail) {
          const octets = await orUndefinedIfDamaged(collect(mail.read()));
          if (!octets) throw new TransportTrouble("later", "the connection was closed");
          const text = Buffer.from(octets).toString("latin1");
          const replies = await smarthost(mail, text);
          await mortal.step(async () => {
            const to = mail.envelope.recipients
              .filter((_, at) => replies[at]!.state === "sent")
              .map(({ address }) => address);
            if (to.length > 0) sink.push({ to, text, mail });
          });
          return replies;
        },
      },
    });
    const outbound: Outbound = {
      queue,
      isOwn: async (_owner, address) => OWN.includes(address.toLowerCase()),
      ...(sends && { sender }),
      limits: { ...LIMITS, ...options.limits },
    };
    const platform = { ...base, outbound };
    const accounts = new Accounts({ ...ada.tools, store, platform });
    if (sends) sender.start();
    const signIn = (): Promise<AccountSession> => accounts.login("ada@example.org", FIRST, "127.0.0.1");
    return { queue, sender, accounts, signIn, outbound };
  };
  return { ...ada, time, sink, logs, process };
}

export const MESSAGE = "From: Ada <ada@example.org>\r\nTo: bob@x.org\r\nSubject: hi\r\n\r\nhello\r\n";

export function request(more: Partial<SubmitRequest> = {}, text: string = MESSAGE): SubmitRequest {
  const bytes = Buffer.from(text, "latin1");
  return {
    envelope: { mailFrom: "ada@example.org", recipients: [{ address: "bob@x.org", notify: undefined }] },
    message: {
      size: bytes.length,
      async *read(start, end) {
        yield bytes.subarray(start, end);
      },
    },
    ...more,
  };
}

export const to = (...addresses: readonly string[]): Envelope => ({
  mailFrom: "ada@example.org",
  recipients: addresses.map((address) => ({ address, notify: undefined })),
});

export async function statusOf(
  session: AccountSession,
  id: string,
): Promise<readonly [string, readonly RecipientState["state"][]]> {
  await session.refresh();
  const one = (await session.findSubmission(id))!;
  return [one.undoStatus, one.recipients.map(({ state }) => state)];
}

export async function textsIn(session: AccountSession, path = "INBOX"): Promise<string[]> {
  await session.refresh();
  const view = session.openView(session.getMailbox(path).id, { readOnly: true });
  const texts = [];
  for (let position = 0; position < view.length; position++) {
    const body = await session.openBody(view.message(position));
    texts.push(Buffer.from(await collect(body.read(0, body.size))).toString("latin1"));
  }
  return texts;
}
