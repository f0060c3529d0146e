import {
  type BodyTerms,
  type Command,
  type FolderTerms,
  PhoneFolder,
  type Properties,
  propertiesOf,
} from "./folder.ts";
import { decode, encode, type Node, type Tree } from "./wbxml.ts";
import { type Extras, partsOf, type Reply, type Version, Wire, type WireOptions } from "./wire.ts";

/** One folder's part of a Sync. */
export interface FolderRequest {
  readonly folder: PhoneFolder;
  readonly commands?: readonly Command[];
  readonly getChanges?: boolean;
  /** Deleted for good, and not moved to Deleted Items. */
  readonly deletesForGood?: boolean;
}

export interface SyncTerms {
  readonly waitMinutes?: number;
  readonly heartbeatSeconds?: number;
  readonly window?: number;
  readonly signal?: AbortSignal;
}

export interface SyncResult {
  /** That of the whole Sync, where it has one; "1" for an empty answer. */
  readonly status: string;
  /** By folder. */
  readonly folders: ReadonlyMap<string, FolderResult>;
}

export interface FolderResult {
  readonly status: string;
  readonly more: boolean;
  /** Adds, Changes, Deletes and SoftDeletes that came, in their order. */
  readonly commands: readonly Node[];
  readonly responses: readonly Node[];
}

/** Where a mail lies that is answered or passed on. */
export interface Source {
  readonly folderId: string;
  readonly itemId: string;
}

export interface SendTerms {
  readonly clientId?: string;
  /** A copy goes to Sent Items. */
  readonly saves?: boolean;
  /** The mail is whole: nothing of the source is added. */
  readonly replaces?: boolean;
}

export interface Fetched {
  readonly status: string;
  readonly properties: Properties;
  /** Octets of a part of a multipart answer, or of Data. */
  readonly data: Buffer;
}

export class CommandError extends Error {
  readonly status: string;

  constructor(command: string, status: string) {
    super(`${command}: ${status}`);
    this.status = status;
  }
}

const WHOLE: BodyTerms = { type: 1 };
const IN_ORDER = ["Class", "SyncKey", "CollectionId", "Status", "MoreAvailable", "Commands", "Responses"];

/** A phone: it signs in, holds copies of folders, and believes the server no more than a real one could. */
export class Phone {
  readonly wire: Wire;
  readonly folders: Map<string, PhoneFolder> = new Map();
  folderKey = "0";
  /** How often the server no more knew a folder's key. */
  restarts = 0;
  readonly #terms: FolderTerms;
  #sends = 0;

  /** `terms` are those of folders that say none. */
  constructor(options: WireOptions, terms: FolderTerms = {}) {
    this.wire = new Wire(options);
    this.#terms = terms;
  }

  [Symbol.dispose](): void {
    this.wire[Symbol.dispose]();
  }

  get version(): Version {
    return this.wire.options.version;
  }

  /** True if it speaks at least this version. */
  speaks(version: Version): boolean {
    return Number(this.version) >= Number(version);
  }

  /** A command in WBXML. Throws CommandError for an answer of HTTP that is none. */
  async command(name: string, tree?: Tree, extras: Extras = {}): Promise<Node | undefined> {
    const reply = await this.wire.command(name, tree && encode(tree), extras);
    return this.#read(name, reply);
  }

  #read(name: string, { status, body, headers }: Reply): Node | undefined {
    if (status !== 200) throw new CommandError(name, `HTTP ${status}`);
    if (body.length === 0) return undefined;
    if (headers["content-type"] !== "application/vnd.ms-sync.wbxml") throw new Error(`${headers["content-type"]}`);
    return decode(body);
  }

  /** As {@link command}, whose answer must be there and say that all is well. */
  async demand(name: string, tree: Tree, extras: Extras = {}): Promise<Node> {
    const answer = await this.command(name, tree, extras);
    if (answer?.at("Status") !== "1") throw new CommandError(name, answer?.at("Status") ?? "empty");
    return answer;
  }

  /** The first request of a phone. */
  async options(): Promise<{ readonly versions: readonly string[]; readonly commands: readonly string[] }> {
    const { wire } = this;
    const reply = await wire.exchange({
      method: "OPTIONS",
      path: "/Microsoft-Server-ActiveSync",
      headers: { authorization: wire.credentials },
      body: undefined,
    });
    if (reply.status !== 200) throw new CommandError("OPTIONS", `HTTP ${reply.status}`);
    const list = (name: string): readonly string[] => String(reply.headers[name] ?? "").split(",");
    return { versions: list("ms-asprotocolversions"), commands: list("ms-asprotocolcommands") };
  }

  /** The policies, in two phases. Returns the document that came. */
  async provision(): Promise<Node> {
    this.wire.policyKey = "0";
    const policy = (...more: readonly Tree[]): Tree => [
      "Policies",
      ["Policy", ["PolicyType", "MS-EAS-Provisioning-WBXML"], ...more],
    ];
    const device: Tree = [
      "Settings:DeviceInformation",
      ["Set", ["Model", this.wire.options.deviceType], ["OS", "Test 1"], ["FriendlyName", "A phone for tests"]],
    ];
    const first = await this.demand("Provision", [
      "Provision:Provision",
      ...(this.speaks("14.1") ? [device] : []),
      policy(),
    ]);
    const given = first.get("Policies").get("Policy");
    if (given.at("Status") !== "1") throw new CommandError("Provision", `policy ${given.at("Status")}`);
    const second = await this.demand("Provision", [
      "Provision:Provision",
      policy(["PolicyKey", given.at("PolicyKey")!], ["Status", "1"]),
    ]);
    const taken = second.get("Policies").get("Policy");
    if (taken.at("Status") !== "1" || taken.find("Data")) throw new CommandError("Provision", `${taken}`);
    this.wire.policyKey = taken.at("PolicyKey")!;
    return given.get("Data").get("EASProvisionDoc");
  }

  /** From nothing to the list of folders. */
  async setUp(): Promise<this> {
    await this.options();
    await this.provision();
    await this.folderSync();
    return this;
  }

  // Folders

  /** Brings the list of folders up to date. Returns what changed. */
  async folderSync(): Promise<readonly Node[]> {
    const answer = await this.command("FolderSync", ["FolderHierarchy:FolderSync", ["SyncKey", this.folderKey]]);
    const status = answer?.at("Status");
    if (status === "9") {
      this.folderKey = "0";
      this.folders.clear();
      return this.folderSync();
    }
    if (status !== "1") throw new CommandError("FolderSync", status ?? "empty");
    const { children } = answer!.get("Changes");
    const [count, ...changes] = children;
    if (count?.name !== "Count" || count.text !== String(changes.length)) throw new Error(`Count: ${answer}`);
    if (this.folderKey === "0") this.#forgetFolders(changes);
    this.folderKey = answer!.at("SyncKey")!;
    for (const change of changes) this.#takeFolder(change);
    // Changed folders come before new ones, and may lie in them.
    for (const { id, parent } of this.folders.values())
      if (parent !== "0" && !this.folders.has(parent))
        throw new Error(`folder ${id} is in ${parent}, which is not there`);
    return changes;
  }

  /** A list from the start has all that is left. */
  #forgetFolders(changes: readonly Node[]): void {
    const left = new Set(changes.map((change) => change.at("ServerId")));
    for (const id of this.folders.keys()) if (!left.has(id)) this.folders.delete(id);
  }

  #takeFolder(change: Node): void {
    const id = change.at("ServerId")!;
    const known = this.folders.get(id);
    if (change.name === "Delete") {
      if (!this.folders.delete(id)) throw new Error(`folder ${id} goes, and is not there`);
      return;
    }
    const [name, parent, type] = ["DisplayName", "ParentId", "Type"].map((field) => change.at(field)!) as [
      string,
      string,
      string,
    ];
    if (known) Object.assign(known, { name, parent });
    else this.folders.set(id, new PhoneFolder(id, name, parent, type, this.#terms));
  }

  /** The one folder of this type: 2 Inbox, 3 Drafts, 4 Deleted Items, 5 Sent Items. */
  ofType(type: number): PhoneFolder {
    const found = [...this.folders.values()].filter((folder) => folder.type === String(type));
    if (found.length !== 1) throw new Error(`${found.length} folders of type ${type}`);
    return found[0]!;
  }

  get inbox(): PhoneFolder {
    return this.ofType(2);
  }

  named(name: string): PhoneFolder {
    const found = [...this.folders.values()].find((folder) => folder.name === name);
    if (!found) throw new Error(`no folder ${name}`);
    return found;
  }

  async createFolder(name: string, parent = "0"): Promise<PhoneFolder> {
    const answer = await this.demand("FolderCreate", [
      "FolderHierarchy:FolderCreate",
      ["SyncKey", this.folderKey],
      ["ParentId", parent],
      ["DisplayName", name],
      ["Type", "12"],
    ]);
    this.folderKey = answer.at("SyncKey")!;
    const folder = new PhoneFolder(answer.at("ServerId")!, name, parent, "12", this.#terms);
    this.folders.set(folder.id, folder);
    return folder;
  }

  async updateFolder(folder: PhoneFolder, name: string, parent: string = folder.parent): Promise<void> {
    const answer = await this.demand("FolderUpdate", [
      "FolderHierarchy:FolderUpdate",
      ["SyncKey", this.folderKey],
      ["ServerId", folder.id],
      ["ParentId", parent],
      ["DisplayName", name],
    ]);
    this.folderKey = answer.at("SyncKey")!;
    Object.assign(folder, { name, parent });
  }

  async deleteFolder(folder: PhoneFolder): Promise<void> {
    const answer = await this.demand("FolderDelete", [
      "FolderHierarchy:FolderDelete",
      ["SyncKey", this.folderKey],
      ["ServerId", folder.id],
    ]);
    this.folderKey = answer.at("SyncKey")!;
    for (const gone of this.#below(folder)) this.folders.delete(gone.id);
  }

  /** A folder and all within it. */
  #below(folder: PhoneFolder): readonly PhoneFolder[] {
    const found = [folder];
    for (const one of found)
      found.push(...[...this.folders.values()].filter(({ parent, id }) => parent === one.id && id !== one.id));
    return found;
  }

  // Sync

  /** One Sync of these folders, with what the phone has done there. */
  async sync(requests: readonly FolderRequest[], terms: SyncTerms = {}): Promise<SyncResult> {
    const tree: Tree = [
      "AirSync:Sync",
      ["Collections", ...requests.map((request) => this.#collectionOf(request))],
      ...(terms.waitMinutes === undefined ? [] : [["Wait", String(terms.waitMinutes)] as Tree]),
      ...(terms.heartbeatSeconds === undefined ? [] : [["HeartbeatInterval", String(terms.heartbeatSeconds)] as Tree]),
      ...(terms.window === undefined ? [] : [["WindowSize", String(terms.window)] as Tree]),
    ];
    const answer = await this.command("Sync", tree, { signal: terms.signal });
    return this.takeSync(answer, requests);
  }

  /** The last full Sync once more, without a word. */
  async emptySync(requests: readonly FolderRequest[]): Promise<SyncResult> {
    return this.takeSync(await this.command("Sync"), requests);
  }

  /** Brings a folder up to date. Returns the number of Syncs. A key that is no more known begins it again. */
  async syncAll(folder: PhoneFolder, commands: readonly Command[] = []): Promise<number> {
    if (folder.key === "0") await this.#one({ folder });
    let left = commands;
    for (let count = 1; ; count++) {
      if (count > 10_000) throw new Error(`${folder.name} has no end`);
      const { status, more } = await this.#one({ folder, commands: left });
      if (status === "3") {
        this.restarts += 1;
        folder.restart();
        await this.#one({ folder });
        continue;
      }
      if (status !== "1") throw new CommandError("Sync", status);
      left = [];
      if (!more) return count;
    }
  }

  /** All folders that hold mail. */
  async syncEverything(): Promise<void> {
    await this.folderSync();
    for (const folder of this.mailFolders) await this.syncAll(folder);
  }

  get mailFolders(): readonly PhoneFolder[] {
    return [...this.folders.values()].filter(({ type }) => ["1", "2", "3", "4", "5", "12"].includes(type));
  }

  async #one(request: FolderRequest): Promise<FolderResult> {
    const { status, folders } = await this.sync([request]);
    if (status !== "1") throw new CommandError("Sync", status);
    return folders.get(request.folder.id) ?? { status: "1", more: false, commands: [], responses: [] };
  }

  #collectionOf({ folder, commands = [], getChanges, deletesForGood = false }: FolderRequest): Tree {
    const isFirst = folder.key === "0";
    const { window, filter, body, mime } = folder.terms;
    const options: Tree = [
      "Options",
      ...(filter === undefined ? [] : [["FilterType", String(filter)] as Tree]),
      ...(mime === undefined ? [] : [["MIMESupport", String(mime)] as Tree]),
      ...(body ?? []).map(preferenceOf),
    ];
    return [
      "Collection",
      ...(this.speaks("14.0") ? [] : [["Class", "Email"] as Tree]),
      ["SyncKey", folder.key],
      ["CollectionId", folder.id],
      ...(isFirst
        ? []
        : [
            ["DeletesAsMoves", deletesForGood ? "0" : "1"] as Tree,
            ["GetChanges", getChanges === false ? "0" : "1"] as Tree,
            ...(window === undefined ? [] : [["WindowSize", String(window)] as Tree]),
            ...(options.length > 1 ? [options] : []),
            ...(commands.length > 0 ? [["Commands", ...commands.map(commandTree)] as Tree] : []),
          ]),
    ];
  }

  /** Takes an answer to a Sync of these folders. Throws for what a phone would crash at. */
  takeSync(answer: Node | undefined, requests: readonly FolderRequest[]): SyncResult {
    if (!answer) {
      if (requests.some(({ folder, commands = [] }) => folder.key === "0" || commands.length > 0))
        throw new Error("an empty answer where there was something to say");
      return { status: "1", folders: new Map() };
    }
    const status = answer.at("Status");
    if (status !== undefined && status !== "1") return { status, folders: new Map() };
    const collections = answer.get("Collections").children;
    if (collections.length === 0) throw new Error("Collections is empty");
    const folders = new Map<string, FolderResult>();
    for (const collection of collections) {
      const id = collection.at("CollectionId")!;
      const request = requests.find(({ folder }) => folder.id === id);
      if (!request || folders.has(id)) throw new Error(`nobody asked for ${id}, or twice: ${answer}`);
      folders.set(id, takeCollection(collection, request));
    }
    return { status: "1", folders };
  }

  // Acts of a person

  /** Changes an item's properties, and takes what is new besides. */
  async change(folder: PhoneFolder, id: string, ...data: readonly Tree[]): Promise<void> {
    await this.syncAll(folder, [{ kind: "change", id, data }]);
  }

  async read(folder: PhoneFolder, id: string, isRead = true): Promise<void> {
    await this.change(folder, id, ["Email:Read", isRead ? "1" : "0"]);
  }

  async flag(folder: PhoneFolder, id: string, isFlagged = true): Promise<void> {
    const flag: Tree = isFlagged ? ["Email:Flag", ["Status", "2"], ["FlagType", "for Follow Up"]] : ["Email:Flag"];
    await this.change(folder, id, flag);
  }

  async delete(folder: PhoneFolder, ...ids: readonly string[]): Promise<void> {
    await this.syncAll(
      folder,
      ids.map((id) => ({ kind: "delete", id })),
    );
  }

  /** A draft, from 16.0 on. Returns its id; the phone holds it as the server gives it. */
  async addDraft(clientId: string, ...data: readonly Tree[]): Promise<string> {
    const folder = this.ofType(3);
    if (folder.key === "0") await this.syncAll(folder);
    const command: Command = { kind: "add", clientId, data };
    const { status, folders } = await this.sync([{ folder, commands: [command] }]);
    const added = folders.get(folder.id)?.responses.find((response) => response.name === "Add");
    if (status !== "1" || added?.at("Status") !== "1") throw new CommandError("Sync", `${added}`);
    const id = added.at("ServerId")!;
    await this.refresh(folder, id);
    return id;
  }

  /** Takes an item whole, as the server has it. */
  async refresh(folder: PhoneFolder, id: string): Promise<void> {
    await this.syncAll(folder, [{ kind: "fetch", id }]);
  }

  /** Waits for changes in these folders; without them in those of the Ping before. */
  async ping(
    folders?: readonly PhoneFolder[],
    { seconds, signal }: { readonly seconds?: number; readonly signal?: AbortSignal } = {},
  ): Promise<{ readonly status: string; readonly folders: readonly string[]; readonly answer: Node }> {
    const list: Tree | undefined = folders && [
      "Folders",
      ...folders.map(({ id }): Tree => ["Folder", ["Id", id], ["Class", "Email"]]),
    ];
    const hasBody = seconds !== undefined || list !== undefined;
    const tree: Tree = [
      "Ping:Ping",
      ...(seconds === undefined ? [] : [["HeartbeatInterval", String(seconds)] as Tree]),
      ...(list ? [list] : []),
    ];
    const answer = await this.command("Ping", hasBody ? tree : undefined, { signal });
    if (!answer) throw new CommandError("Ping", "empty");
    const named = answer.find("Folders")?.children.map(({ text }) => text) ?? [];
    return { status: answer.at("Status")!, folders: named, answer };
  }

  /** Moves items. Returns their new ids, in the same order: a Sync of the other folder brings them. Throws CommandError. */
  async move(from: PhoneFolder, to: PhoneFolder, ...ids: readonly string[]): Promise<readonly string[]> {
    const answer = await this.command("MoveItems", [
      "Move:MoveItems",
      ...ids.map((id): Tree => ["Move", ["SrcMsgId", id], ["SrcFldId", from.id], ["DstFldId", to.id]]),
    ]);
    const responses = answer!.all("Response");
    if (responses.length !== ids.length) throw new Error(`${responses.length} answers to ${ids.length} moves`);
    return responses.map((response, index) => {
      const id = ids[index]!;
      if (response.at("SrcMsgId") !== id) throw new Error(`an answer to another move: ${response}`);
      if (response.at("Status") !== "3") throw new CommandError("MoveItems", response.at("Status") ?? "none");
      from.items.delete(id);
      from.movedAway.add(id);
      const fresh = response.at("DstMsgId");
      if (!fresh) throw new Error(`moved, and nobody says where to: ${response}`);
      return fresh;
    });
  }

  /** Fetches an item's properties. */
  async fetchItem(folder: PhoneFolder, id: string, body: BodyTerms = WHOLE, multipart = false): Promise<Fetched> {
    return this.#fetch(
      [
        ["Store", "Mailbox"],
        ["AirSync:CollectionId", folder.id],
        ["AirSync:ServerId", id],
        ["Options", ...(body.type === 4 ? [["AirSync:MIMESupport", "2"] as Tree] : []), preferenceOf(body)],
      ],
      multipart,
    );
  }

  /** Fetches an attachment, or octets `range` of it. */
  async fetchAttachment(
    reference: string,
    { range = "", multipart = false }: { readonly range?: string; readonly multipart?: boolean } = {},
  ): Promise<Fetched> {
    const options: readonly Tree[] = range === "" ? [] : [["Options", ["Range", range]]];
    return this.#fetch([["Store", "Mailbox"], ["AirSyncBase:FileReference", reference], ...options], multipart);
  }

  async #fetch(what: readonly Tree[], multipart: boolean): Promise<Fetched> {
    const tree: Tree = ["ItemOperations:ItemOperations", ["Fetch", ...what]];
    const reply = await this.wire.command("ItemOperations", encode(tree), { multipart });
    const isParts = reply.headers["content-type"] === "application/vnd.ms-sync.multipart";
    if (isParts !== multipart) throw new Error(`multipart ${multipart}: ${reply.headers["content-type"]}`);
    const parts = isParts ? partsOf(reply.body) : [];
    const answer = isParts ? decode(parts[0]!) : this.#read("ItemOperations", reply)!;
    if (answer.at("Status") !== "1") throw new CommandError("ItemOperations", answer.at("Status") ?? "none");
    const fetched = answer.get("Response").get("Fetch");
    const properties = fetched.find("Properties");
    const holder = properties?.find("Body") ?? properties;
    const part = holder?.at("Part");
    const data = holder?.find("Data");
    const isFile = properties?.find("Body") === undefined;
    return {
      status: fetched.at("Status")!,
      properties: properties ? propertiesOf(properties) : {},
      data: part === undefined ? dataOf(data, isFile) : parts[Number(part)]!,
    };
  }

  // Sending

  /** Sends a mail. Throws CommandError. */
  async sendMail(mime: string, terms: SendTerms = {}): Promise<void> {
    await this.#compose("SendMail", mime, terms);
  }

  async smartReply(source: Source, mime: string, terms: SendTerms = {}): Promise<void> {
    await this.#compose("SmartReply", mime, terms, source);
  }

  async smartForward(source: Source, mime: string, terms: SendTerms = {}): Promise<void> {
    await this.#compose("SmartForward", mime, terms, source);
  }

  newClientId(): string {
    this.#sends += 1;
    return `${this.wire.options.deviceId}-${this.#sends}`;
  }

  async #compose(
    name: "SendMail" | "SmartReply" | "SmartForward",
    mime: string,
    { clientId = this.newClientId(), saves = true, replaces = false }: SendTerms,
    source?: Source,
  ): Promise<void> {
    const bytes = Uint8Array.from(Buffer.from(mime));
    if (!this.speaks("14.0")) {
      const params = {
        ...(saves && { SaveInSent: "T" }),
        ...(source && { CollectionId: source.folderId, ItemId: source.itemId }),
      };
      const reply = await this.wire.command(name, bytes, { params, contentType: "message/rfc822" });
      if (reply.status !== 200) throw new CommandError(name, `HTTP ${reply.status}`);
      return;
    }
    const answer = await this.command(name, [
      `ComposeMail:${name}`,
      ["ClientId", clientId],
      ...(source ? [["Source", ["FolderId", source.folderId], ["ItemId", source.itemId]] as Tree] : []),
      ...(saves ? [["SaveInSentItems"] as Tree] : []),
      ...(replaces ? [["ReplaceMime"] as Tree] : []),
      ["Mime", bytes],
    ]);
    // A phone that sends a mail again is told that it is sent already.
    if (answer && !(this.wire.isRepeat && answer.at("Status") === "118"))
      throw new CommandError(name, answer.at("Status") ?? `${answer}`);
  }

  // Looking

  /** Searches the mailbox, or a folder with all below it. Returns hits, newest first, and how many there are. */
  async search(
    text: string,
    { folder, range = "0-99" }: { readonly folder?: PhoneFolder; readonly range?: string } = {},
  ): Promise<{ readonly status: string; readonly hits: readonly Node[]; readonly total: number }> {
    const answer = await this.demand("Search", [
      "Search:Search",
      [
        "Store",
        ["Name", "Mailbox"],
        [
          "Query",
          [
            "And",
            ["AirSync:Class", "Email"],
            ...(folder ? [["AirSync:CollectionId", folder.id] as Tree] : []),
            ["FreeText", text],
          ],
        ],
        ["Options", ["RebuildResults"], ["Range", range], ["DeepTraversal"], preferenceOf({ type: 1, size: 512 })],
      ],
    ]);
    const store = answer.get("Response").get("Store");
    const hits = store.all("Result").filter((result) => result.children.length > 0);
    return { status: store.at("Status")!, hits, total: Number(store.at("Total") ?? hits.length) };
  }

  /** Looks for people. */
  async searchPeople(text: string): Promise<readonly Properties[]> {
    const answer = await this.demand("Search", [
      "Search:Search",
      ["Store", ["Name", "GAL"], ["Query", text], ["Options", ["Range", "0-49"]]],
    ]);
    const store = answer.get("Response").get("Store");
    return store
      .all("Result")
      .filter((result) => result.children.length > 0)
      .map((result) => propertiesOf(result.get("Properties")));
  }

  /** From 16.1 on. */
  async find(
    text: string,
    { folder, range = "0-99" }: { readonly folder?: PhoneFolder; readonly range?: string } = {},
  ): Promise<{ readonly status: string; readonly hits: readonly Node[]; readonly total: number }> {
    const query: Tree = [
      "Query",
      ["AirSync:Class", "Email"],
      ...(folder ? [["AirSync:CollectionId", folder.id] as Tree] : []),
      ["FreeText", text],
    ];
    const answer = await this.demand("Find", [
      "Find:Find",
      ["SearchId", "6A5B2C1D-0000-4000-8000-000000000001"],
      ["ExecuteSearch", ["MailBoxSearchCriterion", query, ["Options", ["Range", range], ["DeepTraversal"]]]],
    ]);
    const response = answer.get("Response");
    return {
      status: response.at("Status")!,
      hits: response.all("Result"),
      total: Number(response.at("Total") ?? response.all("Result").length),
    };
  }

  /** How many commands a Sync would bring. */
  async estimate(folder: PhoneFolder): Promise<{ readonly status: string; readonly count: number }> {
    const filter: readonly Tree[] =
      folder.terms.filter === undefined ? [] : [["AirSync:FilterType", String(folder.terms.filter)]];
    const collection: Tree = this.speaks("14.0")
      ? [
          "Collection",
          ["AirSync:SyncKey", folder.key],
          ["CollectionId", folder.id],
          ...(filter.length > 0 ? [["AirSync:Options", ...filter] as Tree] : []),
        ]
      : ["Collection", ["Class", "Email"], ["CollectionId", folder.id], ...filter, ["AirSync:SyncKey", folder.key]];
    const answer = await this.command("GetItemEstimate", [
      "GetItemEstimate:GetItemEstimate",
      ["Collections", collection],
    ]);
    const response = answer!.get("Response");
    return { status: response.at("Status")!, count: Number(response.find("Collection")?.at("Estimate") ?? Number.NaN) };
  }

  async settings(...what: readonly Tree[]): Promise<Node> {
    return this.demand("Settings", ["Settings:Settings", ...what]);
  }

  /** All that it holds, to be compared with what another phone holds. */
  copy(): Readonly<Record<string, unknown>> {
    return Object.fromEntries(
      [...this.folders.values()].map(({ id, name, parent, type, items }) => [
        id,
        { name, parent, type, items: Object.fromEntries([...items].sort(([a], [b]) => (a < b ? -1 : 1))) },
      ]),
    );
  }
}

/** Throws for what a phone would crash at. */
function takeCollection(collection: Node, { folder, commands: sent = [] }: FolderRequest): FolderResult {
  const names = collection.children.map(({ name }) => name);
  const places = names.map((name) => IN_ORDER.indexOf(name));
  if (places.some((place, at) => place < 0 || (at > 0 && place <= places[at - 1]!)))
    throw new Error(`a collection of ${names.join(", ")}`);
  const status = collection.at("Status")!;
  const commands = collection.find("Commands")?.children;
  const responses = collection.find("Responses")?.children;
  for (const list of [commands, responses]) if (list?.length === 0) throw new Error(`an empty list in ${collection}`);
  const key = collection.at("SyncKey")!;
  if (status !== "1") return { status, more: false, commands: [], responses: [] };
  const { window = 100 } = folder.terms;
  if ((commands?.length ?? 0) > window) throw new Error(`${commands!.length} commands in a window of ${window}`);
  if (folder.key === "0" && commands) throw new Error("items with the first key");
  folder.key = key;
  const failed = new Map((responses ?? []).map((one) => [one.at("ServerId"), one.at("Status")]));
  for (const command of sent) {
    if (command.kind === "add") continue;
    const end = failed.get(command.id) ?? "1";
    if (end === "1") folder.did(command);
    // An item that is not there to be deleted is deleted: the server may say so besides.
    else if (end === "8" && command.kind === "delete" && folder.items.delete(command.id))
      folder.movedAway.add(command.id);
  }
  for (const response of responses ?? []) {
    const id = response.at("ServerId");
    const data = response.find("ApplicationData");
    if (response.name === "Add" && response.at("Status") === "1" && id) {
      const added = sent.find((one) => one.kind === "add" && one.clientId === response.at("ClientId"));
      if (!added) throw new Error(`an answer to an Add that was none: ${response}`);
      folder.items.set(id, data ? propertiesOf(data) : {});
    } else if (response.name === "Fetch" && data && id) folder.items.set(id, propertiesOf(data));
  }
  for (const command of commands ?? []) folder.take(command);
  return { status, more: names.includes("MoreAvailable"), commands: commands ?? [], responses: responses ?? [] };
}

function commandTree(command: Command): Tree {
  switch (command.kind) {
    case "add":
      return [
        "Add",
        ["ClientId", command.clientId],
        ...(command.send ? [["Email2:Send"] as Tree] : []),
        ["ApplicationData", ...command.data],
      ];
    case "change":
      return [
        "Change",
        ["ServerId", command.id],
        ...(command.send ? [["Email2:Send"] as Tree] : []),
        ["ApplicationData", ...command.data],
      ];
    case "delete":
      return ["Delete", ["ServerId", command.id]];
    case "fetch":
      return ["Fetch", ["ServerId", command.id]];
  }
}

function preferenceOf({ type, size, allOrNone, preview }: BodyTerms): Tree {
  return [
    "AirSyncBase:BodyPreference",
    ["Type", String(type)],
    ...(size === undefined ? [] : [["TruncationSize", String(size)] as Tree]),
    ...(allOrNone === undefined ? [] : [["AllOrNone", allOrNone ? "1" : "0"] as Tree]),
    ...(preview === undefined ? [] : [["Preview", String(preview)] as Tree]),
  ];
}

/** A file's Data is base64; a body's the text itself, or octets. */
function dataOf(data: Node | undefined, isFile: boolean): Buffer {
  if (data?.bytes) return Buffer.from(data.bytes);
  return isFile ? Buffer.from(data?.text ?? "", "base64") : Buffer.from(data?.text ?? "");
}
