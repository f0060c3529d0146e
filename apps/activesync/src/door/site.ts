import { type AccountSession, type Attendant, EngineError } from "@restante/engine";
import { type Answer, type DoorRequest, type Log, PACE, Problem, type Site } from "@restante/host";
import { decode, type Element, encode, SchemaError, WbxmlError } from "wbxml";
import { COMMAND_NAMES, COMMANDS } from "../commands/index.ts";
import { itemOperations, multipart, openFile } from "../commands/item-operations.ts";
import { ping, pingEnd } from "../commands/ping.ts";
import { provision } from "../commands/provision.ts";
import { type SendCommand, sendMail } from "../commands/send-mail.ts";
import type { Context } from "../context.ts";
import { admitDevice } from "../device/admit.ts";
import type { Policy } from "../device/policy.ts";
import { REQUEST_BYTES_MAX } from "../limits.ts";
import { HtmlThread, HtmlTrouble } from "../mail/html-thread.ts";
import { Phones } from "../phones.ts";
import { group, leaf } from "../protocol/elements.ts";
import { redactElement } from "../protocol/redact.ts";
import { CommandError, hasCommonStatus, problemOf, STATUS } from "../protocol/status.ts";
import { VERSIONS, type Version } from "../protocol/version.ts";
import { seenOf, Wait, type WaitRequest } from "../push/wait.ts";
import type { WaitLimits } from "../sync/request.ts";
import { sync } from "../sync/sync.ts";
import { type Query, readQuery } from "./query.ts";

/** How requests are let in: by whoever opens the door. */
export interface SignIn {
  signIn(request: DoorRequest, needs: { readonly scope: string }): Promise<SignedIn>;
}
export interface SignedIn extends Disposable {
  readonly session: AccountSession;
  attend(attendant: Attendant): void;
}

export interface ActiveSyncOptions {
  readonly auth: SignIn;
  /** The engine's errors as problems. */
  readonly explain: (error: unknown) => Error | undefined;
  readonly policy: Policy;
  readonly waits: WaitLimits;
  /** Outlook for iOS and Android hands the password to its maker's servers: it is let in only where that is wanted. */
  readonly allowsOutlook: boolean;
  readonly log: Log;
  /** Told of each command that was answered; of one that waits, when it begins to. */
  readonly onCommand?: (command: PhoneCommand) => void;
}

/** A command, as its operator may know of it. */
export interface PhoneCommand {
  /** `unknown` for what is none. */
  readonly command: string;
  /** `ok`, `waits`, or what it was refused by: a status of ActiveSync's, of HTTP's, or an error's code. */
  readonly outcome: string;
  readonly ms: number;
  readonly session: AccountSession;
  /** Lines for a trace, without contents. */
  dialogue(): readonly string[];
}

/** The scope that a token for ActiveSync must have. */
const SCOPE = "mail";
const PATH = "/Microsoft-Server-ActiveSync";
const WBXML_TYPE = "application/vnd.ms-sync.wbxml";
const MULTIPART_TYPE = "application/vnd.ms-sync.multipart";
const SENDING: ReadonlySet<string> = new Set(["SendMail", "SmartReply", "SmartForward"]);
const SERVER_HEADERS: Readonly<Record<string, string>> = {
  "ms-server-activesync": "16.1",
  "cache-control": "private",
};
const LISTS: Readonly<Record<string, string>> = {
  "ms-asprotocolversions": [...VERSIONS.keys()].join(","),
  "ms-asprotocolcommands": COMMAND_NAMES.join(","),
};

/** ActiveSync behind the HTTPS door (MS-ASHTTP), and what ends all that wait when the server stops. */
export function activeSyncSite(options: ActiveSyncOptions): Site & { stop(): Promise<void> } {
  const phones = new Phones();
  const html = new HtmlThread();
  const handle = (request: DoorRequest): Promise<Answer> => serve(request, options, phones, html);
  return {
    explain: options.explain,
    routes: [
      {
        method: "OPTIONS",
        path: PATH,
        anyCase: true,
        async handle(request) {
          using _signedIn = await options.auth.signIn(request, { scope: SCOPE });
          return nothing(LISTS);
        },
      },
      { method: "POST", path: PATH, anyCase: true, bodyBytesMax: REQUEST_BYTES_MAX, handle },
    ],
    async stop() {
      phones.endAll();
      await html.dispose();
    },
  };
}

/** An answer without a body, and without a type: phones stumble over one. */
function nothing(headers: Readonly<Record<string, string>> = {}): Answer {
  return { status: 200, headers: { ...SERVER_HEADERS, ...headers, "content-length": "0" } };
}

function document(root: Element): Answer {
  return { status: 200, headers: { ...SERVER_HEADERS, "content-type": WBXML_TYPE }, body: encode(root) };
}

/** The result of a command when its session is closed: an answer, or a wait. */
type Outcome =
  | { readonly answer: Answer; readonly delayMs?: number }
  | { readonly wait: Wait; end(end: Awaited<Wait["end"]>): Answer };

async function serve(
  request: DoorRequest,
  options: ActiveSyncOptions,
  phones: Phones,
  html: HtmlThread,
): Promise<Answer> {
  const query = readQuery(request.rawQuery);
  if (!query) throw new Problem(400, "The query can't be read");
  const outcome = await served(request, query, options, phones, html);
  // From here on nothing of the account is held.
  if ("wait" in outcome) return outcome.end(await outcome.wait.end);
  if (outcome.delayMs) await pause(outcome.delayMs, request.signal);
  return outcome.answer;
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      resolve();
    };
    const timer = setTimeout(end, ms).unref();
    signal.addEventListener("abort", end, { once: true });
  });
}

async function served(
  request: DoorRequest,
  query: Query,
  options: ActiveSyncOptions,
  phones: Phones,
  html: HtmlThread,
): Promise<Outcome> {
  using signedIn = await options.auth.signIn(request, { scope: SCOPE });
  const { session } = signedIn;
  const version = versionOf(request, query);
  const { command } = query;
  const begunAt = performance.now();
  let asked: Element | undefined;
  const onBody = (body: Element | undefined): void => {
    asked = body;
  };
  const tell = (outcome: string, answer?: Answer): void =>
    options.onCommand?.({
      command: COMMAND_NAMES.some((name) => name === command) ? command : "unknown",
      outcome,
      ms: performance.now() - begunAt,
      session,
      dialogue: () => dialogueOf(query, asked, outcome, answer),
    });
  try {
    if (version === undefined) throw new CommandError(STATUS.versionUnknown, "no version that is served");
    if (query.deviceId === "") throw new CommandError(STATUS.deviceIdInvalid, "no DeviceId");
    if (query.deviceType === "") throw new CommandError(STATUS.deviceTypeInvalid, "no DeviceType");
    if (!COMMAND_NAMES.some((name) => name === command))
      throw new CommandError(STATUS.commandUnknown, "no such command");
    const context = contextOf(request, query, version, session, options, phones, html);
    const bytes = await bodyOf(request, context);
    const outcome = await context.phone.alone(() =>
      answered(context, query, bytes, request, signedIn, { ...options, onBody }),
    );
    if ("wait" in outcome) tell("waits");
    else tell("ok", outcome.answer);
    return outcome;
  } catch (error) {
    tell(outcomeOf(error));
    // Nobody is there to be answered, and what was under way has ended with it.
    if (request.signal.aborted) return { answer: nothing() };
    return { answer: failure(error, command, version ?? 14.1, options) };
  }
}

/** Octets of a body that may come beside others of its phone. */
const SMALL_BODY_BYTES_MAX = 64 * 1024;

async function bodyOf(request: DoorRequest, { phone }: Context): Promise<Uint8Array> {
  const announced = Number(request.header("content-length") ?? Number.POSITIVE_INFINITY);
  return announced <= SMALL_BODY_BYTES_MAX ? request.bytes() : phone.receiving(() => request.bytes());
}

/** The header's, or that of the base64 query; a request that names none is of the oldest. */
function versionOf(request: DoorRequest, { version }: Query): Version | undefined {
  if (version !== undefined) return version === "unknown" ? undefined : version;
  const header = request.header("ms-asprotocolversion");
  return header === undefined ? 12.1 : VERSIONS.get(header.trim());
}

function contextOf(
  request: DoorRequest,
  query: Query,
  version: Version,
  session: AccountSession,
  { waits, log }: ActiveSyncOptions,
  phones: Phones,
  html: HtmlThread,
): Context {
  return {
    session,
    version,
    deviceId: query.deviceId,
    deviceType: query.deviceType,
    userAgent: (request.header("user-agent") ?? "").slice(0, USER_AGENT_CHARS_MAX),
    policyKey: query.policyKey ?? (Number(request.header("x-ms-policykey") ?? 0) || 0),
    parameters: query.parameters,
    acceptsMultipart: query.parameters.acceptsMultipart === true || request.header("ms-asacceptmultipart") === "T",
    phone: phones.of(session.account, query.deviceId),
    waits,
    pace: PACE,
    html,
    signal: request.signal,
    now: Date.now,
    random: (bytes) => crypto.getRandomValues(new Uint8Array(bytes)),
    log,
  };
}

const USER_AGENT_CHARS_MAX = 256;

async function answered(
  context: Context,
  { command }: Query,
  bytes: Uint8Array,
  request: DoorRequest,
  signedIn: SignedIn,
  options: ActiveSyncOptions & { readonly onBody: (body: Element | undefined) => void },
): Promise<Outcome> {
  const { session, version, phone } = context;
  const admitted = await admitDevice(command, context, options);
  // Changes that were acknowledged before the request came are in its answer.
  await session.refresh(request.arrivedAt);
  if (command === "GetAttachment") return { answer: await attachment(context) };
  const isRaw = SENDING.has(command) && version < 14;
  const body = isRaw || bytes.length === 0 ? undefined : decode(bytes);
  options.onBody(body);
  if (SENDING.has(command)) {
    await sendMail(command as SendCommand, body, isRaw ? bytes : undefined, context);
    return { answer: nothing() };
  }
  switch (command) {
    case "Sync": {
      phone.endWait();
      const [wait, since] = [attended(signedIn), seenOf(session.state)];
      const answer = await sync(body, context);
      if (answer.kind === "answer") return { answer: document(answer.root) };
      if (answer.kind === "nothing") return { answer: nothing() };
      const begun = wait({ ...answer, version, phone, since, known: undefined, signal: request.signal });
      // The next request brings what is needed to tell more.
      return { wait: begun, end: () => nothing() };
    }
    case "Ping": {
      phone.endWait();
      const [wait, since] = [attended(signedIn), seenOf(session.state)];
      const answer = await ping(body, context);
      if (answer.kind === "answer") return { answer: document(answer.root), delayMs: answer.holdBackMs };
      const known = phone.folders?.folders;
      const begun = wait({ ...answer, version, phone, since, known, signal: request.signal });
      return { wait: begun, end: (end) => document(pingEnd(end)) };
    }
    case "Provision":
      return { answer: document(await provision(body, admitted.device, options.policy, context)) };
    case "ItemOperations": {
      const { root, parts } = await itemOperations(body, context);
      return { answer: context.acceptsMultipart ? inParts(root, parts) : document(root) };
    }
    default:
      return { answer: document(await COMMANDS.get(command)!(body, context)) };
  }
}

/** News are listened for before it is looked whether there are any, so that none falls between. */
function attended(signedIn: SignedIn): (request: WaitRequest) => Wait {
  let wait: Wait | undefined;
  const early: Parameters<Attendant["changed"]>[0][] = [];
  signedIn.attend({
    changed(news) {
      if (wait) wait.changed(news);
      else early.push(news);
    },
    ended: () => wait?.ended(),
  });
  return (request) => {
    wait = new Wait(request);
    for (const news of early) wait.changed(news);
    return wait;
  };
}

function inParts(root: Element, parts: Awaited<ReturnType<typeof itemOperations>>["parts"]): Answer {
  const whole = multipart(encode(root), parts);
  const headers = { ...SERVER_HEADERS, "content-type": MULTIPART_TYPE, "content-length": String(whole.size) };
  return { status: 200, headers, body: whole.read() };
}

/** GetAttachment, to 14.1: MS-ASCMD §2.2.1.7. */
async function attachment(context: Context): Promise<Answer> {
  const file = await openFile(context.parameters.attachmentName ?? "", context);
  if (!file) throw new Problem(404, "There is no such attachment");
  const { body, type } = file;
  const headers = { ...SERVER_HEADERS, "content-type": type, "content-length": String(body.size) };
  return { status: 200, headers, body: body.read(0, body.size) };
}

/** For a trace: the command, and what was said each way. */
function dialogueOf(
  { command, deviceId }: Query,
  asked: Element | undefined,
  outcome: string,
  answer?: Answer,
): readonly string[] {
  const name = COMMAND_NAMES.some((one) => one === command) ? command : "unknown";
  const body = answer?.body;
  const told =
    body instanceof Uint8Array && answer?.headers?.["content-type"] === WBXML_TYPE ? decode(body) : undefined;
  return [
    `C: ${name} device=${/^\w{1,32}$/.test(deviceId) ? deviceId : "?"}${asked ? ` ${redactElement(asked)}` : ""}`,
    `S: ${outcome}${told ? ` ${redactElement(told)}` : ""}`,
  ];
}

/** The error of a command as a status or code, for the log. */
function outcomeOf(error: unknown): string {
  const known = commandErrorOf(error);
  if (known) return String(known.status);
  if (error instanceof Problem) return String(error.status);
  return error instanceof EngineError ? error.code : "failed";
}

/** The answer to an error, in the form of the request's version. Throws errors that no status stands for. */
function failure(error: unknown, command: string, version: Version, { explain }: ActiveSyncOptions): Answer {
  const known = commandErrorOf(error);
  if (!known) throw explain(error) ?? error;
  if (!hasCommonStatus(version) || !ROOTS[command]) throw problemOf(known);
  const [root, status] = ROOTS[command];
  return document(group(root, leaf(status, known.status)));
}

function commandErrorOf(error: unknown): CommandError | undefined {
  if (error instanceof CommandError) return error;
  if (error instanceof WbxmlError) return new CommandError(STATUS.invalidWbxml, error.message);
  if (error instanceof HtmlTrouble) return new CommandError(STATUS.smartFailed, error.message);
  if (error instanceof SchemaError) return new CommandError(STATUS.invalidXml, error.message);
  if (!(error instanceof EngineError)) return undefined;
  // A trouble that passes is told by HTTP: phones throw nothing away for that.
  return error.code === "over-quota" ? new CommandError(STATUS.quotaExceeded, error.message) : undefined;
}

/** Where a common status stands, by command. */
const ROOTS: Readonly<Record<string, readonly [root: string, status: string]>> = {
  Sync: ["AirSync:Sync", "AirSync:Status"],
  SendMail: ["ComposeMail:SendMail", "ComposeMail:Status"],
  SmartReply: ["ComposeMail:SmartReply", "ComposeMail:Status"],
  SmartForward: ["ComposeMail:SmartForward", "ComposeMail:Status"],
  FolderSync: ["FolderHierarchy:FolderSync", "FolderHierarchy:Status"],
  FolderCreate: ["FolderHierarchy:FolderCreate", "FolderHierarchy:Status"],
  FolderDelete: ["FolderHierarchy:FolderDelete", "FolderHierarchy:Status"],
  FolderUpdate: ["FolderHierarchy:FolderUpdate", "FolderHierarchy:Status"],
  MoveItems: ["Move:MoveItems", "Move:Status"],
  GetItemEstimate: ["GetItemEstimate:GetItemEstimate", "GetItemEstimate:Status"],
  MeetingResponse: ["MeetingResponse:MeetingResponse", "MeetingResponse:Status"],
  Search: ["Search:Search", "Search:Status"],
  Settings: ["Settings:Settings", "Settings:Status"],
  Ping: ["Ping:Ping", "Ping:Status"],
  ItemOperations: ["ItemOperations:ItemOperations", "ItemOperations:Status"],
  Provision: ["Provision:Provision", "Provision:Status"],
  ResolveRecipients: ["ResolveRecipients:ResolveRecipients", "ResolveRecipients:Status"],
  ValidateCert: ["ValidateCert:ValidateCert", "ValidateCert:Status"],
  Find: ["Find:Find", "Find:Status"],
};
