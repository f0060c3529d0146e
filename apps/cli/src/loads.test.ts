import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const main = join(import.meta.dirname, "main.ts");
/** Prints the packages that the process loaded, as it ends. */
const HOOK = `
import { registerHooks } from "node:module";
const seen = new Set();
registerHooks({ load: (url, context, next) => (seen.add(url), next(url, context)) });
process.on("exit", () => process.stderr.write([...seen].join("\\n")));
`;

/** Modules that a command line loads. */
async function loadedBy(...args: readonly string[]): Promise<string> {
  const hook = `data:text/javascript,${encodeURIComponent(HOOK)}`;
  const { stderr } = await promisify(execFile)(process.execPath, ["--import", hook, main, ...args]);
  return stderr;
}

test("a command loads no server, and none of what servers are made of", async () => {
  const loaded = await loadedBy("--help");
  expect(loaded).toContain("/cli/src/commands.ts");
  expect(loaded).not.toMatch(/\/(?:fastify|prom-client|nodemailer|smtp-server|sanitize-html|@aws-sdk)\//);
  expect(loaded).not.toMatch(/\/(?:imap|jmap|activesync|submission|lmtp|send)\/src\//);
});
