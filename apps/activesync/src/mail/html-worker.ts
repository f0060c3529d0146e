import { parentPort } from "node:worker_threads";
import { HTML_WORK, type HtmlWork } from "./html-work.ts";

// One text at a time, answered in order.
parentPort!.on("message", ({ work, html }: { readonly work: HtmlWork; readonly html: string }) =>
  parentPort!.postMessage(HTML_WORK[work](html)),
);
