import { lstat, stat, unlink } from "node:fs/promises";
import { connect, type Server } from "node:net";
import { dirname } from "node:path";
import type { ListenAddress } from "./listen-address.ts";

/** Nobody can listen there: `wrong` until the setting or the machine is another, `taken` while somebody else does. The message is
 * the end of a sentence that begins with the address. */
export class ListenError extends Error {
  readonly kind: "wrong" | "taken";
  constructor(kind: "wrong" | "taken", message: string, cause?: unknown) {
    super(message, { cause });
    this.name = "ListenError";
    this.kind = kind;
  }
}

/** Binds `server`; resolves with where it truly listens, as text. `shares`: other processes may listen there too, and the
 * system deals connections out to them (SO_REUSEPORT). Throws ListenError. */
export async function listen(server: Server, address: ListenAddress, shares = false): Promise<string> {
  if (address.kind === "unix") {
    // Node calls a folder that is missing a lack of rights.
    await stat(dirname(address.path)).catch((error: NodeJS.ErrnoException) => {
      throw explain(error);
    });
    await removeLeft(address.path);
  }
  await new Promise<void>((resolve, reject) => {
    const refuse = (error: NodeJS.ErrnoException): void => reject(explain(error));
    server.once("error", refuse);
    const { kind } = address;
    const where =
      kind === "unix" ? { path: address.path } : { host: address.host, port: address.port, reusePort: shares };
    server.listen(where, () => {
      server.off("error", refuse);
      resolve();
    });
  });
  const bound = server.address();
  if (bound === null || typeof bound === "string") return `unix:${bound}`;
  return bound.family === "IPv6" ? `[${bound.address}]:${bound.port}` : `${bound.address}:${bound.port}`;
}

/** Takes away the unix socket of a process that was killed. Throws ListenError for one that somebody listens on, and for what
 * is no socket. */
async function removeLeft(path: string): Promise<void> {
  const found = await lstat(path).catch(absentIsFine);
  if (!found) return;
  if (!found.isSocket()) throw new ListenError("wrong", "is a file and no socket");
  if (await isListenedOn(path)) throw new ListenError("taken", "another process listens there");
  await unlink(path).catch(absentIsFine);
}

function isListenedOn(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    // A socket that this user may not connect to must not be removed either.
    socket.once("error", (error: NodeJS.ErrnoException) =>
      resolve(error.code !== "ECONNREFUSED" && error.code !== "ENOENT"),
    );
  });
}

const WRONG: Readonly<Record<string, string>> = {
  EACCES: "this user has no right to listen there",
  EPERM: "this user has no right to listen there",
  ENOENT: "there is no such folder",
  ENOTDIR: "there is no such folder",
  EADDRNOTAVAIL: "this machine has no such address",
  ENOTFOUND: "there is no host of that name",
  EAI_AGAIN: "its name can't be looked up",
};

function explain(error: NodeJS.ErrnoException): ListenError {
  const { code = "" } = error;
  if (code === "EADDRINUSE") return new ListenError("taken", "another process listens there", error);
  return new ListenError("wrong", WRONG[code] ?? error.message, error);
}

function absentIsFine(error: NodeJS.ErrnoException): void {
  if (error.code !== "ENOENT") throw explain(error);
}
