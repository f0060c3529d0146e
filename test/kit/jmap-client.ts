import { setTimeout as delay } from "node:timers/promises";
import { DEMO } from "./server.ts";

// biome-ignore lint/suspicious/noExplicitAny: an answer is JSON.
export type Json = any;
type Given = Readonly<Record<string, unknown>>;
export type Invocation = readonly [name: string, args: Given, id: string];

export const USING: readonly string[] = [
  "urn:ietf:params:jmap:core",
  "urn:ietf:params:jmap:mail",
  "urn:ietf:params:jmap:blob",
];

const SENDING: readonly string[] = [...USING, "urn:ietf:params:jmap:submission"];

/** A mail that a test sends. */
interface Sending {
  readonly to: readonly string[];
  readonly subject: string;
  readonly text?: string;
  readonly parameters?: Readonly<Record<string, string | null>>;
}

interface Download {
  readonly type?: string;
  readonly name?: string;
}

/** An event of an event stream. */
export interface StreamEvent {
  readonly event: string;
  readonly id: string | undefined;
  readonly data: Json;
}

/** A JMAP client as small as can be, over plain HTTP. */
export class JmapClient {
  readonly base: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly session: Json;
  readonly accountId: string;

  private constructor(base: string, headers: Readonly<Record<string, string>>, session: Json) {
    this.base = base;
    this.headers = headers;
    this.session = session;
    this.accountId = session.primaryAccounts["urn:ietf:params:jmap:mail"];
  }

  static async connect(port: number, user: string = DEMO.user, password: string = DEMO.password): Promise<JmapClient> {
    const base = `http://127.0.0.1:${port}`;
    const headers = { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}` };
    const reply = await fetch(`${base}/.well-known/jmap`, { headers });
    if (reply.status !== 200) throw new Error(`no session: ${reply.status}`);
    return new JmapClient(base, headers, await reply.json());
  }

  async request(calls: readonly Invocation[], using: readonly string[] = USING): Promise<Json> {
    const methodCalls = calls.map(([name, args, id]) => [name, { accountId: this.accountId, ...args }, id]);
    const reply = await fetch(`${this.base}/jmap`, {
      method: "POST",
      headers: { ...this.headers, "content-type": "application/json" },
      body: JSON.stringify({ using, methodCalls }),
    });
    if (reply.status !== 200) throw new Error(`${reply.status}: ${await reply.text()}`);
    return reply.json();
  }

  /** The answer of one call; throws for an error. */
  async call(name: string, args: Given = {}): Promise<Json> {
    const [[answered, result]] = (await this.request([[name, args, "0"]])).methodResponses;
    if (answered === "error") throw new Error(`${name}: ${JSON.stringify(result)}`);
    return result;
  }

  async mailbox(role: string): Promise<string> {
    const { list } = await this.call("Mailbox/get", { properties: ["role"] });
    return list.find((one: Json) => one.role === role).id;
  }

  /** Writes a draft, submits it by the first identity and moves it to Sent: one request, as web clients do. Resolves with the
   * answer of EmailSubmission/set. */
  async send({ to, subject, text = "hello", parameters }: Sending): Promise<Json> {
    const [drafts, sent] = [await this.mailbox("drafts"), await this.mailbox("sent")];
    const { list } = (await this.request([["Identity/get", {}, "0"]], SENDING)).methodResponses[0][1];
    const [{ id: identityId, email: from }] = list;
    const draft = {
      mailboxIds: { [drafts]: true },
      keywords: { $draft: true, $seen: true },
      from: [{ email: from }],
      to: to.map((email) => ({ email })),
      subject,
      textBody: [{ partId: "t", type: "text/plain" }],
      bodyValues: { t: { value: text } },
    };
    const envelope = {
      mailFrom: { email: from, parameters: parameters ?? null },
      rcptTo: to.map((email) => ({ email, parameters: null })),
    };
    const submission = { identityId, emailId: "#draft", ...(parameters && { envelope }) };
    const moved = { [`mailboxIds/${drafts}`]: null, [`mailboxIds/${sent}`]: true, "keywords/$draft": null };
    const { methodResponses } = await this.request(
      [
        ["Email/set", { create: { draft } }, "0"],
        ["EmailSubmission/set", { create: { sent: submission }, onSuccessUpdateEmail: { "#sent": moved } }, "1"],
      ],
      SENDING,
    );
    return methodResponses[1][1];
  }

  async submission(id: string): Promise<Json> {
    const { methodResponses } = await this.request([["EmailSubmission/get", { ids: [id] }, "0"]], SENDING);
    return methodResponses[0][1].list[0];
  }

  async upload(content: string | Uint8Array, type = "message/rfc822"): Promise<Json> {
    const url = `${this.base}/jmap/upload/${this.accountId}`;
    const reply = await fetch(url, {
      method: "POST",
      headers: { ...this.headers, "content-type": type },
      body: content as string,
    });
    if (reply.status !== 201) throw new Error(`upload: ${reply.status}`);
    return reply.json();
  }

  download(blobId: string, { type = "text/plain", name = "a" }: Download = {}): Promise<Response> {
    const url = `${this.base}/jmap/download/${this.accountId}/${blobId}/${name}?type=${encodeURIComponent(type)}`;
    return fetch(url, { headers: this.headers });
  }

  /** Opens an event stream. */
  async events(
    query = "types=*&closeafter=no&ping=0",
    more: Readonly<Record<string, string>> = {},
  ): Promise<EventReader> {
    const reply = await fetch(`${this.base}/jmap/events?${query}`, { headers: { ...this.headers, ...more } });
    if (reply.status !== 200) throw new Error(`events: ${reply.status}`);
    return new EventReader(reply);
  }
}

/** Reads an event stream: HTML §9.2. */
export class EventReader {
  readonly seen: StreamEvent[] = [];
  /** All that came. */
  received = "";
  isOver = false;
  readonly #stop: () => void;

  constructor(reply: Response) {
    const reader = reply.body!.getReader();
    this.#stop = () => void reader.cancel();
    void this.#read(reader);
  }

  async #read(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
    let text = "";
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        const piece = Buffer.from(value).toString();
        this.received += piece;
        text += piece;
        for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
          this.#take(text.slice(0, end));
          text = text.slice(end + 2);
        }
      }
    } finally {
      this.isOver = true;
    }
  }

  #take(block: string): void {
    const field = (name: string): string | undefined => new RegExp(`^${name}: (.*)$`, "m").exec(block)?.[1];
    const data = field("data");
    if (data !== undefined)
      this.seen.push({ event: field("event") ?? "message", id: field("id"), data: JSON.parse(data) });
  }

  /** Waits for an event of which this holds. */
  async until(is: (event: StreamEvent) => boolean): Promise<StreamEvent> {
    for (let tries = 0; tries < 6000; tries++) {
      const found = this.seen.find(is);
      if (found) return found;
      await delay(10);
    }
    throw new Error(`no such event: ${JSON.stringify(this.seen)}`);
  }

  end(): void {
    this.#stop();
  }
}
