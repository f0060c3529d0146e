import { lstat, unlink } from "node:fs/promises";
import { connect, type Server } from "node:net";
import { ConfigError } from "./config.ts";

/** Where a server listens: `host:port`, `[v6]:port` or `unix:/path`; port 0 is any free one. */
export type ListenAddress =
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  | { readonly kind: "unix"; readonly path: string };

/** Throws ConfigError. */
export function parseListenAddress(text: string): ListenAddress {
  if (text.startsWith("unix:/")) return { kind: "unix", path: text.slice(5) };
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (!match || port > 65_535) throw new ConfigError(`${text} is no address to listen on`);
  return { kind: "tcp", host: match[1] ?? match[2]!, port };
}

export function isLoopbackAddress(address: ListenAddress): boolean {
  if (address.kind === "unix") return true;
  return address.host === "localhost" || address.host === "::1" || address.host.startsWith("127.");
}

/** Binds `server`; resolves with where it truly listens, as text. `shares`: other processes may listen there too, and the
 * system deals connections out to them (SO_REUSEPORT). */
export async function listen(server: Server, address: ListenAddress, shares = false): Promise<string> {
  if (address.kind === "unix") await removeLeft(address.path);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    const { kind } = address;
    const where =
      kind === "unix" ? { path: address.path } : { host: address.host, port: address.port, reusePort: shares };
    server.listen(where, () => {
      server.off("error", reject);
      resolve();
    });
  });
  const bound = server.address();
  if (bound === null || typeof bound === "string") return `unix:${bound}`;
  return bound.family === "IPv6" ? `[${bound.address}]:${bound.port}` : `${bound.address}:${bound.port}`;
}

/** Takes away the unix socket of a process that was killed. Throws ConfigError for one that somebody listens on, and for what
 * is no socket. */
async function removeLeft(path: string): Promise<void> {
  const found = await lstat(path).catch(absentIsFine);
  if (!found) return;
  if (!found.isSocket()) throw new ConfigError(`unix:${path} is no socket`);
  if (await isListenedOn(path)) throw new ConfigError(`unix:${path}: another process listens there`);
  await unlink(path).catch(absentIsFine);
}

function isListenedOn(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    // Who may not knock may not take it away either.
    socket.once("error", (error: NodeJS.ErrnoException) =>
      resolve(error.code !== "ECONNREFUSED" && error.code !== "ENOENT"),
    );
  });
}

function absentIsFine(error: NodeJS.ErrnoException): void {
  if (error.code !== "ENOENT") throw error;
}
