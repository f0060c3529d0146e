import { isMainThread } from "node:worker_threads";
import { rewindLogs } from "./rewinding-log.ts";

/** `node --import` of this makes any process of Restante one whose logs rewind now and then. */
if (isMainThread) rewindLogs();
