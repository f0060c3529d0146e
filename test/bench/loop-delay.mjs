// How long one turn of a server's event loop keeps all others waiting. Loaded into the server:
//   SERVE_NODE_OPTIONS="--import /…/test/bench/loop-delay.mjs" peers/restante.sh start …
// At its end it prints, on standard error, the longest turns: by the clock, which a busy machine stretches, and by the
// processor time of the thread. The first seconds, in which programs are loaded, are left out.
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { isMainThread } from 'node:worker_threads';

const TICK_MS = 2;
const WARM_UP_MS = 3000;
const SHOWN = 10;

if (isMainThread) {
  const histogram = monitorEventLoopDelay({ resolution: 1 });
  const turns = [];
  let last;
  setTimeout(() => histogram.enable(), WARM_UP_MS).unref();
  setInterval(() => {
    const now = performance.now();
    const cpu = process.threadCpuUsage();
    if (last && now > WARM_UP_MS) turns.push({ ms: now - last.now - TICK_MS, cpuMs: (cpu.user + cpu.system - last.cpu) / 1000 });
    if (turns.length > 1000) turns.sort((a, b) => b.cpuMs - a.cpuMs).splice(SHOWN);
    last = { now, cpu: cpu.user + cpu.system };
  }, TICK_MS).unref();
  process.once('exit', () => {
    const longest = turns.sort((a, b) => b.cpuMs - a.cpuMs).slice(0, SHOWN);
    const ms = (n) => Math.round(n * 10) / 10;
    const [p50, p99, max] = [histogram.percentile(50), histogram.percentile(99), histogram.max].map((ns) => ms(ns / 1e6));
    console.error(JSON.stringify({ p50, p99, max, longest: longest.map((turn) => ({ ms: ms(turn.ms), cpuMs: ms(turn.cpuMs) })) }));
  });
}
