import { createServer } from "node:http";
import { join } from "node:path";
import { bundle } from "@restante/engine/bundle-kit";
import { chromium as browserType } from "playwright-core";
import type { Json } from "../kit/jmap-client.ts";
import { FLAGS } from "./chromium.ts";
import { assert, type Interop, need } from "./harness.ts";

/** Nothing but scripts of the page's own, and what libsodium is compiled to. */
const POLICY = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; require-trusted-types-for 'script'";

/** The page's script: requests of all methods, with no account behind them. */
const BOOT = `
import { answerRequest, CAPABILITIES, METHODS, methodsByName, NO_PACE, parseIJson, readRequest } from "./ENTRY";
const failures = [];
const ask = async (text) => {
  const request = readRequest(await parseIJson(new TextEncoder().encode(text), NO_PACE));
  const api = { methods: methodsByName(METHODS), capabilities: CAPABILITIES, onFailure: (name) => failures.push(name) };
  const signal = new AbortController().signal;
  const random = (octets) => crypto.getRandomValues(new Uint8Array(octets));
  const given = { session: undefined, accountId: "a1", pace: NO_PACE, signal, now: Date.now, random, sessionState: "s" };
  return JSON.parse(await answerRequest(request, api, given));
};
const calls = [...methodsByName(METHODS).keys()].map((name) => [name, { accountId: "a2", fromAccountId: "a2" }, name]);
const answer = await ask(JSON.stringify({ using: [...CAPABILITIES], methodCalls: calls }));
globalThis.told = { answer, failures };
`;

/** JMAP's request layer and methods in a page of a strict policy. */
export const jmapInPage: Interop = async (steps) => {
  need({ chromium: "/usr/bin/chromium" });
  const { files } = await bundle(join(import.meta.dirname, "../../apps/jmap/src/api.ts"));
  const [entry] = files.keys();
  const served = new Map([
    ...[...files].map(([name, code]) => [`/${name}`, code] as const),
    ["/boot.js", BOOT.replace("ENTRY", entry!)],
    ["/", '<!doctype html><script type="module" src="/boot.js"></script>'],
  ]);
  const pages = createServer(({ url }, response) => {
    response.setHeader("content-security-policy", POLICY);
    response.setHeader("content-type", url === "/" ? "text/html" : "text/javascript");
    response.end(served.get(url!) ?? "");
  });
  await new Promise<void>((resolve) => pages.listen(0, "127.0.0.1", resolve));
  const { port } = pages.address() as { port: number };
  const browser = await browserType.launch({ executablePath: "/usr/bin/chromium", args: [...FLAGS] });
  try {
    await steps.step("all methods answer in a page that may run its own scripts and nothing else", async () => {
      const page = await browser.newPage();
      const said: string[] = [];
      page.on("pageerror", ({ message }) => said.push(message));
      page.on("console", (message) => {
        if (message.type() === "error") said.push(message.text());
      });
      await page.goto(`http://127.0.0.1:${port}/`);
      await page.waitForFunction(() => "told" in globalThis, undefined, { timeout: 20_000 }).catch(() => undefined);
      const told: Json = await page.evaluate("globalThis.told");
      assert(told !== undefined, said.join("\n"));
      const [[echo, given], ...others] = told.answer.methodResponses;
      assert(echo === "Core/echo" && given.accountId === "a2", JSON.stringify(told));
      assert(told.failures.length === 0 && others.length > 20, JSON.stringify(told.failures));
      for (const [name, error, id] of others)
        assert(name === "error" && /^(?:accountNotFound|fromAccountNotFound|invalidArguments)$/.test(error.type), id);
      // The one thing that it may not be able to load, and does without.
      assert(
        said.every((line) => line.includes("iconv")),
        said.join("\n"),
      );
    });
  } finally {
    await browser.close();
    pages.close();
  }
};
