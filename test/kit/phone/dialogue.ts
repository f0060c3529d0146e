import { connectImap, connectLmtp, deliver, type LineClient } from "../line-client.ts";
import type { RunningServer } from "../server.ts";
import { decode, linesOf, type Node, type Token, tokensOf } from "./wbxml.ts";
import type { Reply, Sent, Wire } from "./wire.ts";

/**
 * Dialogues of phones, one scene a file: what a phone sends as octets with the meaning of each line, what it must be answered by
 * its meaning alone.
 *
 *     # why
 *     deliver: text                  hands a mail over by LMTP; {CRLF} is a line end
 *     imap: command -> text          with the INBOX selected; the text stands in the answer
 *     > POST ?Cmd=Sync&User=USER     a request; its path is the protocol's, or one that is said. Headers follow, each after ">"
 *     ? 8C 00 09 04  | meaning       octets of the query, which is sent as base64
 *     4B 03 "<k1>" 00 01  | meaning  octets of the body: hex digits, and texts in quotes
 *     < 200                          the answer: its status, headers, then the document, a child two blanks deeper
 *     < empty                        there is no body
 *     < body text                    the body is no document, but this
 *     < ...                          any children, up to one that the next line fits
 *     < ...lost                      the same where an answer was lost, nothing else
 *
 * `<name>` in an answer stands for a word, the same one wherever the name comes again, in requests too; `<...>` for anything.
 * `<name:u32>` is a number as four octets. `USER` is the account's address. An answer is waited for where its first line stands:
 * what stands between happens while the phone waits.
 */
export interface Request {
  readonly line: number;
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly query: Buffer | undefined;
  readonly body: Buffer | undefined;
  /** The body as its lines say it. */
  readonly meanings: readonly string[];
}

export type Step =
  | { readonly kind: "deliver"; readonly line: number; readonly text: string }
  | { readonly kind: "imap"; readonly line: number; readonly text: string }
  | { readonly kind: "request"; readonly line: number; readonly request: Request }
  | { readonly kind: "answer"; readonly line: number; readonly lines: readonly string[] };

const PATH = "/Microsoft-Server-ActiveSync";

/** Throws for a line that is none. */
export function parseDialogue(text: string): readonly Step[] {
  const steps: Step[] = [];
  for (const [index, raw] of text.split("\n").entries()) {
    const given = raw.trimEnd();
    if (given === "" || given.startsWith("#")) continue;
    const line = index + 1;
    const last = steps.at(-1);
    const [, kind, rest = ""] = /^(deliver: |imap: |> |< |\? )?(.*)$/.exec(given)!;
    if (kind === "deliver: ") steps.push({ kind: "deliver", line, text: rest });
    else if (kind === "imap: ") steps.push({ kind: "imap", line, text: rest });
    else if (kind === "< ") {
      if (last?.kind === "answer") (last.lines as string[]).push(rest);
      else steps.push({ kind: "answer", line, lines: [rest] });
    } else {
      const [, method, query = ""] = /^([A-Z]+)(?: (\S.*))?$/.exec(kind === "> " ? rest : "") ?? [];
      if (method !== undefined) {
        const request = {
          line,
          method,
          path: query.startsWith("/") ? query : PATH + query,
          headers: {},
          query: undefined,
          body: undefined,
          meanings: [],
        };
        steps.push({ kind: "request", line, request });
      } else if (last?.kind !== "request") throw new Error(`line ${line} is no line of a dialogue: ${given}`);
      else steps[steps.length - 1] = { ...last, request: withLine(last.request, kind, rest) };
    }
  }
  return steps;
}

function withLine(request: Request, kind: string | undefined, rest: string): Request {
  if (kind === "> ") {
    const [, name, value] = /^([\w-]+): (.*)$/.exec(rest) ?? [];
    if (name === undefined || value === undefined) throw new Error(`no header: ${rest}`);
    return { ...request, headers: { ...request.headers, [name.toLowerCase()]: value } };
  }
  const [octets = "", meaning = ""] = rest.split(/ +\| /, 2);
  const bytes = octetsOf(octets);
  if (kind === "? ") return { ...request, query: Buffer.concat([request.query ?? Buffer.alloc(0), bytes]) };
  return {
    ...request,
    body: Buffer.concat([request.body ?? Buffer.alloc(0), bytes]),
    meanings: meaning === "" ? request.meanings : [...request.meanings, meaning],
  };
}

function octetsOf(text: string): Buffer {
  const parts: Buffer[] = [];
  const rest = text.replaceAll(
    /("(?:[^"\\]|\\.)*")|([0-9A-F]{2})|<(\w+:u32)>|\s+/g,
    (_, quoted?: string, hex?: string, name?: string) => {
      if (quoted !== undefined) parts.push(Buffer.from(JSON.parse(quoted) as string));
      else if (hex !== undefined) parts.push(Buffer.from(hex, "hex"));
      else if (name !== undefined) parts.push(Buffer.from(`<${name}>`));
      return "";
    },
  );
  if (rest !== "") throw new Error(`no octets: ${rest}`);
  return Buffer.concat(parts);
}

/** A document's octets, a line for each thing in it, with its meaning: what a dialogue's lines must say. */
export function explain(bytes: Uint8Array): readonly (readonly [octets: string, meaning: string])[] {
  const lines: (readonly [string, string])[] = [];
  const open: string[] = [];
  const tokens = [...tokensOf(bytes)];
  const hex = (from: number, to: number): string =>
    [...bytes.subarray(from, to)].map((byte) => byte.toString(16).toUpperCase().padStart(2, "0")).join(" ");
  const say = (octets: string, meaning: string): void => void lines.push([octets, "  ".repeat(open.length) + meaning]);
  for (let at = 0; at < tokens.length; at++) {
    const token = tokens[at]!;
    if (token.kind === "header") say(hex(token.from, token.to), "WBXML 1.3, UTF-8");
    else if (token.kind === "page") say(hex(token.from, token.to), `(page ${pageOf(tokens, at)})`);
    else if (token.kind === "end") {
      const name = open.pop()!;
      say(hex(token.from, token.to), `/${name}`);
    } else if (token.kind === "tag") {
      const name = token.tag.name.split(":")[1]!;
      const [inside, end] = [tokens[at + 1], tokens[at + 2]];
      if (token.isOpen && inside?.kind === "text" && end?.kind === "end") {
        const text = JSON.stringify(inside.text);
        say(`${hex(token.from, token.to)} 03 ${text} 00 01`, `${name} ${text.slice(1, -1)}`);
        at += 2;
      } else {
        say(hex(token.from, token.to), name);
        if (token.isOpen) open.push(name);
      }
    } else if (token.kind === "text") say(`03 ${JSON.stringify(token.text)} 00`, "a text");
    else {
      say(hex(token.from, token.to - token.bytes.length), `${token.bytes.length} octets`);
      for (const piece of Buffer.from(token.bytes)
        .toString()
        .split(/(?<=\n)/))
        lines.push([JSON.stringify(piece), ""]);
    }
  }
  return lines;
}

/** The namespace of the tag that comes next. */
function pageOf(tokens: readonly Token[], at: number): string {
  const next = tokens.slice(at).find((token) => token.kind === "tag");
  return next?.kind === "tag" ? next.tag.name.split(":")[0]! : "";
}

export interface PlayTerms {
  readonly ports: RunningServer["ports"];
  readonly user: string;
  readonly password: string;
  readonly wire: Wire;
  /** Answers are lost, so that each request is sent twice. */
  readonly loses?: boolean;
}

/** How long a phone whose answers are lost waits where the server waits too. */
const IMPATIENCE_MS = 300;

/** True if the server may wait before it answers: a Ping or a Sync. */
function mayWait({ path, query }: Request): boolean {
  return query ? [0, 18].includes(query[1]!) : /\?Cmd=(?:Ping|Sync)&/.test(path);
}

/** Plays a dialogue; throws where it goes another way than written. */
export async function playDialogue(text: string, terms: PlayTerms): Promise<void> {
  const names = new Map<string, string>();
  let imap: LineClient | undefined;
  let pending: Promise<Reply> | undefined;
  let asked: Request | undefined;
  try {
    const steps = parseDialogue(text);
    for (const [index, step] of steps.entries()) {
      if (step.kind === "deliver") await handOver(step.text, terms);
      else if (step.kind === "imap") {
        imap ??= await openInbox(terms);
        const [command = "", wanted = ""] = step.text.split(" -> ");
        const answer = await imap.command(command);
        if (!/^t\d+ OK/m.test(answer) || !answer.includes(wanted)) throw new Error(`line ${step.line}: ${answer}`);
      } else if (step.kind === "request") {
        if (pending !== undefined) throw new Error(`line ${step.line}: a request without an answer`);
        asked = step.request;
        pending = ask(step.request, names, terms);
        // It is awaited where its answer stands.
        pending.catch(() => undefined);
        // The next step happens while the server waits, not before.
        if (steps[index + 1]?.kind !== "answer") await new Promise((resolve) => setTimeout(resolve, 3 * IMPATIENCE_MS));
      } else {
        if (pending === undefined || !asked) throw new Error(`line ${step.line}: an answer to nothing`);
        const reply = await pending;
        pending = undefined;
        const lines = step.lines
          .filter((line) => terms.loses || line.trim() !== "...lost")
          .map((line) => line.replace("...lost", "...").replaceAll("USER", terms.user));
        compare({ line: step.line, lines }, { reply, asked, names, loses: terms.loses ?? false });
      }
    }
  } finally {
    imap?.end();
  }
}

async function handOver(text: string, { ports, user }: PlayTerms): Promise<void> {
  const lmtp = await connectLmtp(ports.lmtp!);
  const [reply] = await deliver(lmtp, [user], `${text.replaceAll("USER", user).replaceAll("{CRLF}", "\r\n")}\r\n`);
  lmtp.end();
  if (!reply?.startsWith("250")) throw new Error(`no delivery: ${reply}`);
}

async function openInbox({ ports, user, password }: PlayTerms): Promise<LineClient> {
  const imap = await connectImap(ports.imap!, user, password);
  await imap.command("SELECT INBOX");
  return imap;
}

async function ask(request: Request, names: ReadonlyMap<string, string>, terms: PlayTerms): Promise<Reply> {
  const { wire, user, loses = false } = terms;
  const octets = (bytes: Buffer): Buffer => Buffer.from(filled(bytes.toString("latin1"), names, user), "latin1");
  const path = filled(request.path, names, encodeURIComponent(user));
  const body = request.body && Uint8Array.from(octets(request.body));
  const sent: Sent = {
    method: request.method,
    path: request.query ? `${PATH}?${octets(request.query).toString("base64")}` : path,
    headers: {
      authorization: wire.credentials,
      ...Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, filled(value, names, user)])),
      ...(request.headers["transfer-encoding"] === undefined && { "content-length": String(body?.length ?? 0) }),
    },
    body,
  };
  // Without a word the server can't know which answer came last: a phone that lost one says its keys.
  const isSilent = body === undefined && mayWait(request);
  if (loses && !isSilent) await losing(wire, sent, mayWait(request));
  return wire.exchange(sent);
}

/** Sends a request whose answer is lost: after the server has acted, or while it waits. */
async function losing(wire: Wire, sent: Sent, mayWait: boolean): Promise<void> {
  const gone = new AbortController();
  const timer = mayWait ? setTimeout(() => gone.abort(), IMPATIENCE_MS) : undefined;
  await wire.exchange(sent, gone.signal).catch(() => undefined);
  clearTimeout(timer);
}

function filled(text: string, names: ReadonlyMap<string, string>, user: string): string {
  return text
    .replaceAll(/<(\w+):u32>/g, (whole, name: string) => {
      const value = names.get(name);
      if (value === undefined) return whole;
      const bytes = Buffer.alloc(4);
      bytes.writeUInt32LE(Number(value));
      return bytes.toString("latin1");
    })
    .replaceAll(/<(\w+)>/g, (whole, name: string) => names.get(name) ?? whole)
    .replaceAll("USER", user);
}

interface Answered {
  readonly reply: Reply;
  readonly asked: Request;
  readonly names: Map<string, string>;
  readonly loses: boolean;
}

function compare(
  { line, lines }: { readonly line: number; readonly lines: readonly string[] },
  answered: Answered,
): void {
  const { reply, asked, names, loses } = answered;
  const [status, ...rest] = lines;
  const fail = (what: string): never => {
    throw new Error(`line ${line}: ${what}\nasked in line ${asked.line}, answered ${reply.status}:\n${shown(reply)}`);
  };
  if (status !== String(reply.status)) fail(`status ${status}`);
  const headers = rest.filter((one) => /^[\w-]+: /.test(one));
  for (const header of headers) {
    const [, name = "", value = ""] = /^([\w-]+): (.*)$/.exec(header)!;
    if (!fits(String(reply.headers[name.toLowerCase()]), value, names)) fail(header);
  }
  const wanted = rest.slice(headers.length);
  if (wanted.length === 0) return;
  // A phone that sends a mail again is told that it is sent already.
  const isSend = /^ComposeMail|^(SendMail|SmartReply|SmartForward)$/.test(asked.meanings[2]?.trim() ?? "");
  if (loses && isSend && reply.body.length > 0 && decode(reply.body).at("Status") === "118") return;
  if (wanted[0] === "empty") {
    if (reply.body.length > 0) fail("empty");
    return;
  }
  const body = /^body (.*)$/.exec(wanted[0]!)?.[1];
  if (body !== undefined) {
    if (!fits(reply.body.toString(), body, names)) fail(wanted[0]!);
    return;
  }
  if (reply.body.length === 0) fail("the answer is empty");
  const found = linesOf(decode(reply.body));
  const stuck = mismatch(found, wanted, names);
  if (stuck !== undefined) fail(stuck);
}

/** A line and those below it that are deeper. */
interface Branch {
  readonly text: string;
  readonly at: number;
  readonly below: Branch[];
}

function branchesOf(lines: readonly string[]): readonly Branch[] {
  const top: Branch[] = [];
  const open: { readonly depth: number; readonly below: Branch[] }[] = [{ depth: -1, below: top }];
  for (const [at, line] of lines.entries()) {
    const depth = line.search(/\S/);
    while (open.at(-1)!.depth >= depth) open.pop();
    const branch = { text: line.trim(), at, below: [] };
    open.at(-1)!.below.push(branch);
    open.push({ depth, below: branch.below });
  }
  return top;
}

/** The mismatch, at the furthest line that was reached; undefined if all fits. */
function mismatch(found: readonly string[], wanted: readonly string[], names: Map<string, string>): string | undefined {
  let furthest = 0;
  const stuck = (at: number): undefined => {
    furthest = Math.max(furthest, at);
  };
  /** The names with which all fits; undefined if nothing does. */
  const match = (
    given: readonly Branch[],
    patterns: readonly Branch[],
    known: ReadonlyMap<string, string>,
    end: number,
  ): ReadonlyMap<string, string> | undefined => {
    const [pattern, ...rest] = patterns;
    if (!pattern) return given.length === 0 ? known : stuck(end);
    if (pattern.text === "...") {
      for (let skip = 0; skip <= given.length; skip++) {
        const all = match(given.slice(skip), rest, known, end);
        if (all) return all;
      }
      return undefined;
    }
    const own = new Map(known);
    if (!given[0] || !fits(given[0].text, pattern.text, own)) return stuck(pattern.at);
    const inside = match(given[0].below, pattern.below, own, pattern.at);
    return inside && match(given.slice(1), rest, inside, end);
  };
  const all = match(branchesOf(found), branchesOf(wanted), names, wanted.length);
  if (!all) return `nothing fits${wanted[furthest] === undefined ? ": there is more" : `${wanted[furthest]}`}`;
  for (const [name, value] of all) names.set(name, value);
  return undefined;
}

function fits(given: string, pattern: string, names: Map<string, string>): boolean {
  const fresh: string[] = [];
  const source = pattern
    .split(/(<\.\.\.>|<\w+>)/)
    .map((piece) => {
      if (piece === "<...>") return "[^]*";
      const name = /^<(\w+)>$/.exec(piece)?.[1];
      const known = name === undefined ? piece : names.get(name);
      if (known !== undefined) return known.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
      fresh.push(name!);
      return "(\\S+)";
    })
    .join("");
  const match = new RegExp(`^${source}$`).exec(given);
  for (const [index, name] of fresh.entries()) if (match) names.set(name, match[index + 1]!);
  return match !== null;
}

function shown({ body, headers }: Reply): string {
  let document: Node | string;
  try {
    document = body.length === 0 ? "(empty)" : decode(body);
  } catch {
    document = body.toString("latin1").slice(0, 2000);
  }
  return `${headers["content-type"] ?? ""}\n${document}`;
}
