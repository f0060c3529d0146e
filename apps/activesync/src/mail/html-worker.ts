import { parentPort } from "node:worker_threads";
import { safeHtml } from "./safe-html.ts";

// One text at a time, answered in order.
parentPort!.on("message", (html: string) => parentPort!.postMessage(safeHtml(html)));
