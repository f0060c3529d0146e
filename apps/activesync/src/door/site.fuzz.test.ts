import type { AccountSession } from "@restante/engine";
import { type DoorRequest, Problem } from "@restante/host";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { CODE_PAGES, decode, type Element, encode } from "wbxml";
import { HeldFolder, mailText, openPhone, type TestPhone } from "../activesync-kit.ts";
import { COMMAND_NAMES } from "../commands/index.ts";
import { NO_POLICY } from "../device/policy.ts";
import { empty, group, leaf } from "../protocol/elements.ts";
import { VERSIONS } from "../protocol/version.ts";
import { activeSyncSite } from "./site.ts";

// Whatever a phone sends, it is answered in the protocol's own words: by a document, or by a line of HTTP that says whose
// fault it is, and that is never the server's.

let phone: TestPhone;
let ids: readonly string[];

beforeAll(async () => {
  ({ phone } = await openPhone());
  for (let n = 0; n < 3; n++) await phone.append(mailText(n));
  const inbox = await phone.folder(2);
  const held = new HeldFolder();
  await phone.catchUp(inbox, held);
  ids = [inbox, await phone.folder(3), await phone.folder(4), held.key, ...held.items.keys()];
});

interface Asked {
  readonly query: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

/** A request as the door hands it on; its phone goes away a moment later, so that nothing waits. */
function request({ query, headers, body }: Asked): DoorRequest {
  const gone = new AbortController();
  setTimeout(() => gone.abort(), 50);
  return {
    method: "POST",
    params: {},
    query: new URLSearchParams(),
    rawQuery: query,
    address: "127.0.0.1",
    origin: "https://localhost",
    isSecure: true,
    arrivedAt: performance.now(),
    signal: gone.signal,
    header: (name) => headers[name],
    body: () => {
      throw new Error("not asked for");
    },
    bytes: async () => body,
    json: async () => undefined,
    signedIn: () => undefined,
    forgetCredentials: () => undefined,
  };
}

const session = (): AccountSession => phone.session;
const site = activeSyncSite({
  auth: {
    signIn: async () => ({ session: session(), attend: () => undefined, [Symbol.dispose]: () => undefined }),
  },
  explain: () => undefined,
  policy: NO_POLICY,
  waits: { secondsMin: 60, secondsMax: 3540 },
  allowsOutlook: false,
  log: ({ error }) => {
    throw error;
  },
});
const post = site.routes.find(({ method }) => method === "POST")!;

/** Statuses of HTTP that say what a phone is to do. */
const LINES: ReadonlySet<number> = new Set([200, 400, 403, 404, 449, 501, 505]);

async function ask(asked: Asked): Promise<void> {
  try {
    const answer = await post.handle(request(asked));
    expect(LINES).toContain(answer.status);
    if (answer.body instanceof Uint8Array) decode(answer.body);
    // Each answer says how long it is, or is all at hand.
    else expect(answer.headers?.["content-length"]).toMatch(/^\d+$/);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    expect(LINES).toContain(error.status);
  }
}

/** A device that needs no policy gets as far as its commands. */
const QUERY = "User=a&DeviceId=phone&DeviceType=WindowsOutlook";
const version = fc.constantFrom(...VERSIONS.keys());
const command = fc.constantFrom(...COMMAND_NAMES);
const tags = CODE_PAGES.flatMap(({ tags: of }) => of.map(({ name }) => name));

/** Contents that mean something somewhere. */
const content = fc.oneof(
  fc.constantFrom(
    "0",
    "1",
    "2",
    "-1",
    "4294967296",
    "",
    "x",
    "Email",
    "Mailbox",
    "GAL",
    "0-9",
    "9-0",
    "T",
    "2026-01-01T00:00:00.000Z",
  ),
  fc.nat({ max: 7 }).map((at) => ids[at % ids.length]!),
  fc.string({ maxLength: 12 }),
  fc.constant("a".repeat(70)),
  fc.constant("subject:a OR (from:b"),
);

/** A document whose elements are of the command's page and those that stand with it. */
function documentOf(name: string): fc.Arbitrary<Element> {
  const page = PAGES[name] ?? "AirSync";
  const near = tags.filter(
    (tag) => tag.startsWith(`${page}:`) || /^(?:AirSync|AirSyncBase|Email|Email2|Settings):/.test(tag),
  );
  const of = fc.constantFrom(...near);
  const { element } = fc.letrec<{ element: Element }>((tie) => ({
    element: fc.oneof(
      { depthSize: "small", maxDepth: 6 },
      fc.tuple(of, content).map(([tag, value]) => leaf(tag, value)),
      of.map(empty),
      fc.tuple(of, fc.array(tie("element"), { maxLength: 5 })).map(([tag, children]) => group(tag, ...children)),
    ),
  }));
  return fc.array(element, { maxLength: 5 }).map((children) => group(`${page}:${ROOTS[name] ?? name}`, ...children));
}

const PAGES: Readonly<Record<string, string>> = {
  FolderSync: "FolderHierarchy",
  FolderCreate: "FolderHierarchy",
  FolderDelete: "FolderHierarchy",
  FolderUpdate: "FolderHierarchy",
  SendMail: "ComposeMail",
  SmartReply: "ComposeMail",
  SmartForward: "ComposeMail",
  MoveItems: "Move",
  GetItemEstimate: "GetItemEstimate",
  MeetingResponse: "MeetingResponse",
  Search: "Search",
  Settings: "Settings",
  Ping: "Ping",
  ItemOperations: "ItemOperations",
  Provision: "Provision",
  ResolveRecipients: "ResolveRecipients",
  ValidateCert: "ValidateCert",
  Find: "Find",
};
const ROOTS: Readonly<Record<string, string>> = { GetAttachment: "Sync" };

describe("whatever comes", () => {
  test.each(COMMAND_NAMES)("%s", async (name) => {
    await fc.assert(
      fc.asyncProperty(version, documentOf(name), async (of, root) => {
        await ask({ query: `Cmd=${name}&${QUERY}`, headers: { "ms-asprotocolversion": of }, body: encode(root) });
      }),
      { numRuns: 150 },
    );
  });

  test("octets, queries and headers of any kind", async () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 60 }),
      fc.uint8Array({ maxLength: 60 }).map((rest) => Uint8Array.of(3, 1, 0x6a, 0, ...rest)),
    );
    const query = fc.oneof(
      fc.string(),
      fc.base64String(),
      fc.tuple(command, fc.string()).map(([name, more]) => `Cmd=${name}&${QUERY}&${more}`),
    );
    const header = fc.oneof(version, fc.string(), fc.constant("99"));
    await fc.assert(
      fc.asyncProperty(query, header, bytes, async (raw, of, body) => {
        await ask({ query: raw, headers: { "ms-asprotocolversion": of, "x-ms-policykey": of }, body });
      }),
      { numRuns: 600 },
    );
  });

  test.each(Object.keys(PAGES).concat("Sync"))("a %s that is right but for one element", async (name) => {
    const spoiled = fc.tuple(
      fc.nat(),
      fc.constantFrom("drop", "double", "content", "tag", "none"),
      content,
      fc.constantFrom(...tags),
    );
    await fc.assert(
      fc.asyncProperty(version, fc.nat(), spoiled, async (of, which, [at, how, value, tag]) => {
        const all = right()[name]!;
        const body = encode(spoil(all[which % all.length]!, at, how, value, tag));
        await ask({ query: `Cmd=${name}&${QUERY}`, headers: { "ms-asprotocolversion": of }, body });
      }),
      { numRuns: 150 },
    );
  });
});

/** Requests as phones make them, by command. */
function right(): Readonly<Record<string, readonly Element[]>> {
  const [inbox, drafts, trash, key, item] = ids as [string, string, string, string, string];
  const body = group(
    "AirSyncBase:BodyPreference",
    leaf("AirSyncBase:Type", 2),
    leaf("AirSyncBase:TruncationSize", 100),
    leaf("AirSyncBase:AllOrNone", 1),
    leaf("AirSyncBase:Preview", 20),
  );
  const part = group(
    "AirSyncBase:BodyPartPreference",
    leaf("AirSyncBase:Type", 2),
    leaf("AirSyncBase:TruncationSize", 50),
  );
  const options = group(
    "AirSync:Options",
    leaf("AirSync:FilterType", 5),
    leaf("AirSync:MIMESupport", 2),
    leaf("AirSync:MIMETruncation", 1),
    body,
    part,
  );
  const flag = group("Email:Flag", leaf("Email:Status", 2), leaf("Email:FlagType", "x"), leaf("Tasks:ReminderSet", 0));
  const change = group(
    "AirSync:Change",
    leaf("AirSync:ServerId", item),
    group(
      "AirSync:ApplicationData",
      leaf("Email:Read", 1),
      flag,
      group("Email:Categories", leaf("Email:Category", "a b")),
    ),
  );
  const draft = group(
    "AirSync:Add",
    leaf("AirSync:ClientId", "c1"),
    group(
      "AirSync:ApplicationData",
      leaf("Email:To", "a@b.org"),
      leaf("Email:Subject", "s"),
      leaf("Email:Importance", 2),
      group("AirSyncBase:Body", leaf("AirSyncBase:Type", 1), leaf("AirSyncBase:Data", "words")),
      group(
        "AirSyncBase:Attachments",
        group(
          "AirSyncBase:Add",
          leaf("AirSyncBase:ClientId", "f"),
          leaf("AirSyncBase:Method", 1),
          leaf("AirSyncBase:ContentType", "text/plain"),
          leaf("AirSyncBase:Content", Buffer.from("x")),
          leaf("AirSyncBase:DisplayName", "f.txt"),
        ),
      ),
    ),
  );
  const collection = (id: string, sync: string, ...more: Element[]): Element =>
    group(
      "AirSync:Sync",
      group(
        "AirSync:Collections",
        group(
          "AirSync:Collection",
          leaf("AirSync:SyncKey", sync),
          leaf("AirSync:CollectionId", id),
          leaf("AirSync:DeletesAsMoves", 1),
          leaf("AirSync:GetChanges", sync === "0" ? 0 : 1),
          leaf("AirSync:WindowSize", 5),
          leaf("AirSync:ConversationMode", 1),
          options,
          ...more,
        ),
      ),
    );
  const commands = (...of: Element[]): Element => group("AirSync:Commands", ...of);
  const folder = (name: string, ...more: Element[]): Element =>
    group(`FolderHierarchy:${name}`, leaf("FolderHierarchy:SyncKey", "0"), ...more);
  const mime = Buffer.from("From: ada@example.org\r\nTo: bob@example.org\r\nSubject: s\r\n\r\nwords\r\n");
  const source = group("ComposeMail:Source", leaf("ComposeMail:FolderId", inbox), leaf("ComposeMail:ItemId", item));
  const mail = (name: string): Element =>
    group(
      `ComposeMail:${name}`,
      leaf("ComposeMail:ClientId", "c"),
      name === "SendMail" ? undefined : source,
      empty("ComposeMail:SaveInSentItems"),
      leaf("ComposeMail:Mime", mime),
    );
  const fetch = (...more: Element[]): Element =>
    group("ItemOperations:Fetch", leaf("ItemOperations:Store", "Mailbox"), ...more);
  return {
    Sync: [
      collection(inbox, "0"),
      collection(inbox, key, commands(change, group("AirSync:Fetch", leaf("AirSync:ServerId", item)))),
      collection(drafts, "0"),
      collection(drafts, key, commands(draft)),
      collection("calendar", "0"),
      group("AirSync:Sync", leaf("AirSync:Wait", 1), empty("AirSync:Partial")),
    ],
    FolderSync: [folder("FolderSync")],
    FolderCreate: [
      folder(
        "FolderCreate",
        leaf("FolderHierarchy:ParentId", "0"),
        leaf("FolderHierarchy:DisplayName", "a"),
        leaf("FolderHierarchy:Type", 12),
      ),
    ],
    FolderUpdate: [
      folder("FolderUpdate", leaf("FolderHierarchy:ServerId", trash), leaf("FolderHierarchy:DisplayName", "a")),
    ],
    FolderDelete: [folder("FolderDelete", leaf("FolderHierarchy:ServerId", trash))],
    SendMail: [mail("SendMail")],
    SmartReply: [mail("SmartReply")],
    SmartForward: [mail("SmartForward")],
    MoveItems: [
      group(
        "Move:MoveItems",
        group("Move:Move", leaf("Move:SrcMsgId", item), leaf("Move:SrcFldId", inbox), leaf("Move:DstFldId", trash)),
      ),
    ],
    GetItemEstimate: [
      group(
        "GetItemEstimate:GetItemEstimate",
        group(
          "GetItemEstimate:Collections",
          group(
            "GetItemEstimate:Collection",
            leaf("AirSync:SyncKey", key),
            leaf("GetItemEstimate:CollectionId", inbox),
            group("AirSync:Options", leaf("AirSync:FilterType", 2)),
          ),
        ),
      ),
    ],
    MeetingResponse: [
      group(
        "MeetingResponse:MeetingResponse",
        group(
          "MeetingResponse:Request",
          leaf("MeetingResponse:UserResponse", 1),
          leaf("MeetingResponse:CollectionId", inbox),
          leaf("MeetingResponse:RequestId", item),
        ),
      ),
    ],
    Search: [
      group(
        "Search:Search",
        group(
          "Search:Store",
          leaf("Search:Name", "Mailbox"),
          group(
            "Search:Query",
            group(
              "Search:And",
              leaf("AirSync:Class", "Email"),
              leaf("AirSync:CollectionId", inbox),
              leaf("Search:FreeText", "mail"),
              group(
                "Search:GreaterThan",
                empty("Email:DateReceived"),
                leaf("Search:Value", "2026-01-01T00:00:00.000Z"),
              ),
            ),
          ),
          group("Search:Options", leaf("Search:Range", "0-9"), empty("Search:DeepTraversal"), body),
        ),
      ),
      group("Search:Search", group("Search:Store", leaf("Search:Name", "GAL"), leaf("Search:Query", "a"))),
    ],
    Settings: [
      group(
        "Settings:Settings",
        group("Settings:UserInformation", empty("Settings:Get")),
        group("Settings:DeviceInformation", group("Settings:Set", leaf("Settings:Model", "m"))),
        group("Settings:DevicePassword", group("Settings:Set", leaf("Settings:Password", "p"))),
        group("Settings:Oof", group("Settings:Get", leaf("Settings:BodyType", "Text"))),
      ),
    ],
    Ping: [
      group(
        "Ping:Ping",
        leaf("Ping:HeartbeatInterval", 60),
        group("Ping:Folders", group("Ping:Folder", leaf("Ping:Id", inbox), leaf("Ping:Class", "Email"))),
      ),
    ],
    ItemOperations: [
      group(
        "ItemOperations:ItemOperations",
        fetch(
          leaf("AirSync:CollectionId", inbox),
          leaf("AirSync:ServerId", item),
          group("ItemOperations:Options", leaf("AirSync:MIMESupport", 1), body, part),
        ),
        fetch(leaf("Search:LongId", item)),
        fetch(leaf("AirSyncBase:FileReference", `${"A".repeat(22)}:1`)),
        group("ItemOperations:EmptyFolderContents", leaf("AirSync:CollectionId", trash)),
      ),
    ],
    Provision: [
      group(
        "Provision:Provision",
        group("Settings:DeviceInformation", group("Settings:Set", leaf("Settings:Model", "m"))),
        group(
          "Provision:Policies",
          group("Provision:Policy", leaf("Provision:PolicyType", "MS-EAS-Provisioning-WBXML")),
        ),
      ),
    ],
    ResolveRecipients: [
      group(
        "ResolveRecipients:ResolveRecipients",
        leaf("ResolveRecipients:To", "a@b.org"),
        group(
          "ResolveRecipients:Options",
          leaf("ResolveRecipients:CertificateRetrieval", 2),
          group(
            "ResolveRecipients:Availability",
            leaf("ResolveRecipients:StartTime", "2026-01-01T00:00:00.000Z"),
            leaf("ResolveRecipients:EndTime", "2026-01-02T00:00:00.000Z"),
          ),
        ),
      ),
    ],
    ValidateCert: [
      group("ValidateCert:ValidateCert", group("ValidateCert:Certificates", leaf("ValidateCert:Certificate", "AA=="))),
    ],
    Find: [
      group(
        "Find:Find",
        leaf("Find:SearchId", "s"),
        group(
          "Find:ExecuteSearch",
          group(
            "Find:MailBoxSearchCriterion",
            group("Find:Query", leaf("AirSync:Class", "Email"), leaf("Find:FreeText", "mail")),
            group("Find:Options", leaf("Find:Range", "0-4")),
          ),
        ),
      ),
    ],
  };
}

/** The same document with one of its elements left out, there twice, of another content, or another. */
function spoil(root: Element, at: number, how: string, value: string, tag: string): Element {
  let left = at % countOf(root);
  const visit = (element: Element): Element[] => {
    if (left-- === 0) {
      if (how === "drop") return [];
      if (how === "double") return [element, element];
      if (how === "content") return [leaf(element.tag, value)];
      return [{ ...element, tag }];
    }
    return [{ ...element, children: element.children.flatMap(visit) }];
  };
  return visit(root)[0] ?? root;
}

function countOf({ children }: Element): number {
  return 1 + children.reduce((sum, child) => sum + countOf(child), 0);
}
