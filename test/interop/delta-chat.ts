import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DEMO, makeDataFolder, removeDataFolder, restante, startServer } from "../kit/server.ts";
import { assert, command, freePort, type Interop, need, temporaryFolder, until } from "./harness.ts";
import { startPostfix } from "./postfix.ts";

const CORE = "deltachat-rpc-server==2.65.0";
const INSTALL_MAX_MS = 300_000;
const CHAT_MAX_MS = 60_000;
const ADA = { user: "ada@example.org", password: "correct-horse-battery" } as const;

// biome-ignore lint/suspicious/noExplicitAny: what a program of others answers.
type Answer = any;

/** Delta Chat's core, which speaks JSON-RPC by lines. */
class DeltaChat {
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #waiting = new Map<number, { resolve: (result: Answer) => void; reject: (error: Error) => void }>();
  #calls = 0;
  #log = "";

  /** `place` has the program, and keeps what it stores. */
  constructor(place: string) {
    const env = { ...process.env, PYTHONPATH: place, DC_ACCOUNTS_PATH: join(place, "accounts") };
    this.#process = spawn(join(place, "bin/deltachat-rpc-server"), { env });
    this.#process.once("close", () => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`it ended: ${this.#log}`));
    });
    this.#process.stderr.on("data", (chunk: Buffer) => {
      this.#log += chunk.toString();
    });
    createInterface({ input: this.#process.stdout }).on("line", (line) => {
      const { id, result, error } = JSON.parse(line) as Answer;
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error) waiting?.reject(new Error(JSON.stringify(error)));
      else waiting?.resolve(result);
    });
  }

  call(method: string, ...params: readonly unknown[]): Promise<Answer> {
    const id = ++this.#calls;
    const answer = new Promise<Answer>((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
    this.#process.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", method, params, id })}\n`);
    return answer;
  }

  end(): void {
    this.#process.kill("SIGTERM");
  }
}

/** Two accounts of ours chat by Delta Chat's core: what one sends goes out by Postfix, and comes back by it. */
export const deltaChat: Interop = async (steps) => {
  need({ postfix: "/usr/sbin/postfix", "python3-pip": "/usr/bin/pip3" });
  const place = await temporaryFolder("delta-chat");
  const pip = ["install", "--quiet", "--no-deps", "--target", place, "--no-cache-dir", CORE];
  const installed = await command("pip3", pip, "", INSTALL_MAX_MS);
  assert(installed.code === 0, installed.err);
  const [mtaPort, lmtpPort] = [await freePort(), await freePort()];
  const mta = await startPostfix(lmtpPort, { port: mtaPort });
  const data = await makeDataFolder();
  const server = await startServer(data, {
    env: {
      RESTANTE_OUTBOUND_SMARTHOST: `smtp://127.0.0.1:${mtaPort}`,
      RESTANTE_LMTP_LISTEN: `127.0.0.1:${lmtpPort}`,
    },
  });
  const core = new DeltaChat(place);
  try {
    const added = await restante(data, ["account", "add", ADA.user, "--password-stdin"], `${ADA.password}\n`);
    assert(added.code === 0, added.err);
    const signIn = async ({ user, password }: typeof DEMO | typeof ADA): Promise<number> => {
      const account = await core.call("add_account");
      await core.call("add_transport", account, {
        addr: user,
        password,
        imapServer: "127.0.0.1",
        imapPort: server.ports.imaps,
        imapSecurity: "ssl",
        smtpServer: "127.0.0.1",
        smtpPort: server.ports.submissions,
        smtpSecurity: "ssl",
        certificateChecks: "acceptInvalidCertificates",
      });
      await core.call("start_io", account);
      return account;
    };
    let [demo, ada] = [0, 0];
    await steps.step("both sign in, by IMAP and by submission", async () => {
      demo = await signIn(DEMO);
      ada = await signIn(ADA);
    });
    /** The message with this text, once it came. */
    const received = async (account: number, text: string): Promise<Answer> => {
      let found: Answer;
      await until(
        text,
        async () => {
          for (const id of await core.call("get_fresh_msgs", account)) {
            const message = await core.call("get_message", account, id);
            if (message.text === text) found = message;
          }
          return found !== undefined;
        },
        CHAT_MAX_MS,
      );
      return found;
    };
    let chat = 0;
    await steps.step("they verify each other's keys by mail alone", async () => {
      const qr = await core.call("get_chat_securejoin_qr_code", demo, null);
      chat = await core.call("secure_join", ada, qr);
      const canSend = async (): Promise<boolean> => (await core.call("get_full_chat_by_id", ada, chat)).canSend;
      await until("the other's key", canSend, CHAT_MAX_MS);
    });
    await steps.step("a message comes, encrypted, and its answer", async () => {
      await core.call("misc_send_text_message", ada, chat, "Grüße, Ada");
      const message = await received(demo, "Grüße, Ada");
      assert(message.showPadlock === true, JSON.stringify(message));
      await core.call("misc_send_text_message", demo, message.chatId, "and back");
      assert((await received(ada, "and back")).showPadlock === true, "in clear");
    });
    await steps.step("a file comes whole, and its sender sees that it was read", async () => {
      const file = join(place, "picture.bin");
      const bytes = randomBytes(200_000);
      await writeFile(file, bytes);
      const sent = await core.call("send_msg", ada, chat, { file, filename: "picture.bin", text: "look" });
      const message = await received(demo, "look");
      assert((await readFile(message.file)).equals(bytes), "the file differs");
      await core.call("accept_chat", demo, message.chatId);
      await core.call("markseen_msgs", demo, [message.id]);
      const OUT_MDN_RECEIVED = 28;
      const state = async (): Promise<number> => (await core.call("get_message", ada, sent)).state;
      await until("the receipt", async () => (await state()) === OUT_MDN_RECEIVED, CHAT_MAX_MS);
    });
  } finally {
    core.end();
    await server.stop();
    await mta.stop();
    await removeDataFolder(data);
  }
};
