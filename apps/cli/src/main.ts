import { enableCompileCache, getCompileCacheDir } from "node:module";
import { dirname } from "node:path";

enableCompileCache();
// Threads look for it in the environment alone; without it each strips and compiles its part anew, which takes longer than
// to derive a key. The directory in use is the one of this version of Node, below the one that is set.
const cache = getCompileCacheDir();
if (cache !== undefined) process.env.NODE_COMPILE_CACHE ??= dirname(cache);
const { run } = await import("./run.ts");
process.exitCode = await run(process.argv.slice(2));
