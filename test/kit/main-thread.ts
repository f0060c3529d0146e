import { createServer, Socket } from "node:net";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { isMainThread } from "node:worker_threads";

/**
 * `node --import` of this lets a test ask a server what its main thread went through: who connects to the unix socket
 * that TEST_MAIN_THREAD names gets one {@link MainThreadReport} as JSON, of the time since the last one.
 */
export interface MainThreadReport {
  /** The longest turn of the event loop, in milliseconds of the thread's own processor time. */
  readonly longestTurnMs: number;
  /** Octets that wait for those who don't read. */
  readonly waitingBytes: number;
  /** Octets in use after a collection, in the heap and outside it. */
  readonly memoryBytes: number;
}

const path = process.env.TEST_MAIN_THREAD;
// Threads import what their process does.
if (path && isMainThread) {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const processorMs = (): number => {
    const { user, system } = process.threadCpuUsage();
    return (user + system) / 1000;
  };
  let before = processorMs();
  let longest = 0;
  // Comes once a turn: of a longer one it is told at its end.
  setInterval(() => {
    const now = processorMs();
    longest = Math.max(longest, now - before);
    before = now;
  }, 1).unref();
  const handles = (): unknown[] => (process as unknown as { _getActiveHandles(): unknown[] })._getActiveHandles();
  const server = createServer((socket) => {
    const longestTurnMs = longest;
    const waitingBytes = handles().reduce<number>(
      (sum, handle) => sum + (handle instanceof Socket ? handle.writableLength : 0),
      0,
    );
    for (let round = 0; round < 2; round++) collect();
    const { heapUsed, external } = process.memoryUsage();
    const report: MainThreadReport = { longestTurnMs, waitingBytes, memoryBytes: heapUsed + external };
    socket.end(JSON.stringify(report), () => {
      before = processorMs();
      longest = 0;
    });
  });
  server.listen(path).unref();
}
