import { hexText } from "../../bay/entry.ts";
import { limited } from "../../bay/serial.ts";
import { slotExists } from "../keys/slot-exists.ts";
import type { MandatePlace, MandateStore } from "../mandates/mandate-store.ts";
import type { Platform } from "../platform.ts";
import type { PushSubscription, PushSubscriptionKeys } from "./push-subscription.ts";
import { readSubscription } from "./push-subscriptions.ts";

/** A push message for one device. */
export interface PushMessage {
  readonly url: string;
  readonly keys: PushSubscriptionKeys | undefined;
  /** JSON. */
  readonly content: unknown;
  /** Seconds that a push service keeps it. */
  readonly ttlSeconds: number;
  readonly urgency: "normal" | "high";
}

/** `gone`: there is nobody any more. `later`: it may be tried again, after so long if that is said. */
export type PushReply =
  | { readonly outcome: "sent" }
  | { readonly outcome: "gone"; readonly reason: string }
  | { readonly outcome: "later"; readonly reason: string; readonly afterMs?: number };

export interface PushTransport {
  /** Ends within a bounded time whatever the other side does, and rejects for bugs alone. `signal` cuts it off. */
  push(message: PushMessage, signal: AbortSignal): Promise<PushReply>;
}

/** News of an account, by names alone: a note that came, an entry of its log. */
export interface PushNews {
  readonly note: string | undefined;
  readonly entry: string | undefined;
}

/** How what is to be told is said in JMAP: RFC 8620 §7.1, §7.2.2. */
export interface PushWords {
  verification(id: string, code: string): unknown;
  /** Undefined where the device wants to hear of nothing that may have changed. `account` is its id in hex. */
  change(account: string, news: PushNews, types: readonly string[] | undefined): unknown;
}

export interface PusherOptions {
  readonly mandates: MandateStore;
  readonly platform: Platform;
  readonly transport: PushTransport;
  readonly words: PushWords;
}

const MINUTE_MS = 60_000;
/** Messages to one device within a minute; what comes beyond is told together. */
export const PUSHES_PER_MINUTE = 20;
/** Messages under way to devices that answered last time, and to all others. */
const AT_ONCE_MAX = 200;
const DOUBTFUL_AT_ONCE_MAX = 50;
/** Milliseconds after which a device that could not be told is tried again, by how often it failed. */
const RETRY_MS: readonly number[] = [30, 120, 600, 1800, 3600, 4 * 3600].map((seconds) => seconds * 1000);
/** Milliseconds after which a store that did not answer is asked again. */
const STORE_RETRY_MS = 5_000;
const CHANGE_TTL_SECONDS: number = 24 * 60 * 60;
const VERIFICATION_TTL_SECONDS: number = 60 * 60;
/** A device that did not say what was pushed to it within this is not told again. */
const VERIFICATION_MS: number = VERIFICATION_TTL_SECONDS * 1000;
/** Milliseconds between two looks at all subscriptions, and at one way in. */
const LOOK_MS: number = 10 * MINUTE_MS;
const WAY_LOOK_MS = 60_000;

interface Device {
  readonly place: MandatePlace;
  readonly key: string;
  note: string | undefined;
  entry: string | undefined;
  /** The code that it was told last. */
  toldCode: string | undefined;
  isNewlyMade: boolean;
  /** When it was told, within the last minute. */
  told: number[];
  failures: number;
  notBefore: number;
  wayLookedAt: number;
  isBusy: boolean;
  isVerified: boolean;
}

interface Watched {
  readonly devices: Set<Device>;
  stop: (() => void) | undefined;
}

/**
 * Wakes devices: RFC 8620 §7.2. It holds the server key and no account's, and tells no more than that something is new: names of
 * objects are all that it sees, whether the account is open somewhere or not.
 */
export class Pusher {
  readonly #options: PusherOptions;
  readonly #devices = new Map<string, Device>();
  readonly #accounts = new Map<string, Watched>();
  readonly #stopping = new AbortController();
  readonly #fast = limited(AT_ONCE_MAX);
  readonly #slow = limited(DOUBTFUL_AT_ONCE_MAX);
  readonly #running = new Set<Promise<void>>();
  #stops: (() => void)[] = [];
  /** Stands for a name that is not known. */
  #count = 0;

  constructor(options: PusherOptions) {
    this.#options = options;
  }

  start(): void {
    const { mandates, platform } = this.#options;
    const look = (): void => this.#track(this.#look());
    this.#stops = [
      mandates.watch("push", (place) => {
        if (place) this.#track(this.#meet(place));
        else look();
      }),
      platform.every?.(LOOK_MS, look) ?? (() => undefined),
    ];
    look();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    for (const stop of this.#stops) stop();
    for (const { stop } of this.#accounts.values()) stop?.();
    await Promise.all(this.#running);
  }

  /** Devices that are known. */
  get deviceCount(): number {
    return this.#devices.size;
  }

  #track(work: Promise<void>): void {
    const { platform } = this.#options;
    const tracked = work
      .catch((error: unknown) => platform.log({ level: "warn", event: "devices can't be woken now", error }))
      .finally(() => this.#running.delete(tracked));
    this.#running.add(tracked);
  }

  /** All that there are; those that are gone are forgotten. */
  async #look(): Promise<void> {
    const seen = new Set<string>();
    for await (const place of this.#options.mandates.list("push")) {
      if (this.#stopping.signal.aborted) return;
      seen.add(keyOf(place));
      if (!this.#devices.has(keyOf(place))) await this.#meet(place);
    }
    for (const device of [...this.#devices.values()]) if (!seen.has(device.key)) this.#forget(device);
  }

  /** A subscription is there, or was changed. */
  async #meet(place: MandatePlace): Promise<void> {
    if (this.#stopping.signal.aborted) return;
    const one = await this.#read(place);
    if (!one) return;
    const device = this.#devices.get(keyOf(place)) ?? this.#add(place);
    device.isVerified = one.isVerified;
    // No store tells that one was written over: whether it was verified meanwhile is looked for when there is news.
    this.#watch(device);
    const isTold = one.isVerified || device.toldCode === one.code;
    if (isTold || this.#options.platform.now() - one.madeMs >= VERIFICATION_MS) return;
    device.isNewlyMade = true;
    this.#wake(device);
  }

  #add(place: MandatePlace): Device {
    const device: Device = {
      place: { kind: place.kind, account: place.account, id: place.id },
      key: keyOf(place),
      note: undefined,
      entry: undefined,
      toldCode: undefined,
      isNewlyMade: false,
      told: [],
      failures: 0,
      notBefore: 0,
      wayLookedAt: Number.NEGATIVE_INFINITY,
      isBusy: false,
      isVerified: false,
    };
    this.#devices.set(device.key, device);
    return device;
  }

  #forget(device: Device): void {
    this.#devices.delete(device.key);
    const account = hexText(device.place.account);
    const watched = this.#accounts.get(account);
    if (!watched?.devices.delete(device) || watched.devices.size > 0) return;
    watched.stop?.();
    this.#accounts.delete(account);
  }

  /** Hears of its account, by the names of new objects. */
  #watch(device: Device): void {
    const account = hexText(device.place.account);
    const watched = this.#accounts.get(account) ?? { devices: new Set(), stop: undefined };
    watched.devices.add(device);
    this.#accounts.set(account, watched);
    if (watched.stop) return;
    const { mandates, platform } = this.#options;
    const { store } = mandates;
    const tell = (kind: "note" | "entry", name?: string): void => {
      const news = name?.slice(account.length + 1) ?? String(++this.#count);
      for (const one of watched.devices) {
        one[kind] = news;
        this.#wake(one);
      }
    };
    const { quietEntries } = platform;
    const tellOfEntry = (name?: string): void =>
      quietEntries ? quietEntries.tellOfOthers(name, () => tell("entry", name)) : tell("entry", name);
    const stops = [
      store.watch(`${account}/note/`, (name) => tell("note", name)),
      store.watch(`${account}/log/`, tellOfEntry),
    ];
    watched.stop = () => {
      for (const stop of stops) stop();
    };
  }

  #wake(device: Device): void {
    if (device.isBusy || this.#stopping.signal.aborted) return;
    device.isBusy = true;
    this.#track(
      this.#tellAll(device).finally(() => {
        device.isBusy = false;
      }),
    );
  }

  /** Tells a device until it knows all. */
  async #tellAll(device: Device): Promise<void> {
    const { platform } = this.#options;
    const { signal } = this.#stopping;
    while (!signal.aborted && this.#devices.has(device.key) && hasNews(device)) {
      await this.#waitFor(device);
      if (signal.aborted) return;
      const inTurn = device.isVerified && device.failures === 0 ? this.#fast : this.#slow;
      try {
        await inTurn(async () => signal.aborted || (await this.#tell(device)));
      } catch (error) {
        platform.log({ level: "warn", event: "a device can't be woken now", device: device.key, error });
        device.notBefore = platform.now() + STORE_RETRY_MS;
      }
    }
  }

  async #waitFor(device: Device): Promise<void> {
    const { platform } = this.#options;
    const now = platform.now();
    device.told = device.told.filter((at) => now - at < MINUTE_MS);
    const full = device.told.length >= PUSHES_PER_MINUTE ? device.told[0]! + MINUTE_MS - now : 0;
    const wait = Math.max(full, device.notBefore - now);
    if (wait > 0) await platform.delay(wait, this.#stopping.signal);
  }

  async #tell(device: Device): Promise<void> {
    const { platform, words, transport } = this.#options;
    const one = await this.#read(device.place);
    if (!one || !(await this.#mayHear(device, one))) return;
    const news: PushNews = { note: device.note, entry: device.entry };
    const isVerification = !one.isVerified;
    device.isVerified = one.isVerified;
    // A device that was not verified yet is told nothing but its code.
    const isDue = one.isVerified || device.isNewlyMade;
    [device.note, device.entry, device.isNewlyMade] = [undefined, undefined, false];
    if (!isDue) return;
    const content = isVerification
      ? words.verification(device.place.id, one.code)
      : words.change(hexText(device.place.account), news, one.types);
    if (content === undefined) return;
    const { url, keys } = one;
    const ttlSeconds = isVerification ? VERIFICATION_TTL_SECONDS : CHANGE_TTL_SECONDS;
    device.told.push(platform.now());
    const urgency = isVerification || news.note !== undefined ? "high" : "normal";
    const reply = await transport.push({ url, keys, content, ttlSeconds, urgency }, this.#stopping.signal);
    await this.#heard(device, reply, () => {
      if (isVerification) device.isNewlyMade = platform.now() - one.madeMs < VERIFICATION_MS;
      device.note ??= news.note;
      device.entry ??= news.entry;
    });
    if (isVerification && reply.outcome === "sent") device.toldCode = one.code;
  }

  async #heard(device: Device, reply: PushReply, again: () => void): Promise<void> {
    const { platform } = this.#options;
    const { key } = device;
    if (reply.outcome === "sent") {
      device.failures = 0;
      platform.log({ level: "debug", event: "a device was woken", device: key });
      return;
    }
    platform.log({ level: "info", event: "a device was not woken", device: key, ...reply });
    if (reply.outcome === "gone") return this.#end(device);
    const pause = RETRY_MS[Math.min(device.failures++, RETRY_MS.length - 1)]!;
    device.notBefore = platform.now() + Math.max(pause, reply.afterMs ?? 0);
    again();
  }

  /** True while the way in by which the subscription was made is still there, and its time is not over. */
  async #mayHear(device: Device, { slot, expiresMs }: PushSubscription): Promise<boolean> {
    const { mandates, platform } = this.#options;
    const now = platform.monotonic();
    if (expiresMs > platform.now()) {
      if (slot === undefined || now - device.wayLookedAt < WAY_LOOK_MS) return true;
      const prefix = `${hexText(device.place.account)}/`;
      if (await slotExists(mandates.store, prefix, slot)) {
        device.wayLookedAt = now;
        return true;
      }
    }
    await this.#end(device);
    return false;
  }

  async #end(device: Device): Promise<void> {
    this.#forget(device);
    await this.#options.mandates.end(device.place);
  }

  /** One that is gone is forgotten. */
  async #read(place: MandatePlace): Promise<PushSubscription | undefined> {
    const one = await readSubscription(this.#options.mandates, place);
    const device = this.#devices.get(keyOf(place));
    if (!one && device) this.#forget(device);
    return one;
  }
}

function hasNews({ note, entry, isNewlyMade }: Device): boolean {
  return note !== undefined || entry !== undefined || isNewlyMade;
}

function keyOf({ account, id }: MandatePlace): string {
  return `${hexText(account)}.${id}`;
}
