import type { Condition } from "@restante/engine";
import { hexText } from "@restante/engine";
import {
  type Element,
  element,
  empty as emptyShape,
  integer,
  many,
  optional,
  schema,
  group as shapeOf,
  text,
} from "wbxml";
import { type Context, itemTools } from "../context.ts";
import {
  ANSWER_ELEMENTS_MAX,
  FETCHED_BYTES_MAX,
  ID_CHARS_MAX,
  QUERY_CHARS_MAX,
  QUERY_TERMS_MAX,
  RESULTS_DEFAULT,
  RESULTS_MAX,
} from "../limits.ts";
import { readItems } from "../mail/item.ts";
import { readDate } from "../protocol/dates.ts";
import { empty, group, leaf, sizeOf } from "../protocol/elements.ts";
import { formatFolderId, formatItemId, threadOfConversation } from "../protocol/ids.ts";
import { valuesOf } from "../protocol/read.ts";
import { CommandError } from "../protocol/status.ts";
import { anywhere } from "../search/kql.ts";
import { findMails, readSpan } from "../search/mails.ts";
import { findPeople, type Person } from "../search/people.ts";
import { PREFERENCE_FIELDS, readBodyPart, readPreferences } from "../sync/options.ts";

/** Statuses: MS-ASCMD §2.2.3.177.13. */
const OK = 1;
const MALFORMED = 2;
const SERVER = 3;
const BAD_LINK = 4;
const TOO_COMPLEX = 8;
const RANGE_PAST_END = 12;
const FOLDER_SYNC = 11;

const SEARCH = schema(
  "Search:Search",
  shapeOf({
    store: optional(
      "Search:Store",
      shapeOf({
        name: optional("Search:Name", text(64)),
        query: optional("Search:Query", element),
        options: optional(
          "Search:Options",
          shapeOf({
            range: optional("Search:Range", text(64)),
            rebuild: optional("Search:RebuildResults", emptyShape),
            deep: optional("Search:DeepTraversal", emptyShape),
            mimeSupport: optional("AirSync:MIMESupport", integer(0, 2)),
            bodies: many("AirSyncBase:BodyPreference", PREFERENCE_FIELDS, 8),
            bodyPart: many("AirSyncBase:BodyPartPreference", PREFERENCE_FIELDS, 8),
            user: optional("Search:UserName", text()),
            password: optional("Search:Password", text()),
            picture: optional("Search:Picture", element),
            rights: optional("RightsManagement:RightsManagementSupport", element),
          }),
        ),
      }),
    ),
  }),
);
type Store = NonNullable<ReturnType<(typeof SEARCH)["shape"]["read"]>["store"]>;

/** Search: MS-ASCMD §2.2.1.16, of mail and of people. */
export async function search(body: Element | undefined, context: Context): Promise<Element> {
  if (!body) return failed(SERVER);
  const store = valuesOf(SEARCH, body)?.store;
  if (!store?.query || store.name === null) return stored(MALFORMED);
  switch (store.name.toLowerCase()) {
    case "mailbox":
      return searchMail(store, context);
    case "gal":
      return searchPeople(store, context);
    default:
      return stored(BAD_LINK);
  }
}

function failed(status: number): Element {
  return group("Search:Search", leaf("Search:Status", status));
}

function stored(status: number, ...children: readonly Element[]): Element {
  return group(
    "Search:Search",
    leaf("Search:Status", OK),
    group("Search:Response", group("Search:Store", leaf("Search:Status", status), ...children)),
  );
}

async function searchMail(store: Store, context: Context): Promise<Element> {
  const query = readQuery(store.query!);
  if (typeof query === "number") return stored(query);
  const span = store.options?.range === null || !store.options ? undefined : readSpan(store.options.range!);
  if (store.options?.range && !span) return stored(MALFORMED);
  const { start, count } = span ?? { start: 0, count: RESULTS_DEFAULT };
  if (start >= RESULTS_MAX) return stored(RANGE_PAST_END);
  const options = bodyOptions(store);
  if (typeof options === "number") return stored(options);
  if (query.isElsewhere) return none();
  const asked = { condition: query.condition, folders: query.folders, isDeep: store.options?.deep === true };
  const found = await findMails(asked, start, Math.min(count, RESULTS_MAX - start), context);
  if (!found) return stored(FOLDER_SYNC);
  if (found.messages.length === 0) return start > 0 ? stored(RANGE_PAST_END) : none();
  const results: Element[] = [];
  const room = { elements: ANSWER_ELEMENTS_MAX, bytes: FETCHED_BYTES_MAX };
  let at = 0;
  for await (const item of readItems(found.messages, options, itemTools(context))) {
    const { state, row } = found.messages[at++]!;
    if (!item) continue;
    const result = group(
      "Search:Result",
      leaf("AirSync:Class", "Email"),
      leaf("Search:LongId", formatItemId(state.lastingNameOf(row))),
      leaf("AirSync:CollectionId", formatFolderId(state.mailboxOf(row).id)),
      group("Search:Properties", ...item),
    );
    results.push(result);
    const size = sizeOf(result);
    room.elements -= size.elements;
    room.bytes -= size.bytes;
    // The range that is told says how far it goes.
    if (room.elements < 0 || room.bytes < 0) break;
  }
  // All of them went meanwhile.
  if (results.length === 0) return none();
  const range = leaf("Search:Range", `${start}-${start + results.length - 1}`);
  return stored(OK, ...results, range, leaf("Search:Total", found.total));
}

/** Phones want one empty result where there is none. */
function none(): Element {
  return stored(OK, empty("Search:Result"), leaf("Search:Total", 0));
}

function bodyOptions({ options }: Store) {
  try {
    return {
      bodies: readPreferences(options?.bodies ?? []),
      bodyPart: readBodyPart(options?.bodyPart ?? []),
      mimeSupport: (options?.mimeSupport ?? 0) as 0 | 1 | 2,
      mimeBytesMax: undefined,
    };
  } catch (error) {
    if (error instanceof CommandError) return error.status >= 100 ? error.status : MALFORMED;
    throw error;
  }
}

interface ReadQuery {
  readonly condition: Condition;
  readonly folders: readonly string[];
  /** Nothing but mail is here. */
  readonly isElsewhere: boolean;
}

/** The condition and folders of a query for mail: MS-ASCMD §2.2.3.137.2. A status for a query that can't be answered. */
function readQuery(query: Element): ReadQuery | number {
  const [and, ...more] = query.children;
  if (and?.tag !== "Search:And" || more.length > 0) return and || query.content ? TOO_COMPLEX : MALFORMED;
  const of: Condition[] = [];
  const folders: string[] = [];
  const classes: string[] = [];
  if (and.children.length > QUERY_TERMS_MAX) return TOO_COMPLEX;
  for (const child of and.children) {
    switch (child.tag) {
      case "AirSync:Class":
        classes.push(textOf(child));
        break;
      case "AirSync:CollectionId":
        folders.push(textOf(child).slice(0, ID_CHARS_MAX));
        break;
      case "Search:FreeText": {
        const words = textOf(child);
        if (words.length > QUERY_CHARS_MAX) return TOO_COMPLEX;
        of.push(...wordsOf(words).map(anywhere));
        break;
      }
      case "Search:ConversationId": {
        const thread = child.content instanceof Uint8Array ? threadOfConversation(child.content) : undefined;
        of.push({ kind: "threads", ids: new Set(thread ? [hexText(thread)] : []) });
        break;
      }
      case "Search:GreaterThan":
      case "Search:LessThan": {
        const date = dateOf(child);
        if (date === undefined) return MALFORMED;
        const isFrom = child.tag === "Search:GreaterThan";
        of.push({ kind: "date", of: "received", isLocal: false, ...(isFrom ? { from: date + 1 } : { before: date }) });
        break;
      }
      default:
        return TOO_COMPLEX;
    }
  }
  if (of.length === 0) return MALFORMED;
  if (of.length > QUERY_TERMS_MAX) return TOO_COMPLEX;
  const isElsewhere = classes.length > 0 && !classes.includes("Email");
  return { condition: { kind: "and", of }, folders, isElsewhere };
}

function dateOf({ children }: Element): number | undefined {
  const value = children.find(({ tag }) => tag === "Search:Value");
  const isDate = children.some(({ tag }) => tag === "Email:DateReceived");
  return value && isDate ? readDate(textOf(value)) : undefined;
}

/** Words, and what stands between quotes. */
function wordsOf(words: string): string[] {
  return [...words.matchAll(/"([^"]+)"|[^\s"]+/g)]
    .map(([whole, phrase]) => (phrase ?? whole).replace(/\*$/, ""))
    .filter(Boolean);
}

const UTF8 = new TextDecoder();

function textOf({ content }: Element): string {
  return typeof content === "string" ? content : content ? UTF8.decode(content) : "";
}

async function searchPeople(store: Store, context: Context): Promise<Element> {
  const words = textOf(store.query!);
  const span = store.options?.range ? readSpan(store.options.range) : { start: 0, count: RESULTS_DEFAULT };
  if (!span || words.length > QUERY_CHARS_MAX) return stored(MALFORMED);
  const people = await findPeople(words, context);
  const wanted = people.slice(span.start, span.start + span.count);
  if (wanted.length === 0) return span.start > 0 ? stored(RANGE_PAST_END) : none();
  const wantsPicture = store.options?.picture != null;
  const range = leaf("Search:Range", `${span.start}-${span.start + wanted.length - 1}`);
  return stored(
    OK,
    ...wanted.map((person) =>
      group("Search:Result", group("Search:Properties", ...personElements(person, wantsPicture, context))),
    ),
    range,
    leaf("Search:Total", people.length),
  );
}

/** Status of a picture that there is none of: MS-ASCMD §2.2.2. */
const NO_PICTURE = 173;

/** MS-ASCMD §2.2.3.134: the elements of the address list. */
export function personElements({ name, address }: Person, wantsPicture: boolean, { version }: Context): Element[] {
  const shown = name || address;
  const [first = "", ...rest] = shown.split(" ");
  const named =
    name === ""
      ? []
      : [leaf("Gal:FirstName", first), ...(rest.length > 0 ? [leaf("Gal:LastName", rest.join(" "))] : [])];
  return [
    leaf("Gal:DisplayName", shown),
    leaf("Gal:Alias", address.slice(0, address.lastIndexOf("@"))),
    ...named,
    leaf("Gal:EmailAddress", address),
    ...(wantsPicture && version >= 14.1 ? [group("Gal:Picture", leaf("Gal:Status", NO_PICTURE))] : []),
  ];
}
