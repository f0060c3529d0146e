import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { S3Limits } from "./settings.ts";

/** The code of the error of a connection that did not stand in time. */
export const CONNECT_TIMED_OUT = "ECONNECTTIMEDOUT";

interface Connecting {
  createConnection(
    options: object,
    callback?: (error: Error | null, socket: Duplex) => void,
  ): Duplex | null | undefined;
}

/** Agents that keep connections, with Nagle's algorithm off and a limit on how long a connection may take to stand. */
export function makeAgents(limits: S3Limits, socketPath: string | undefined): [HttpAgent, HttpsAgent] {
  const options = {
    keepAlive: true,
    noDelay: true,
    // More than are ever asked for at once: requests wait in our own queue, by their priority.
    maxSockets: limits.readsMax + limits.writesMax + limits.pollsMax + 1,
    maxFreeSockets: limits.writesMax,
    ...(socketPath === undefined ? {} : { socketPath }),
  };
  const [http, https] = [new HttpAgent(options), new HttpsAgent(options)];
  limitConnect(http, "connect", limits.connectMs);
  limitConnect(https, "secureConnect", limits.connectMs);
  return [http, https];
}

function limitConnect(agent: HttpAgent, stands: "connect" | "secureConnect", limitMs: number): void {
  const connecting = agent as unknown as Connecting;
  const connect = connecting.createConnection.bind(agent);
  connecting.createConnection = (options, callback) => {
    const socket = connect(options, callback) as Socket;
    const timer = setTimeout(() => {
      socket.destroy(Object.assign(new Error("no connection in time"), { code: CONNECT_TIMED_OUT }));
    }, limitMs);
    const done = (): void => clearTimeout(timer);
    socket.once(stands, done);
    socket.once("close", done);
    return socket;
  };
}
