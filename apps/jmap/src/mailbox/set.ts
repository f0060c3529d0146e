import {
  type FolderStep,
  formatMailboxId,
  type Outcome,
  PATH_BYTES_MAX,
  PATH_DEPTH_MAX,
  type ReadMailbox,
  type ReadState,
  type SpecialUse,
  type StateClaim,
} from "@restante/engine";
import { composed } from "@restante/mime";
import { MAIL } from "../core/capabilities.ts";
import { invalidProperties, MethodError, type SetError, SetRefusal } from "../core/errors.ts";
import { type Context, type Method, method } from "../core/method.ts";
import { readPatch } from "../core/patch.ts";
import { SET_ARGUMENTS, SetResults } from "../core/set.ts";
import { checkState, parsePoint, stateOf } from "../core/states.ts";
import { BOOLEAN, withDefault } from "../core/types.ts";
import { mailboxGet } from "./get.ts";
import {
  COUNT_PROPERTIES,
  DELIMITER,
  INBOX_NAME,
  isInbox,
  MAILBOX_PROPERTIES,
  placesOf,
  rightsOf,
  roleOf,
  useOf,
} from "./mailbox.ts";
import { foldInbox, type Node, nodeOf, pathsOf, standsSomewhere } from "./nodes.ts";

/** Octets of a mailbox's name: RFC 8621 §1.3.1. The engine bounds a whole path, and its levels. */
export const NAME_BYTES_MAX = 255;
const SORT_ORDER_MAX = 2 ** 31 - 1;
const MAILBOXES_MAX = 10_000;
/** Mailboxes that are looked at, again and again, until nothing more of a /set is refused; but so many times in any case. */
const LOOKED_AT_MAX = 10_000;
const LOOKS_MIN = 4;

/**
 * RFC 8621 §2.5. All that can be done is done by one op, so that names may be swapped, a role go from one mailbox to
 * another, and a mailbox be made below one that is made with it. A change that can't be made is left out, and told.
 */
export const mailboxSet: Method = method(
  "Mailbox/set",
  MAIL,
  { ...SET_ARGUMENTS, onDestroyRemoveEmails: withDefault(BOOLEAN, false) },
  async (args, context) => {
    const { session } = context;
    const results = new SetResults(args, context);
    checkState(session.state, "Mailbox", args.ifInState);
    const oldState = stateOf(session.state, "Mailbox");
    await leaveOutWhatIs(results, context);
    const claim = args.ifInState === undefined ? undefined : claimOf(session.state, args.ifInState);
    const plan = new Plan(results, context, args.onDestroyRemoveEmails);
    for (;;) {
      let made: readonly Step[] = [];
      const outcome = await pushed(context, () => {
        made = plan.make(session.state);
        return { steps: made.map(({ step }) => step), ifState: claim };
      });
      if (outcome?.refusal === undefined) {
        if (outcome) plan.tell(made, outcome, session.state);
        break;
      }
      plan.refuse(made[outcome.step!]!, { type: REFUSALS[outcome.refusal] ?? "forbidden" });
    }
    return results.answer(args.accountId, oldState, stateOf(session.state, "Mailbox"));
  },
);

/** Takes out of updates the server's properties that are said with their present value. Emails are counted only where an
 * update has such a property. */
async function leaveOutWhatIs(results: SetResults, context: Context): Promise<void> {
  const isSaid = ({ id, ...given }: Readonly<Record<string, unknown>>): boolean =>
    Object.keys(given).some((name) => SERVERS.has(name));
  const ids = [...results.update].flatMap(([id, given]) => (isSaid(given) ? [id] : []));
  if (ids.length === 0) return;
  const { result } = await mailboxGet.call({ accountId: context.accountId, ids }, context);
  const list = result.list as readonly (Readonly<Record<string, unknown>> & { readonly id: string })[];
  results.leaveOutWhatIs(new Map(list.map((shown) => [shown.id, shown])), SERVERS);
}
const SERVERS: ReadonlySet<string> = new Set<string>([...COUNT_PROPERTIES, "myRights"]);

/** Undefined where nothing is left to do. */
async function pushed(
  { session }: Context,
  author: () => { readonly steps: readonly FolderStep[]; readonly ifState: StateClaim | undefined },
): Promise<Outcome | undefined> {
  if (author().steps.length === 0) return undefined;
  try {
    return await session.changeFolders(author);
  } catch (error) {
    if (isConflict(error)) throw new MethodError("stateMismatch");
    throw error;
  }
}

function isConflict(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "conflict";
}

function claimOf(state: ReadState, ifInState: string): StateClaim {
  return { type: "mailbox", epoch: state.epoch, modSeq: parsePoint(ifInState, state, "Mailbox").modSeq };
}

/** SetErrors for changes of others that came between the plan and its op. */
const REFUSALS: Readonly<Partial<Record<NonNullable<Outcome["refusal"]>, string>>> = {
  "path-taken": "alreadyExists",
  "no-mailbox": "notFound",
  "not-empty": "mailboxHasEmail",
  "has-child": "mailboxHasChild",
};

interface Step {
  readonly step: FolderStep;
  readonly node: Node;
  /** True if the request names the mailbox; else the mailbox is below one that is moved. */
  readonly isAsked: boolean;
}

/** The part of a /set that can be done, as of a state. */
class Plan {
  readonly #results: SetResults;
  readonly #context: Context;
  readonly #removesEmails: boolean;
  /** Keys of refused objects. */
  readonly #refused = new Set<string>();
  readonly #destroy: ReadonlySet<string>;
  /** Keys of objects that are to stand below one that this /set creates, by that one's key. */
  readonly #below = new Map<string, string[]>();

  constructor(results: SetResults, context: Context, removesEmails: boolean) {
    this.#results = results;
    this.#context = context;
    this.#removesEmails = removesEmails;
    this.#destroy = new Set(results.destroy);
    const creates = [...results.create].map(([creationId, given]) => [`#${creationId}`, given] as const);
    for (const [key, { parentId }] of [...creates, ...results.update])
      if (typeof parentId === "string" && parentId.startsWith("#") && !context.createdIds.has(parentId.slice(1)))
        this.#below.set(parentId, [...(this.#below.get(parentId) ?? []), key]);
  }

  /** The steps for all that is not refused yet; what can't be done in this state is refused. Throws MethodError
   * `requestTooLarge` where one refusal leads to the next too many times. */
  make(state: ReadState): readonly Step[] {
    for (let looks = 1, lookedAt = 0; ; looks++) {
      const refusals = new Map<string, SetError>();
      const nodes = this.#nodesOf(state, refusals);
      if (refusals.size === 0) this.#check(state, nodes, refusals);
      if (refusals.size === 0) return this.#stepsOf(nodes);
      lookedAt += nodes.size;
      if (looks >= LOOKS_MIN && lookedAt > LOOKED_AT_MAX) throw new MethodError("requestTooLarge");
      for (const [key, error] of refusals) this.#refuseKey(key, error);
    }
  }

  refuse({ node }: Step, error: SetError): void {
    // One that was moved along with another has no answer of its own: who moved it is refused.
    const key = this.#isAsked(node.key) ? node.key : this.#moverOf(node);
    this.#refuseKey(key, error);
  }

  tell(steps: readonly Step[], outcome: Outcome, state: ReadState): void {
    const places = placesOf(state);
    for (const [at, { step, node, isAsked }] of steps.entries()) {
      if (!isAsked) continue;
      if (step.do === "destroy") this.#results.destroyed(node.key);
      else if (step.do === "create") {
        const id = formatMailboxId(outcome.mailboxes[at]!);
        this.#results.created(
          node.key.slice(1),
          { id, ...madeOf(this.#results.create.get(node.key.slice(1))!, node) },
          this.#context,
        );
      } else {
        const given = this.#results.update.get(node.key)!;
        const now = node.mailbox && !isInbox(state, node.mailbox) ? places.get(node.mailbox.id)?.name : undefined;
        const isOther = typeof given.name === "string" && now !== undefined && given.name !== now;
        this.#results.updated(node.key, isOther ? { name: now } : null);
      }
    }
    // An object that already is as it was asked for counts as updated.
    const told = new Set(steps.map(({ node }) => node.key));
    for (const id of this.#results.update.keys())
      if (!told.has(id) && !this.#refused.has(id)) this.#results.updated(id);
  }

  #isAsked(key: string): boolean {
    return key.startsWith("#")
      ? this.#results.create.has(key.slice(1))
      : this.#results.update.has(key) || this.#destroy.has(key);
  }

  #moverOf(node: Node): string {
    let above: string | undefined = node.parent;
    while (above !== undefined && !this.#isAsked(above)) above = this.#lastNodes.get(above)?.parent;
    return above ?? node.key;
  }
  #lastNodes: ReadonlyMap<string, Node> = new Map();

  /** And with it what was to stand below it: there is nothing that it could stand below. */
  #refuseKey(key: string, error: SetError): void {
    const waiting = [[key, error] as const];
    for (let next = waiting.pop(); next; next = waiting.pop()) {
      const [one, why] = next;
      if (this.#refused.has(one)) continue;
      this.#refused.add(one);
      if (one.startsWith("#")) this.#results.notCreated(one.slice(1), why);
      else if (this.#results.update.has(one)) this.#results.notUpdated(one, why);
      else this.#results.notDestroyed(one, why);
      if (one.startsWith("#"))
        for (const below of this.#below.get(one) ?? [])
          waiting.push([below, { type: "invalidProperties", properties: ["parentId"] }]);
    }
  }

  /** All mailboxes as they would be: what is there, with what is asked for. */
  #nodesOf(state: ReadState, refusals: Map<string, SetError>): Map<string, Node> {
    const nodes = new Map<string, Node>();
    const places = placesOf(state);
    for (const mailbox of state.liveMailboxes()) {
      const { name, parent } = places.get(mailbox.id)!;
      const key = formatMailboxId(mailbox.id);
      nodes.set(key, { ...nodeOf(key, mailbox, name), parent: parent && formatMailboxId(parent.id) });
    }
    for (const creationId of this.#results.create.keys()) {
      const key = `#${creationId}`;
      if (!this.#refused.has(key)) nodes.set(key, nodeOf(key, undefined, ""));
    }
    for (const [creationId, given] of this.#results.create) {
      const node = nodes.get(`#${creationId}`);
      if (node) this.#take(state, nodes, node, given, refusals);
    }
    for (const [id, given] of this.#results.update) {
      if (this.#refused.has(id)) continue;
      const node = nodes.get(id);
      if (node) this.#take(state, nodes, node, given, refusals);
      else refusals.set(id, { type: "notFound" });
    }
    for (const id of this.#results.destroy) {
      if (this.#refused.has(id)) continue;
      const node = nodes.get(id);
      if (!node) refusals.set(id, { type: "notFound" });
      else if (isInbox(state, node.mailbox!)) refusals.set(id, { type: "forbidden" });
    }
    return nodes;
  }

  #take(
    state: ReadState,
    nodes: ReadonlyMap<string, Node>,
    node: Node,
    given: Readonly<Record<string, unknown>>,
    refusals: Map<string, SetError>,
  ): void {
    try {
      this.#read(state, nodes, node, given);
    } catch (error) {
      if (!(error instanceof SetRefusal)) throw error;
      refusals.set(node.key, error.error);
    }
  }

  /** Throws SetRefusal. */
  #read(
    state: ReadState,
    nodes: ReadonlyMap<string, Node>,
    node: Node,
    given: Readonly<Record<string, unknown>>,
  ): void {
    const isNew = node.mailbox === undefined;
    const isItInbox = node.mailbox !== undefined && isInbox(state, node.mailbox);
    const wrong: string[] = [];
    for (const { property, key, value } of readPatch(given)) {
      const isRight = key === undefined && this.#readProperty(state, nodes, node, property, value, isItInbox);
      if (!isRight) wrong.push(key === undefined ? property : `${property}/${key}`);
    }
    if (isNew && !Object.hasOwn(given, "name")) wrong.push("name");
    if (wrong.length > 0) throw invalidProperties(...wrong);
  }

  /** Reads one property into the node. False if its value is wrong. */
  #readProperty(
    state: ReadState,
    nodes: ReadonlyMap<string, Node>,
    node: Node,
    property: string,
    value: unknown,
    isItInbox: boolean,
  ): boolean {
    switch (property) {
      case "name": {
        const name = readName(value);
        if (isItInbox) return name === INBOX_NAME;
        if (name === undefined) return false;
        if (name !== node.name) node.isMoved = true;
        node.name = name;
        return true;
      }
      case "parentId": {
        if (value === null || value === undefined) {
          if (node.parent !== undefined) node.isMoved = true;
          node.parent = undefined;
          return true;
        }
        const parent = typeof value === "string" ? this.#nodeFor(nodes, value) : undefined;
        if (!parent || isItInbox) return false;
        if (parent.key !== node.parent) node.isMoved = true;
        node.parent = parent.key;
        return true;
      }
      case "role": {
        if (isItInbox) return value === "inbox";
        const use = value === null ? "none" : useOf(value);
        node.role = use;
        return use !== undefined;
      }
      case "sortOrder":
        // Its default: RFC 8620 §5.3.
        if (value === null && node.mailbox) {
          node.sortOrder = 0;
          return true;
        }
        if (!Number.isInteger(value) || (value as number) < 0 || (value as number) > SORT_ORDER_MAX) return false;
        node.sortOrder = value as number;
        return true;
      case "isSubscribed":
        if (typeof value !== "boolean") return false;
        node.isSubscribed = value;
        return true;
      default:
        return isWhatItIs(state, node, property, value);
    }
  }

  #nodeFor(nodes: ReadonlyMap<string, Node>, id: string): Node | undefined {
    const known = nodes.get(id);
    if (known || !id.startsWith("#")) return known;
    const made = this.#context.createdIds.get(id.slice(1));
    return made === undefined ? undefined : nodes.get(made);
  }

  /** Checks the rules that hold for all mailboxes together: the tree, the paths and the roles. */
  #check(state: ReadState, nodes: Map<string, Node>, refusals: Map<string, SetError>): void {
    this.#lastNodes = nodes;
    const going = new Set(this.#results.destroy.filter((id) => !this.#refused.has(id)));
    const changed = [...nodes.values()].filter(
      ({ key }) => this.#isAsked(key) && !this.#refused.has(key) && !going.has(key),
    );
    for (const node of changed)
      if (!standsSomewhere(nodes, node) || (node.parent !== undefined && going.has(node.parent)))
        refusals.set(node.key, { type: "invalidProperties", properties: ["parentId"] });
    if (refusals.size > 0) return;
    const paths = pathsOf(nodes);
    const holders = new Map<string, Node[]>();
    for (const node of nodes.values()) {
      if (going.has(node.key)) continue;
      const path = paths.get(node.key)!;
      const holding = holders.get(foldInbox(path));
      if (holding) holding.push(node);
      else holders.set(foldInbox(path), [node]);
    }
    // Of two that want one name the first has it, and who has it already before both.
    const firsts = new Map(
      Array.from(holders, ([path, of]) => [path, of.find(({ isMoved, mailbox }) => !isMoved && mailbox) ?? of[0]!]),
    );
    for (const node of changed) {
      const path = paths.get(node.key)!;
      const levels = path.split(DELIMITER).length;
      if (levels > PATH_DEPTH_MAX || octets(path) > PATH_BYTES_MAX)
        refusals.set(node.key, { type: "invalidProperties", properties: ["name"] });
      const first = firsts.get(foldInbox(path))!;
      if ((node.isMoved || !node.mailbox) && first !== node)
        refusals.set(node.key, { type: "alreadyExists", ...(first.mailbox && { existingId: first.key }) });
      const taken = foreignHolder(state, path, node);
      if (taken) refusals.set(node.key, { type: "alreadyExists" });
    }
    checkRoles(nodes, changed, going, refusals);
    if (nodes.size - going.size > MAILBOXES_MAX)
      for (const { key, mailbox } of changed) if (!mailbox) refusals.set(key, { type: "overQuota" });
    const parents = new Set([...nodes.values()].filter(({ key }) => !going.has(key)).map(({ parent }) => parent));
    for (const id of going) {
      const { mailbox } = nodes.get(id)!;
      if (parents.has(id)) refusals.set(id, { type: "mailboxHasChild" });
      else if (!this.#removesEmails && holdsEmail(state, mailbox!)) refusals.set(id, { type: "mailboxHasEmail" });
    }
  }

  /** The steps in order: parents come before their children. */
  #stepsOf(nodes: ReadonlyMap<string, Node>): readonly Step[] {
    const paths = pathsOf(nodes);
    const going = new Set(this.#results.destroy.filter((id) => !this.#refused.has(id)));
    const steps: Step[] = [];
    for (const id of going) {
      const node = nodes.get(id)!;
      const step: FolderStep = { do: "destroy", mailbox: node.mailbox!.id, ifEmpty: !this.#removesEmails };
      steps.push({ step, node, isAsked: true });
    }
    const byDepth = [...nodes.values()].sort((a, b) => paths.get(a.key)!.length - paths.get(b.key)!.length);
    for (const node of byDepth) {
      if (going.has(node.key)) continue;
      const path = paths.get(node.key)!;
      const isAsked = this.#isAsked(node.key) && !this.#refused.has(node.key);
      if (!node.mailbox) {
        const { role, sortOrder = 0, isSubscribed = true } = node;
        const step: FolderStep = {
          do: "create",
          path,
          type: "mail",
          sortOrder,
          subscribed: isSubscribed,
          ...(role !== undefined && role !== "none" && { role }),
        };
        steps.push({ step, node, isAsked });
        continue;
      }
      const { role, sortOrder, isSubscribed } = node;
      const change = {
        ...(path !== node.mailbox.path && { path }),
        ...(role !== undefined && { role }),
        ...(sortOrder !== undefined && { sortOrder }),
        ...(isSubscribed !== undefined && { subscribed: isSubscribed }),
      };
      if (Object.keys(change).length === 0) continue;
      steps.push({ step: { do: "set", mailbox: node.mailbox.id, ...change }, node, isAsked });
    }
    return steps;
  }
}

/** True if a property that no client can set is said with its present value: RFC 8620 §5.3. */
function isWhatItIs(state: ReadState, { mailbox }: Node, property: string, value: unknown): boolean {
  if (!(MAILBOX_PROPERTIES as readonly string[]).includes(property) || !mailbox) return false;
  if (property === "id") return value === formatMailboxId(mailbox.id);
  if (property === "role") return value === roleOf(state, mailbox);
  return false;
}

/** A name in the form that is stored; undefined for what is none. */
function readName(value: unknown): string | undefined {
  if (typeof value !== "string" || !value.isWellFormed()) return undefined;
  const name = composed(value);
  if (name === "" || name.includes(DELIMITER) || /\p{Cc}/u.test(name) || octets(name) > NAME_BYTES_MAX)
    return undefined;
  return name;
}

function octets(text: string): number {
  return new TextEncoder().encode(text).length;
}

/** True if a mailbox that holds no mail has the path. */
function foreignHolder(state: ReadState, path: string, { mailbox }: Node): boolean {
  const holder = state.holderOf(path);
  return holder !== undefined && holder !== mailbox && holder.type !== "mail";
}

/** One mailbox has a role: RFC 8621 §2. */
function checkRoles(
  nodes: ReadonlyMap<string, Node>,
  changed: readonly Node[],
  going: ReadonlySet<string>,
  refusals: Map<string, SetError>,
): void {
  const holders = new Map<SpecialUse, Node>();
  for (const node of nodes.values()) {
    const use = node.role === undefined ? node.mailbox?.specialUse : undefined;
    if (use !== undefined && !going.has(node.key)) holders.set(use, node);
  }
  for (const node of changed) {
    if (node.role === undefined || node.role === "none") continue;
    if (node.mailbox?.specialUse === node.role) continue;
    if (holders.has(node.role)) refusals.set(node.key, { type: "invalidProperties", properties: ["role"] });
    else holders.set(node.role, node);
  }
}

function holdsEmail(state: ReadState, { messages }: ReadMailbox): boolean {
  for (let position = 0; position < messages.length; position++)
    if (!state.isDeleted(messages.at(position))) return true;
  return false;
}

/** Properties of a new mailbox that its client did not give: RFC 8620 §5.3. */
function madeOf(given: Readonly<Record<string, unknown>>, { name }: Node): Readonly<Record<string, unknown>> {
  return {
    ...(given.name !== name && { name }),
    ...(given.parentId === undefined && { parentId: null }),
    ...(given.role === undefined && { role: null }),
    ...(given.sortOrder === undefined && { sortOrder: 0 }),
    ...(given.isSubscribed === undefined && { isSubscribed: true }),
    totalEmails: 0,
    unreadEmails: 0,
    totalThreads: 0,
    unreadThreads: 0,
    myRights: rightsOf(false, false),
  };
}
