import { argon2Sync } from "node:crypto";
import { parentPort } from "node:worker_threads";
import type { Argon2Job } from "./argon2-pool.ts";

parentPort!.on("message", ({ password, salt, parameters, bytes }: Argon2Job) => {
  const key = argon2Sync("argon2id", {
    message: password,
    nonce: salt,
    memory: parameters.memoryKiB,
    passes: parameters.passes,
    parallelism: parameters.parallelism,
    tagLength: bytes,
  });
  parentPort!.postMessage(new Uint8Array(key));
});
