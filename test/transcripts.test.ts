import { readdirSync, readFileSync } from "node:fs";
import { cp } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { connectLmtp, deliver, LineClient } from "./kit/line-client.ts";
import { makeDataFolder, type RunningServer, removeDataFolder, restante, startServer } from "./kit/server.ts";

/**
 * Plays the dialogues in `transcripts/`: one scene a file, on an account of its own.
 *
 *     1 C: a NOOP            connection 1 sends a line ({CRLF} within it makes two of it)
 *     1 S: a OK <...>        and is answered by exactly these lines, in this order
 *     1 S: ...               or by any, up to one that the next line fits
 *     deliver: text          hands a mail over by LMTP; {CRLF} is a line end, {CR} one octet
 *     # why
 *     # setting: NAME=value   the scene has a server of its own, with this in its environment
 *
 * In an S line `<...>` stands for anything, `<name>` for a word: the same one wherever the name comes again, in C lines
 * too. A connection that is not signed in says `1 C:` first with LOGIN; `USER` and `PASSWORD` stand for the account's.
 */
const FOLDER = join(import.meta.dirname, "transcripts");
/** A server that says nothing for this long has hung. */
const SILENCE_MS = 60_000;
const PASSWORD = "a password for tests";
/** Scenes that tell exactly what changed since: where the log rewinds more is stamped anew. `resync.test.ts` plays there. */
const STEADY: ReadonlySet<string> = new Set(["condstore.txt", "qresync.txt"]);
const scenes = readdirSync(FOLDER)
  .filter((file) => file.endsWith(".txt"))
  .sort();

test("every command has a scene", () => {
  const folder = join(import.meta.dirname, "../apps/imap/src/commands");
  const sources = readdirSync(folder).map((file) => readFileSync(join(folder, file), "utf8"));
  const names = sources.flatMap((source) => [...source.matchAll(/name: "([A-Z]+)"/g)].map(([, name]) => name!));
  const texts = scenes.map((scene) => readFileSync(join(FOLDER, scene), "utf8")).join("\n");
  const said = new Set([...texts.matchAll(/^\d+ C: \S+ (?:UID )?([A-Z]+)/gm)].map(([, name]) => name!));
  expect(names.length).toBeGreaterThan(25);
  expect(names.filter((name) => !said.has(name))).toEqual([]);
});

let accounts: string;
const userOf = (scene: string): string => `${scene.replace(/\W/g, "-")}@example.org`;

beforeAll(async () => {
  accounts = await makeDataFolder();
  // Two at a time: each computes its slots.
  for (let at = 0; at < scenes.length; at += 2)
    await Promise.all(
      scenes.slice(at, at + 2).map(async (scene) => {
        const { code, err } = await restante(
          accounts,
          ["account", "add", userOf(scene), "--password-stdin"],
          `${PASSWORD}\n`,
        );
        if (code !== 0) throw new Error(err);
      }),
    );
});
afterAll(() => removeDataFolder(accounts));

class Scene {
  readonly #ports: RunningServer["ports"];
  readonly #user: string;
  readonly #names = new Map<string, string>();
  readonly #connections = new Map<string, LineClient>();

  constructor(ports: RunningServer["ports"], user: string) {
    this.#ports = ports;
    this.#user = user;
  }

  async play(text: string): Promise<void> {
    let skipping = false;
    for (const [index, raw] of text.split("\n").entries()) {
      const line = raw.trimEnd();
      if (line === "" || line.startsWith("#")) continue;
      const where = `line ${index + 1}`;
      const mail = /^deliver: (.*)$/.exec(line)?.[1];
      if (mail !== undefined) {
        await this.#deliver(mail);
        continue;
      }
      const [, number, side, rest = ""] = /^(\d+) ([CS]):(?: (.*))?$/.exec(line) ?? [];
      if (!number || !side) throw new Error(`${where} is no line of a transcript: ${line}`);
      const connection = await this.#connection(number);
      if (side === "C") connection.send(this.#filled(rest));
      else if (rest === "...") skipping = true;
      else {
        await this.#expect(connection, rest, skipping, where);
        skipping = false;
      }
    }
    for (const connection of this.#connections.values()) connection.end();
  }

  #filled(text: string): string {
    const named = text.replace(/<([a-z]\w*)>/gi, (whole, name: string) => this.#names.get(name) ?? whole);
    const line = named
      .replaceAll("USER", this.#user)
      .replaceAll("PASSWORD", `"${PASSWORD}"`)
      .replaceAll("{CRLF}", "\r\n");
    // The client sends bytes, one character each.
    return Buffer.from(`${line}\r\n`, "utf8").toString("latin1");
  }

  async #connection(number: string): Promise<LineClient> {
    const known = this.#connections.get(number);
    if (known) return known;
    const made = await LineClient.connect(this.#ports.imap!);
    this.#connections.set(number, made);
    await made.until(/^\* OK .*\r\n/m);
    return made;
  }

  async #expect(connection: LineClient, pattern: string, skipping: boolean, where: string): Promise<void> {
    for (;;) {
      const answer = (await this.#line(connection, `${where}: ${pattern}`)).replace(/\r\n$/, "");
      if (this.#fits(answer, pattern)) return;
      if (!skipping) expect(answer, where).toBe(pattern);
    }
  }

  async #line(connection: LineClient, where: string): Promise<string> {
    let timer: NodeJS.Timeout | undefined;
    const silence = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer for ${where}`)), SILENCE_MS);
    });
    try {
      return await Promise.race([connection.until(/^[^\n]*\n/), silence]);
    } finally {
      clearTimeout(timer);
    }
  }

  #fits(answer: string, pattern: string): boolean {
    const names: string[] = [];
    const source = pattern
      .split(/(<\.\.\.>|<[a-z]\w*>)/i)
      .map((piece) => {
        if (piece === "<...>") return ".*";
        const name = /^<([a-z]\w*)>$/i.exec(piece)?.[1];
        if (name === undefined) return piece.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
        const known = this.#names.get(name);
        if (known !== undefined) return known;
        names.push(name);
        return "(\\w+)";
      })
      .join("");
    const match = new RegExp(`^${source}$`).exec(answer);
    if (!match) return false;
    for (const [index, name] of names.entries()) this.#names.set(name, match[index + 1]!);
    return true;
  }

  async #deliver(text: string): Promise<void> {
    const lmtp = await connectLmtp(this.#ports.lmtp!);
    const replies = await deliver(
      lmtp,
      [this.#user],
      `${text.replaceAll("{CRLF}", "\r\n").replaceAll("{CR}", "\r")}\r\n`,
    );
    lmtp.end();
    expect(replies).toEqual([expect.stringMatching(/^250/)]);
  }
}

describe.each([
  ["the log", false],
  ["a log that rewinds", true],
])("on %s", (_, rewinding) => {
  let data: string;
  let server: RunningServer;
  beforeAll(async () => {
    data = await makeDataFolder();
    await cp(accounts, data, { recursive: true });
    server = await startServer(data, { rewinding });
  });
  afterAll(async () => {
    await server.stop();
    await removeDataFolder(data);
  });

  test.each(scenes.filter((scene) => !rewinding || !STEADY.has(scene)))("%s", async (scene) => {
    const text = readFileSync(join(FOLDER, scene), "utf8");
    const env = Object.fromEntries(
      [...text.matchAll(/^# setting: (\w+)=(.*)$/gm)].map(([, name, value]) => [name, value]),
    );
    if (Object.keys(env).length === 0) return new Scene(server.ports, userOf(scene)).play(text);
    const own = await makeDataFolder();
    await cp(accounts, own, { recursive: true });
    const other = await startServer(own, { rewinding, env });
    try {
      await new Scene(other.ports, userOf(scene)).play(text);
    } finally {
      await other.stop();
      await removeDataFolder(own);
    }
  });
});
