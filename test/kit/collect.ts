import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { isMainThread } from "node:worker_threads";

/** `node --import` of this makes a process collect its garbage at SIGUSR2: what it holds afterwards is in use. */
if (isMainThread) {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  process.on("SIGUSR2", () => {
    for (let round = 0; round < 2; round++) collect();
  });
}
