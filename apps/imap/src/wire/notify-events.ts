import { NOTIFY_NAMES_MAX } from "../limits.ts";
import { type FetchItem, parseFetchItems } from "./fetch-items.ts";
import { ImapSyntaxError, type Parser } from "./parser.ts";

/** Events that are told: RFC 5465 §5. */
export const EVENTS = [
  "MessageNew",
  "MessageExpunge",
  "FlagChange",
  "MailboxName",
  "SubscriptionChange",
  "MailboxMetadataChange",
  "ServerMetadataChange",
] as const;
export type EventName = (typeof EVENTS)[number];

export const MESSAGE_EVENTS: readonly EventName[] = ["MessageNew", "MessageExpunge", "FlagChange"];

/** Which mailboxes: RFC 5465 §6. Names are as they were written. */
export type MailboxFilter =
  | { readonly kind: "selected" | "selected-delayed" | "inboxes" | "personal" | "subscribed" }
  | { readonly kind: "subtree" | "subtree-one" | "mailboxes"; readonly names: readonly string[] };

/** Events that a client wants to be told of some mailboxes. */
export interface Interest {
  readonly filter: MailboxFilter;
  readonly events: ReadonlySet<EventName>;
  /** FETCH items for a new message in the selected mailbox. */
  readonly items: readonly FetchItem[];
}

/** There is an event that we know nothing of. */
export class BadEvent extends Error {}

/** `NONE`, or `SET [STATUS] 1*("(" filter SP events ")")`. Throws BadEvent. */
export function parseNotify(parser: Parser): { readonly status: boolean; readonly interests: readonly Interest[] } {
  const word = parser.keyword();
  if (word === "NONE") return { status: false, interests: [] };
  if (word !== "SET") throw new ImapSyntaxError("SET or NONE expected");
  parser.space();
  const status = !parser.atOpen;
  if (status) {
    if (parser.keyword() !== "STATUS") throw new ImapSyntaxError("STATUS expected");
    parser.space();
  }
  const interests: Interest[] = [];
  do {
    if (interests.length >= NOTIFY_NAMES_MAX) throw new ImapSyntaxError("Too many groups");
    interests.push(parseInterest(parser));
  } while (parser.trySpace());
  // A copy has no room for more.
  return { status, interests: [...interests] };
}

function parseInterest(parser: Parser): Interest {
  parser.char("(");
  const filter = parseFilter(parser);
  parser.space();
  const interest = { filter, ...parseEvents(parser) };
  parser.char(")");
  const { events } = interest;
  const isSelected = filter.kind === "selected" || filter.kind === "selected-delayed";
  if (events.has("MessageNew") !== events.has("MessageExpunge"))
    throw new ImapSyntaxError("MessageNew and MessageExpunge go together");
  if (events.has("FlagChange") && !events.has("MessageNew")) throw new ImapSyntaxError("FlagChange needs MessageNew");
  if (isSelected && EVENTS.some((event) => events.has(event) && !MESSAGE_EVENTS.includes(event)))
    throw new ImapSyntaxError("A selected mailbox has message events");
  if (!isSelected && interest.items.length > 0) throw new ImapSyntaxError("Items are told of the selected mailbox");
  return interest;
}

/** `filter-mailboxes`, RFC 5465 §8, with `subtree-one` of RFC 7377 §2.1. */
export function parseFilter(parser: Parser): MailboxFilter {
  const word = parser.keyword().toLowerCase();
  switch (word) {
    case "selected":
    case "selected-delayed":
    case "inboxes":
    case "personal":
    case "subscribed":
      return { kind: word };
    case "subtree":
    case "subtree-one":
    case "mailboxes": {
      parser.space();
      const names = parser.atOpen ? parser.list(() => parser.astring(), { max: NOTIFY_NAMES_MAX }) : [parser.astring()];
      return { kind: word, names };
    }
  }
  throw new ImapSyntaxError("Unknown filter");
}

function parseEvents(parser: Parser): Pick<Interest, "events" | "items"> {
  if (!parser.atOpen) {
    if (parser.keyword() !== "NONE") throw new ImapSyntaxError("Events expected");
    return { events: new Set(), items: [] };
  }
  const events = new Set<EventName>();
  let items: readonly FetchItem[] = [];
  let isUnknown = false;
  parser.list(() => {
    const word = parser.keyword();
    const name = EVENTS.find((event) => event.toUpperCase() === word);
    if (!name) isUnknown = true;
    else events.add(name);
    if (name === "MessageNew" && /^ \(/.test(parser.rest(2))) {
      parser.space();
      items = parseFetchItems(parser);
    }
  });
  if (isUnknown) throw new BadEvent();
  return { events: shared(events), items };
}

/** Sets of events, one each however many clients ask for them: by their names, of which there are few. */
const sets = new Map<string, ReadonlySet<EventName>>();

function shared(events: ReadonlySet<EventName>): ReadonlySet<EventName> {
  const key = EVENTS.filter((event) => events.has(event)).join();
  const known = sets.get(key) ?? events;
  sets.set(key, known);
  return known;
}
