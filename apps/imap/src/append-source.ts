import { APPEND_EMAILS_MAX, asUid, type Body, EngineError, type Message, type Prepared } from "@restante/engine";
import { Refusal } from "./errors.ts";
import { spanOf } from "./fetch-answers.ts";
import { Kept } from "./fetch-kept.ts";
import { APPEND_PARTS_MAX, MESSAGE_BYTES_MAX, MULTIAPPEND_BYTES_MAX } from "./limits.ts";
import type { Session } from "./session.ts";
import { type AppendPlace, type AppendStep, parseAppendData } from "./wire/append-data.ts";
import { type MessageUrl, parseMessageUrl } from "./wire/imap-url.ts";
import { ImapSyntaxError, Parser } from "./wire/parser.ts";

/** A URL that names nothing here: RFC 4469 §4. */
export class BadUrl extends Error {
  readonly url: string;

  constructor(url: string) {
    super("no such message");
    this.name = "BadUrl";
    this.url = url;
  }
}

/** The arguments of APPEND up to its first message literal, which were read with the command's line. */
export interface AppendStart {
  readonly steps: readonly AppendStep[];
  readonly place: AppendPlace;
}

/** The messages of an APPEND as they come: each is sealed while it streams in, and none is in a mailbox yet. */
export class AppendSource {
  readonly #session: Session;
  readonly #parseFlags: (parser: Parser) => string[];
  readonly #steps: AppendStep[];
  #place: AppendPlace;
  #parts = 0;

  constructor(session: Session, { steps, place }: AppendStart, parseFlags: (parser: Parser) => string[]) {
    this.#session = session;
    this.#parseFlags = parseFlags;
    this.#steps = [...steps];
    this.#place = place;
  }

  /** Reads the command to its end. Throws ImapSyntaxError, {@link BadUrl}, {@link Refusal}, EngineError. While a message is
   * still being stored, as a large one is, the next one is read. */
  async readAll(path: string, messagesMax: number = APPEND_EMAILS_MAX): Promise<Prepared[]> {
    const all: Prepared[] = [];
    let count = 0;
    let heldBytes = 0;
    let before: Promise<Prepared> | undefined;
    const take = (prepared: Prepared): void => {
      heldBytes += prepared.heldBytes;
      if (heldBytes > MULTIAPPEND_BYTES_MAX) throw new EngineError("too-large", "the messages are too large together");
      all.push(prepared);
    };
    for (let step = this.#steps.shift(); step; step = this.#steps.shift()) {
      if (step.kind !== "begin") throw new ImapSyntaxError("Message expected");
      if (++count > messagesMax) throw new EngineError("too-large", "too many messages at once");
      const { flags, date } = step;
      const arrival = { mailbox: path, flags, ...(date ? { received: date } : {}) };
      const reading = Promise.withResolvers<void>();
      const prepared = this.#session.mail.prepare(this.#octets(reading.resolve), arrival);
      // Only where one was read to its end the next begins.
      await Promise.race([reading.promise, prepared]);
      if (before) take(await before);
      before = prepared;
    }
    if (before) take(await before);
    return all;
  }

  /** The octets of one message; `onRead` is called when the last was taken. By a message without any a client takes the whole
   * command back: RFC 3502 §3. */
  async *#octets(onRead: () => void): AsyncGenerator<Uint8Array> {
    let size = 0;
    for (let step = this.#steps.shift(); step && step.kind !== "end"; step = this.#steps.shift()) {
      if (++this.#parts > APPEND_PARTS_MAX) throw new EngineError("too-large", "too many parts");
      for await (const bytes of this.#part(step)) {
        size += bytes.length;
        if (size > MESSAGE_BYTES_MAX) throw tooLarge();
        yield bytes;
      }
      if (step.kind === "literal") await this.#follow();
    }
    if (size === 0) throw new Refusal("A message of no octets is none", "CANNOT");
    onRead();
  }

  #part(step: AppendStep): AsyncIterable<Uint8Array> {
    if (step.kind === "url") return this.#named(step.url);
    const { message } = this.#session;
    if (step.kind !== "literal" || !message) throw new ImapSyntaxError("Message expected");
    return message.read();
  }

  /** Reads the command's text behind a literal. */
  async #follow(): Promise<void> {
    const { read, next } = await this.#session.message!.following(tooLarge);
    this.#session.message = next;
    const parser = new Parser(read.text);
    const { steps, place } = parseAppendData(parser, this.#place, this.#parseFlags);
    this.#steps.push(...steps);
    this.#place = place;
  }

  /** The octets that a URL names. */
  async *#named(url: string): AsyncGenerator<Uint8Array> {
    const named = parseMessageUrl(url);
    const found = named && (await this.#find(named).catch(notFound));
    if (!named || !found) throw new BadUrl(url);
    const { message, kept, body } = found;
    const span = spanOf(named.section, message, kept);
    if (!span) throw new BadUrl(url);
    const start = Math.min(span.start + (named.partial?.offset ?? 0), span.end);
    yield* body.read(start, Math.min(start + (named.partial?.length ?? span.end), span.end));
  }

  async #find({ path, uidValidity, uid: named }: MessageUrl): Promise<Found | undefined> {
    const uid = asUid(named);
    const { mail, selected } = this.#session;
    const view = path === undefined ? selected?.view : mail.openView(mail.getMailbox(path).id, { readOnly: true });
    const position = view?.lowerBound(uid) ?? 0;
    if (!view || position >= view.length || view.uidAt(position) !== uid) return undefined;
    if (uidValidity !== undefined && uidValidity !== view.uidValidity) return undefined;
    const [summary] = await mail.readSummaries(view.messages([position]));
    const message = view.message(position);
    return { message, kept: new Kept(summary, undefined), body: await mail.openBody(message) };
  }
}

interface Found {
  readonly message: Message;
  readonly kept: Kept;
  readonly body: Body;
}

function notFound(error: unknown): undefined {
  const isNone = error instanceof EngineError && (error.code === "not-found" || error.code === "expunged");
  if (!isNone) throw error;
}

function tooLarge(): EngineError {
  return new EngineError("too-large", "message is too large");
}
