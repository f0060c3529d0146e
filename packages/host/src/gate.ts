import type { Socket } from "node:net";
import { FAREWELL_MS } from "./let-go.ts";

/** Limits of the gate on connections and on their time. */
export interface GateLimits {
  readonly strangersMax: number;
  readonly strangersPerNetworkMax: number;
  /** Signed in or not. Beyond these a newcomer is turned away. */
  readonly connectionsMax: number;
  readonly connectionsPerNetworkMax: number;
  /** Milliseconds from the connection's start until somebody has signed in. */
  readonly signInMs: number;
}

export const GATE_LIMITS: GateLimits = {
  strangersMax: 1_000,
  strangersPerNetworkMax: 200,
  connectionsMax: 10_000,
  connectionsPerNetworkMax: 1_000,
  signInMs: 60_000,
};

/** Why a stranger has to go. */
export type Dismissal = "too-late" | "too-many";

export interface Visitor {
  /** No stranger any more: stays as long as it likes. */
  signedIn(): void;
  /** A stranger again, as if it had just come. */
  signedOut(): void;
}

export interface GateOptions {
  /** The network of an address, which may be one client's: an IPv4 address, an IPv6 /64. */
  readonly networkOf: (address: string) => string;
  readonly limits?: Partial<GateLimits>;
}

interface Stranger {
  readonly network: string;
  readonly dismiss: (why: Dismissal) => void;
}

/** The gate, one for all listeners of a process, whichever protocol they speak. A connection that has not signed in is a
 * stranger's. There is a limit on strangers, in all and from one network, and on the time of each, counted from its start
 * and not from its last octet. Above the limit the oldest stranger makes room: a client that means to sign in does so within
 * a second or two, so connections that are only held open keep nobody out. */
export class Gate {
  readonly #networkOf: (address: string) => string;
  readonly #limits: GateLimits;
  readonly #connections = new Map<string, number>();
  #connectionsCount = 0;
  /** By network; in each the one that came first is the first. */
  readonly #strangersOf = new Map<string, Set<Stranger>>();
  readonly #strangers = new Set<Stranger>();

  constructor({ networkOf, limits }: GateOptions) {
    this.#networkOf = networkOf;
    this.#limits = { ...GATE_LIMITS, ...limits };
  }

  /** How many are here, and how many of them are strangers. */
  get counts(): { readonly connections: number; readonly strangers: number } {
    return { connections: this.#connectionsCount, strangers: this.#strangers.size };
  }

  /**
   * A connection, as the listener gives it (below its TLS): it counts until its socket is closed. `farewell` is called
   * if it has to go as a stranger, and may still write; a moment later the socket is destroyed. A proxy of ours is no
   * stranger, and its connections are many clients'. Undefined: there are too many.
   */
  enter(socket: Socket, farewell: (why: Dismissal) => void, isProxy = false): Visitor | undefined {
    const network = this.#networkOf(socket.remoteAddress ?? "");
    const ofNetwork = this.#connections.get(network) ?? 0;
    const { connectionsMax, connectionsPerNetworkMax, signInMs } = this.#limits;
    // A socket that was closed before this line gives no event for it.
    if (socket.destroyed) return undefined;
    if (this.#connectionsCount >= connectionsMax) return undefined;
    if (ofNetwork >= connectionsPerNetworkMax && !isProxy) return undefined;
    this.#connectionsCount++;
    this.#connections.set(network, ofNetwork + 1);
    let late: NodeJS.Timeout | undefined;
    const arrive = (): void => {
      if (isProxy || socket.destroyed) return;
      leave();
      late = setTimeout(() => stranger.dismiss("too-late"), signInMs);
      this.#add(stranger);
    };
    const leave = (): void => {
      clearTimeout(late);
      this.#forget(stranger);
    };
    const stranger: Stranger = {
      network,
      dismiss: (why) => {
        leave();
        farewell(why);
        const timer = setTimeout(() => socket.destroy(), FAREWELL_MS);
        socket.once("close", () => clearTimeout(timer));
      },
    };
    arrive();
    socket.once("close", () => {
      leave();
      this.#connectionsCount--;
      const left = this.#connections.get(network)! - 1;
      if (left > 0) this.#connections.set(network, left);
      else this.#connections.delete(network);
    });
    return { signedIn: leave, signedOut: arrive };
  }

  #add(stranger: Stranger): void {
    const ofNetwork = this.#strangersOf.get(stranger.network) ?? new Set();
    this.#strangersOf.set(stranger.network, ofNetwork);
    if (ofNetwork.size >= this.#limits.strangersPerNetworkMax) firstOf(ofNetwork).dismiss("too-many");
    if (this.#strangers.size >= this.#limits.strangersMax) firstOf(this.#strangers).dismiss("too-many");
    // The last of them may just have gone, and its set with it.
    this.#strangersOf.set(stranger.network, ofNetwork);
    ofNetwork.add(stranger);
    this.#strangers.add(stranger);
  }

  #forget(stranger: Stranger): void {
    this.#strangers.delete(stranger);
    const ofNetwork = this.#strangersOf.get(stranger.network);
    ofNetwork?.delete(stranger);
    if (ofNetwork?.size === 0) this.#strangersOf.delete(stranger.network);
  }
}

function firstOf<T>(set: ReadonlySet<T>): T {
  for (const first of set) return first;
  throw new RangeError("set is empty");
}
