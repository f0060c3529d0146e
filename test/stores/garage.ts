import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { command, freePort } from "../interop/harness.ts";
import { built, mustRun, needCargo } from "./built.ts";
import { answers, runUntilSignal, type StoreKey, type StoreServer, startProgram } from "./store-server.ts";

const VERSION = "2.5.0";
const BUCKET = "mail";
const REGION = "garage";

export interface GarageServer extends StoreServer {
  /** A key that may write and nothing else. */
  makeWriteOnlyKey(): Promise<StoreKey>;
  /** Another bucket, with a key that opens it and no other. */
  makeBucket(name: string): Promise<StoreKey>;
}

/**
 * One Garage node: an S3 without create-if-absent. Over TCP it waits for the client's acknowledgement in the midst of an
 * answer (44 ms on loopback); over its Unix socket it doesn't.
 */
export async function startGarage(over: "tcp" | "unix"): Promise<GarageServer> {
  const program = built(`garage-${VERSION}`, "bin/garage", (folder) => {
    needCargo();
    const features = ["--no-default-features", "--features", "bundled-libs,sqlite,k2v"];
    const [target, what] = [join(folder, "target"), ["garage", "--version", VERSION, "--locked"]];
    mustRun("cargo", ["install", ...what, ...features, "--root", folder], { CARGO_TARGET_DIR: target });
    // Gigabytes, of which only the program is kept.
    mustRun("rm", ["-rf", target]);
  });
  const [s3, rpc, k2v, admin] = [await freePort(), await freePort(), await freePort(), await freePort()];
  const key = makeKey();
  let configFile = "";
  const started = await startProgram({
    name: "garage",
    program,
    async prepare(folder) {
      configFile = join(folder, "garage.toml");
      const s3Address = over === "unix" ? join(folder, "s3.sock") : `127.0.0.1:${s3}`;
      await writeFile(configFile, configuration(folder, s3Address, { rpc, k2v, admin }), { mode: 0o600 });
      return ["-c", configFile, "server", "--single-node", "--default-bucket"];
    },
    env: {
      GARAGE_DEFAULT_ACCESS_KEY: key.accessKey,
      GARAGE_DEFAULT_SECRET_KEY: key.secretKey,
      GARAGE_DEFAULT_BUCKET: BUCKET,
    },
    isReady: () => answers(`http://127.0.0.1:${admin}/health`, (status) => status === 200),
  });
  const garage = async (...args: readonly string[]): Promise<void> => {
    const { code, err } = await command(program, ["-c", configFile, ...args]);
    if (code !== 0) throw new Error(`garage ${args[0]} ${args[1]}: ${err}`);
  };
  return {
    endpoint: over === "unix" ? `http+unix://${join(started.folder, "s3.sock")}` : `http://127.0.0.1:${s3}`,
    region: REGION,
    bucket: BUCKET,
    key,
    async makeWriteOnlyKey() {
      const writer = makeKey();
      await garage("key", "import", writer.accessKey, writer.secretKey, "-n", "writer", "--yes");
      await garage("bucket", "allow", "--write", BUCKET, "--key", writer.accessKey);
      return writer;
    },
    async makeBucket(name) {
      const owner = makeKey();
      await garage("bucket", "create", name);
      await garage("key", "import", owner.accessKey, owner.secretKey, "-n", name, "--yes");
      await garage("bucket", "allow", "--read", "--write", name, "--key", owner.accessKey);
      return owner;
    },
    [Symbol.asyncDispose]: () => started[Symbol.asyncDispose](),
  };
}

function makeKey(): StoreKey {
  return { accessKey: `GK${randomBytes(12).toString("hex")}`, secretKey: randomBytes(32).toString("hex") };
}

function configuration(
  folder: string,
  s3Address: string,
  ports: { readonly rpc: number; readonly k2v: number; readonly admin: number },
): string {
  return `metadata_dir = "${folder}/meta"
data_dir = "${folder}/data"
db_engine = "sqlite"
replication_factor = 1
compression_level = "none"
disable_scrub = true
rpc_bind_addr = "127.0.0.1:${ports.rpc}"
rpc_public_addr = "127.0.0.1:${ports.rpc}"
rpc_secret = "${randomBytes(32).toString("hex")}"
[s3_api]
s3_region = "${REGION}"
api_bind_addr = "${s3Address}"
[k2v_api]
api_bind_addr = "127.0.0.1:${ports.k2v}"
[admin]
api_bind_addr = "127.0.0.1:${ports.admin}"
admin_token = "${randomBytes(16).toString("hex")}"
`;
}

if (import.meta.main) await runUntilSignal(() => startGarage(process.argv[2] === "unix" ? "unix" : "tcp"));
