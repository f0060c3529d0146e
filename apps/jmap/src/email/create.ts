import { type Addition, APPEND_BYTES_MAX, APPEND_EMAILS_MAX, EngineError, parseMailboxId } from "@restante/engine";
import { blobsOf } from "../blob/open.ts";
import { type SetError, setErrorOf } from "../core/errors.ts";
import { type Context, resolveId } from "../core/method.ts";
import type { Blobs } from "./blobs.ts";
import { composeEmail, readNewEmail } from "./compose.ts";
import { prepareImport, readEmailImport } from "./import.ts";
import type { PlaceTools } from "./new-place.ts";
import { prepareEmail, tellCreated } from "./store.ts";

/** Where what became of each object of a method is told. */
export interface CreateResults {
  created(creationId: string, object: Readonly<Record<string, unknown>> & { readonly id: string }): void;
  notCreated(creationId: string, error: SetError): void;
}

/** Emails of /set and of /import: each is sealed as it is made, and several are put into their mailboxes by one op. */
export async function createEmails(
  create: ReadonlyMap<string, Readonly<Record<string, unknown>>>,
  kind: "email" | "import",
  context: Context,
  results: CreateResults,
): Promise<void> {
  const { session } = context;
  const tools: PlaceTools = {
    mailbox(id) {
      const mailbox = parseMailboxId(resolveId(id, context));
      return mailbox !== undefined && session.state.findMailbox(mailbox)?.type === "mail" ? mailbox : undefined;
    },
  };
  const blobs = blobsOf(session, context);
  const waiting = new Waiting(context, results);
  for (const [creationId, given] of create) {
    context.signal.throwIfAborted();
    try {
      const made =
        kind === "email"
          ? await makeEmail(given, tools, blobs, context)
          : await makeImport(given, tools, blobs, context);
      if ("type" in made) results.notCreated(creationId, made);
      else await waiting.add(creationId, made);
    } catch (error) {
      results.notCreated(creationId, setErrorOf(error));
    }
  }
  await waiting.push();
}

async function makeEmail(
  given: Readonly<Record<string, unknown>>,
  tools: PlaceTools,
  blobs: Blobs,
  { session, now, random }: Context,
): Promise<Addition | SetError> {
  const email = readNewEmail(given, tools);
  if ("type" in email) return email;
  const domain = session.address.slice(session.address.lastIndexOf("@") + 1);
  const message = await composeEmail(email, blobs, {
    now: () => ({ timeMs: now(), zoneMinutes: 0 }),
    random,
    domain,
  });
  if ("type" in message) return message;
  return prepareEmail(session, message.read(), email.place);
}

async function makeImport(
  given: Readonly<Record<string, unknown>>,
  tools: PlaceTools,
  blobs: Blobs,
  context: Context,
): Promise<Addition | SetError> {
  const { blobId } = given;
  const resolved = typeof blobId === "string" ? { ...given, blobId: resolveId(blobId, context) } : given;
  const asked = readEmailImport(resolved, tools);
  return "type" in asked ? asked : prepareImport(context.session, blobs, asked);
}

/** Emails that are sealed and wait to be put into their mailboxes together. */
class Waiting {
  readonly #context: Context;
  readonly #results: CreateResults;
  #additions: { readonly creationId: string; readonly addition: Addition }[] = [];
  #bytes = 0;

  constructor(context: Context, results: CreateResults) {
    this.#context = context;
    this.#results = results;
  }

  async add(creationId: string, addition: Addition): Promise<void> {
    this.#additions.push({ creationId, addition });
    this.#bytes += addition.prepared.heldBytes;
    if (this.#additions.length >= APPEND_EMAILS_MAX || this.#bytes >= APPEND_BYTES_MAX) await this.push();
  }

  async push(): Promise<void> {
    const waiting = this.#additions;
    this.#additions = [];
    this.#bytes = 0;
    if (waiting.length === 0) return;
    try {
      const added = await this.#context.session.addMany(waiting.map(({ addition }) => addition));
      for (const [at, { creationId }] of waiting.entries()) {
        const email = added[at];
        if (email) this.#results.created(creationId, tellCreated(email));
        else this.#results.notCreated(creationId, GONE);
      }
    } catch (error) {
      const isGone = error instanceof EngineError && error.code === "not-found";
      const refusal = isGone ? GONE : setErrorOf(error);
      for (const { creationId } of waiting) this.#results.notCreated(creationId, refusal);
    }
  }
}

/** The mailboxes went meanwhile. */
const GONE: SetError = { type: "invalidProperties", properties: ["mailboxIds"] };
