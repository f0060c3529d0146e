import type { AccountSession } from "@restante/engine";
import { FIRST, mailText, setUpAda, stream } from "@restante/engine/testing";
import { expect } from "vitest";
import { answerRequest, NO_PACE, readRequest } from "./core/request.ts";
import { METHODS, methodsByName } from "./methods.ts";
import { accountIdOf, CAPABILITIES } from "./session-object.ts";

// Kit of the tests of methods: one account, its client, and mail as the client sees it.

type Given = Readonly<Record<string, unknown>>;
export type Invocation = readonly [name: string, args: Given, id: string];
// biome-ignore lint/suspicious/noExplicitAny: an answer is JSON.
export type Json = any;

interface Appending {
  readonly path?: string;
  readonly flags?: readonly string[];
  readonly text?: string;
}

export class TestClient {
  readonly session: AccountSession;
  readonly accountId: string;

  constructor(session: AccountSession) {
    this.session = session;
    this.accountId = accountIdOf(session);
  }

  /** A whole request; calls that name no account get this one. */
  async request(calls: readonly Invocation[], more: Given = {}): Promise<Json> {
    const methodCalls = calls.map(([name, args, id]) => [name, { accountId: this.accountId, ...args }, id]);
    const request = readRequest({ using: [...CAPABILITIES], methodCalls, ...more });
    const text = await answerRequest(
      request,
      {
        methods: methodsByName(METHODS),
        capabilities: CAPABILITIES,
        onFailure: (method, error) => {
          throw new Error(`${method} failed`, { cause: error });
        },
      },
      {
        session: this.session,
        accountId: this.accountId,
        pace: NO_PACE,
        signal: new AbortController().signal,
        now: () => 1_700_000_000_000,
        random: (octets) => crypto.getRandomValues(new Uint8Array(octets)),
        sessionState: "s",
      },
    );
    return JSON.parse(text);
  }

  /** The answer of one call, which must not be an error. */
  async call(name: string, args: Given = {}): Promise<Json> {
    const [answered, result] = (await this.request([[name, args, "0"]])).methodResponses[0];
    expect([answered, answered === "error" ? result : undefined]).toEqual([name, undefined]);
    return result;
  }

  /** The type of the error that one call gets. */
  async error(name: string, args: Given = {}): Promise<string> {
    const [answered, result] = (await this.request([[name, args, "0"]])).methodResponses[0];
    expect(answered).toBe("error");
    return result.type;
  }

  /** The id of the mailbox with this role, or this name. */
  async mailbox(name: string): Promise<string> {
    const { list } = await this.call("Mailbox/get", {});
    const found = list.find((one: Json) => one.role === name || one.name === name);
    if (!found) throw new Error(`there is no ${name}`);
    return found.id;
  }

  /** A message is put into a mailbox as IMAP would. Resolves with its email's id. */
  async append(n: number, { path = "INBOX", flags = [], text = mailText(n) }: Appending = {}): Promise<string> {
    const before = (await this.call("Email/query")).ids as readonly string[];
    await this.session.append(
      this.session.getMailbox(path).id,
      await this.session.prepare(stream(text), { mailbox: path, flags }),
    );
    const after = (await this.call("Email/query")).ids as readonly string[];
    return after.find((id) => !before.includes(id))!;
  }
}

/** A client of a fresh account, and others of the same, in processes of their own. */
export async function openClient(): Promise<TestClient & { readonly another: () => Promise<TestClient> }> {
  const { accounts } = await setUpAda();
  const open = async (): Promise<TestClient> =>
    new TestClient(await accounts().login("ada@example.org", FIRST, "127.0.0.1"));
  return Object.assign(await open(), { another: open });
}
