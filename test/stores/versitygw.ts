import { randomBytes } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { freePort } from "../interop/harness.ts";
import { built, mustRun, needGo } from "./built.ts";
import { answers, runUntilSignal, type StoreServer, startProgram } from "./store-server.ts";

const VERSION = "1.8.0";
const BUCKET = "mail";
const REGION = "us-east-1";

/** versitygw over a folder: an S3 with atomic create-if-absent. It syncs nothing: for tests. */
export async function startVersitygw(): Promise<StoreServer> {
  const program = built(`versitygw-${VERSION}`, "versitygw", (folder) => {
    needGo();
    mustRun("go", ["install", `github.com/versity/versitygw/cmd/versitygw@v${VERSION}`], { GOBIN: folder });
  });
  const key = { accessKey: randomBytes(8).toString("hex"), secretKey: randomBytes(24).toString("hex") };
  const address = `127.0.0.1:${await freePort()}`;
  const started = await startProgram({
    name: "versitygw",
    program,
    async prepare(folder) {
      const root = join(folder, "buckets");
      await mkdir(join(root, BUCKET), { recursive: true });
      return ["--port", address, "--region", REGION, "--keep-alive", "--quiet", "posix", root];
    },
    env: { ROOT_ACCESS_KEY: key.accessKey, ROOT_SECRET_KEY: key.secretKey },
    isReady: () => answers(`http://${address}/`),
  });
  return {
    endpoint: `http://${address}`,
    region: REGION,
    bucket: BUCKET,
    key,
    [Symbol.asyncDispose]: () => started[Symbol.asyncDispose](),
  };
}

if (import.meta.main) await runUntilSignal(startVersitygw);
