import { connectImap } from "../kit/line-client.ts";
import { DEMO, type RunningServer } from "../kit/server.ts";
import { assert, withServer } from "./harness.ts";

/** A server that a JMAP client signs in at. */
export interface JmapPlace {
  readonly server: RunningServer;
  readonly base: string;
  /** For clients that know Bearer alone. */
  readonly token: string;
}

/** Runs with a server whose JMAP is plain HTTP on loopback, and its demo account's mail. */
export function withJmap(
  run: (place: JmapPlace) => Promise<void>,
  env: Readonly<Record<string, string>> = {},
): Promise<void> {
  return withServer(
    async (server) => {
      const base = `http://localhost:${server.ports.https}`;
      await run({ server, base, token: await makeToken(base) });
    },
    { env: { RESTANTE_HTTPS_TLS: "off", ...env } },
  );
}

async function makeToken(base: string): Promise<string> {
  const credentials = Buffer.from(`${DEMO.user}:${DEMO.password}`).toString("base64");
  const headers = { authorization: `Basic ${credentials}`, "content-type": "application/json" };
  const reply = await fetch(`${base}/auth/tokens`, { method: "POST", headers, body: '{"label":"interop"}' });
  assert(reply.status === 201, `no token: ${reply.status}`);
  return ((await reply.json()) as { readonly token: string }).token;
}

/** IMAP's answers to these commands, one after the other. */
export async function askImap({ ports }: RunningServer, ...commands: readonly string[]): Promise<string> {
  const client = await connectImap(ports.imap!, DEMO.user, DEMO.password);
  let answer = "";
  for (const command of commands) answer = await client.command(command);
  client.end();
  return answer;
}
