import type { AccountSession } from "@restante/engine";
import { type Answer, type DoorRequest, Problem } from "@restante/host";
import { expect, test } from "vitest";
import { decode, encode } from "wbxml";
import { openPhone, textOf } from "../activesync-kit.ts";
import { NO_POLICY } from "../device/policy.ts";
import { group, leaf } from "../protocol/elements.ts";
import { activeSyncSite } from "./site.ts";

async function site() {
  const { phone } = await openPhone();
  const session: AccountSession = phone.session;
  const { routes } = activeSyncSite({
    auth: { signIn: async () => ({ session, attend: () => undefined, [Symbol.dispose]: () => undefined }) },
    explain: () => undefined,
    policy: NO_POLICY,
    waits: { secondsMin: 60, secondsMax: 3540 },
    allowsOutlook: false,
    log: ({ error }) => {
      throw error;
    },
  });
  const post = routes.find(({ method }) => method === "POST")!;
  return (command: string, body: Promise<Uint8Array>, length: number): Promise<Answer> => {
    const headers: Readonly<Record<string, string>> = {
      "content-length": String(length),
      "ms-asprotocolversion": "16.1",
    };
    const request: DoorRequest = {
      method: "POST",
      params: {},
      query: new URLSearchParams(),
      rawQuery: `Cmd=${command}&DeviceId=phone&DeviceType=WindowsOutlook`,
      address: "127.0.0.1",
      origin: "https://localhost",
      isSecure: true,
      arrivedAt: performance.now(),
      signal: new AbortController().signal,
      header: (name) => headers[name],
      body: () => {
        throw new Error("not asked for");
      },
      bytes: () => body,
      json: async () => undefined,
      signedIn: () => undefined,
      forgetCredentials: () => undefined,
    };
    return post.handle(request);
  };
}
const folderSync = encode(group("FolderHierarchy:FolderSync", leaf("FolderHierarchy:SyncKey", "0")));

test("a large body that does not come holds up others like it, and nothing else of its phone", async () => {
  const ask = await site();
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  const slow = ask("Sync", promise, 30_000_000);
  const answer = await ask("FolderSync", Promise.resolve(folderSync), folderSync.length);
  expect(textOf(decode(answer.body as Uint8Array), "FolderHierarchy:Status")).toBe("1");
  const next = ask("FolderSync", Promise.resolve(folderSync), 70_000);
  expect(await Promise.race([next, new Promise((done) => setTimeout(done, 50))])).toBeUndefined();
  // Its connection ends: the next one's turn.
  reject(new Problem(400, "The connection ended within the body"));
  await expect(slow).rejects.toThrow("The connection ended");
  expect((await next).status).toBe(200);
  resolve(folderSync);
});
