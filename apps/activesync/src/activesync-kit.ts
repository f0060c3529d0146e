import { type AccountSession, Accounts, type Outbound, OutboundQueue } from "@restante/engine";
import { FIRST, mailText, setUpAda, stream } from "@restante/engine/testing";
import type { Element } from "wbxml";
import { COMMANDS } from "./commands/index.ts";
import type { Context } from "./context.ts";
import { HtmlThread } from "./mail/html-thread.ts";
import { Phones } from "./phones.ts";
import { group, leaf } from "./protocol/elements.ts";
import type { Version } from "./protocol/version.ts";
import { sync } from "./sync/sync.ts";

// Kit of the tests of commands: one account, its phone, and folders as the phone holds them.

const UTF8 = new TextDecoder();

/** All elements with this tag. */
export function allOf(root: Element | undefined, tag: string): Element[] {
  if (!root) return [];
  return [...(root.tag === tag ? [root] : []), ...root.children.flatMap((child) => allOf(child, tag))];
}

/** The text of the first element with this tag; undefined if there is none. */
export function textOf(root: Element | undefined, tag: string): string | undefined {
  const [found] = allOf(root, tag);
  if (!found) return undefined;
  return typeof found.content === "string" ? found.content : found.content ? UTF8.decode(found.content) : "";
}

export interface SyncWish {
  readonly window?: number;
  readonly filter?: number;
  readonly commands?: readonly Element[];
  readonly more?: readonly Element[];
  readonly body?: Element;
}

/** One folder as a phone holds it: items by ServerId, with the values that it was told of each. */
export class HeldFolder {
  key = "0";
  readonly items: Map<string, Map<string, string>> = new Map();
  /** How often it had to start again. */
  starts = 0;

  /** Takes an answer in, as a phone does; `removed`: what it has removed itself, which may be told to be gone too. */
  take(answer: Element | undefined, removed?: string): void {
    if (!answer) return;
    const status = textOf(answer, "AirSync:Status");
    if (status === "3") {
      this.key = "0";
      this.items.clear();
      this.starts++;
      return;
    }
    if (status !== "1") throw new Error(`status ${status}`);
    this.key = textOf(answer, "AirSync:SyncKey")!;
    for (const command of allOf(answer, "AirSync:Commands").flatMap(({ children }) => children)) {
      const id = textOf(command, "AirSync:ServerId")!;
      const told = new Map(
        allOf(command, "AirSync:ApplicationData").flatMap(({ children }) =>
          children.map((child) => [child.tag, flat(child)] as const),
        ),
      );
      if (command.tag === "AirSync:Add") {
        if (this.items.has(id)) throw new Error(`${id} is told twice`);
        this.items.set(id, told);
      } else if (command.tag === "AirSync:Change") {
        const item = this.items.get(id);
        if (!item) throw new Error(`${id} changes, and is not there`);
        for (const [tag, value] of told) item.set(tag, value);
      } else if (!this.items.delete(id) && id !== removed) throw new Error(`${id} goes, and is not there`);
    }
  }
}

function flat({ content, children }: Element): string {
  if (children.length > 0) return `(${children.map(flat).join(",")})`;
  return typeof content === "string" ? content : content ? Buffer.from(content).toString("latin1") : "";
}

/** A phone with a session: what it asks goes straight to the commands. */
export class TestPhone {
  readonly session: AccountSession;
  readonly context: Context;
  now: () => number = () => 1_700_000_000_000;

  constructor(session: AccountSession, deviceId = "phone", version: Version = 16.1, phones: Phones = new Phones()) {
    this.session = session;
    this.context = {
      session,
      version,
      deviceId,
      deviceType: "iPhone",
      userAgent: "",
      policyKey: 0,
      parameters: {},
      acceptsMultipart: false,
      phone: phones.of(session.account, deviceId),
      waits: { secondsMin: 60, secondsMax: 3540 },
      pace: { isOver: () => false, take: async () => undefined },
      html: new HtmlThread(),
      signal: new AbortController().signal,
      now: () => this.now(),
      random: (bytes) => crypto.getRandomValues(new Uint8Array(bytes)),
      log: ({ error }) => {
        throw error;
      },
    };
  }

  async command(name: string, root: Element): Promise<Element> {
    return COMMANDS.get(name)!(root, this.context);
  }

  async folder(type: number): Promise<string> {
    const root = group("FolderHierarchy:FolderSync", leaf("FolderHierarchy:SyncKey", "0"));
    const adds = allOf(await this.command("FolderSync", root), "FolderHierarchy:Add");
    const found = adds.find((add) => textOf(add, "FolderHierarchy:Type") === String(type))!;
    return textOf(found, "FolderHierarchy:ServerId")!;
  }

  /** One Sync of one folder; undefined for an empty answer. */
  async sync(
    id: string,
    key: string,
    { window, filter, commands = [], more = [], body }: SyncWish = {},
  ): Promise<Element | undefined> {
    const options = [
      filter === undefined ? undefined : leaf("AirSync:FilterType", filter),
      body ?? (filter === undefined ? undefined : group("AirSyncBase:BodyPreference", leaf("AirSyncBase:Type", 1))),
    ];
    const asked = group(
      "AirSync:Collection",
      leaf("AirSync:SyncKey", key),
      leaf("AirSync:CollectionId", id),
      window === undefined ? undefined : leaf("AirSync:WindowSize", window),
      options.some((one) => one) ? group("AirSync:Options", ...options) : undefined,
      ...more,
      commands.length > 0 ? group("AirSync:Commands", ...commands) : undefined,
    );
    const answer = await sync(group("AirSync:Sync", group("AirSync:Collections", asked)), this.context);
    return answer.kind === "answer" ? answer.root : undefined;
  }

  /** Syncs a folder until nothing is left to be told. */
  async catchUp(id: string, held: HeldFolder, wish: SyncWish = {}): Promise<void> {
    for (let round = 0; ; round++) {
      if (round > 500) throw new Error("a folder is never told wholly");
      const wasStart = held.key === "0";
      const answer = await this.sync(id, held.key, wasStart ? {} : wish);
      held.take(answer);
      if (!wasStart && held.key !== "0" && allOf(answer, "AirSync:MoreAvailable").length === 0) return;
    }
  }

  async append(
    text: string = mailText(1),
    path = "INBOX",
    flags: readonly string[] = [],
    timeMs?: number,
  ): Promise<void> {
    const received = timeMs === undefined ? {} : { received: { timeMs, zoneMinutes: 0 } };
    const prepared = await this.session.prepare(stream(text), { mailbox: path, flags, ...received });
    await this.session.append(this.session.getMailbox(path).id, prepared);
  }
}

/** A phone of a fresh account, and others of the same account, in processes of their own. */
export async function openPhone(version: Version = 16.1): Promise<{
  readonly phone: TestPhone;
  readonly another: (deviceId?: string) => Promise<TestPhone>;
}> {
  const { accounts } = await setUpAda();
  const signIn = (): Promise<AccountSession> => accounts().login("ada@example.org", FIRST, "127.0.0.1");
  return {
    phone: new TestPhone(await signIn(), "phone", version),
    another: async (deviceId = "phone") => new TestPhone(await signIn(), deviceId, version),
  };
}

/** A phone of a server that sends, others of the same device in processes of their own, and what waits to be sent. Nobody has
 * an address that begins with `nobody`. */
export async function openSender(version: Version = 16.1): Promise<{
  readonly phone: TestPhone;
  readonly another: () => Promise<TestPhone>;
  readonly queue: OutboundQueue;
}> {
  const { tools, place } = await setUpAda();
  const { platform } = tools;
  const queue = new OutboundQueue({ store: place.open(), platform, serverKey: new Uint8Array(32).fill(7) });
  const outbound: Outbound = {
    queue,
    isOwn: async (_owner, address) => address.toLowerCase() === "ada@example.org",
    reaches: async (address) => !address.startsWith("nobody"),
    limits: { bytesMax: 1e9, recipientsMax: 9, recipientsPerDay: 1e6, holdMsMax: 1e9, undoMs: 0 },
  };
  const another = async (): Promise<TestPhone> => {
    const accounts = new Accounts({ ...tools, store: place.open(), platform: { ...platform, outbound } });
    return new TestPhone(await accounts.login("ada@example.org", FIRST, "127.0.0.1"), "phone", version);
  };
  return { phone: await another(), another, queue };
}

export { mailText };
