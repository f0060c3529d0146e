import { EngineError, previewOf } from "@restante/engine";
import { decodeUnstructured } from "@restante/mime";
import { type Element, element, empty as emptyShape, one, optional, schema, group as shapeOf, text } from "wbxml";
import type { Context } from "../context.ts";
import { foldersNow } from "../folders/state.ts";
import { ID_CHARS_MAX, QUERY_CHARS_MAX, RESULTS_DEFAULT, RESULTS_MAX } from "../limits.ts";
import { addressText, clean, displayNames, mailboxesOf } from "../mail/addresses.ts";
import { importanceOf, readKept } from "../mail/item.ts";
import { dashed } from "../protocol/dates.ts";
import { group, leaf } from "../protocol/elements.ts";
import { formatFolderId, formatItemId } from "../protocol/ids.ts";
import { valuesOf } from "../protocol/read.ts";
import { CommandError, STATUS } from "../protocol/status.ts";
import { readKql } from "../search/kql.ts";
import { findMails, readSpan } from "../search/mails.ts";
import { findPeople } from "../search/people.ts";
import { personElements } from "./search.ts";

/** Statuses: MS-ASCMD §2.2.3.177.2. */
const OK = 1;
const MALFORMED = 2;
const FOLDER_SYNC = 3;
const RANGE = 4;

const FIND_OPTIONS = optional(
  "Find:Options",
  shapeOf({
    range: optional("Find:Range", text(64)),
    deep: optional("Find:DeepTraversal", emptyShape),
    picture: optional("Find:Picture", element),
  }),
);
const FIND = schema(
  "Find:Find",
  shapeOf({
    id: one("Find:SearchId", text(ID_CHARS_MAX * 2)),
    execute: one(
      "Find:ExecuteSearch",
      shapeOf({
        mail: optional(
          "Find:MailBoxSearchCriterion",
          shapeOf({
            query: one(
              "Find:Query",
              shapeOf({
                class: optional("AirSync:Class", text(ID_CHARS_MAX)),
                collectionId: optional("AirSync:CollectionId", text(ID_CHARS_MAX)),
                words: optional("Find:FreeText", text(QUERY_CHARS_MAX * 4)),
              }),
            ),
            options: FIND_OPTIONS,
          }),
        ),
        people: optional(
          "Find:GalSearchCriterion",
          shapeOf({ query: one("Find:Query", text(QUERY_CHARS_MAX)), options: FIND_OPTIONS }),
        ),
      }),
    ),
  }),
);

/** Find, 16.1: MS-ASCMD §2.2.1.4. Each page is looked for anew. */
export async function find(body: Element | undefined, context: Context): Promise<Element> {
  if (context.version < 16.1) throw new CommandError(STATUS.commandUnknown);
  const { id, execute } = valuesOf(FIND, body) ?? {};
  const criterion = execute?.mail ?? execute?.people;
  const span = criterion?.options?.range ? readSpan(criterion.options.range) : { start: 0, count: RESULTS_DEFAULT };
  if (id === undefined || !execute || !criterion || !span || (execute.mail && execute.people)) return failed(MALFORMED);
  const store = execute.people ? "GAL" : "Mailbox";
  // A search begins with its first page.
  if (!context.phone.searches(id, span.start) || span.start >= RESULTS_MAX) return found(store, RANGE);
  if (execute.people) {
    const { query, options } = execute.people;
    return findInPeople(query, options?.picture != null, span, context);
  }
  return findInMail(execute.mail!, span, context);
}

interface Span {
  readonly start: number;
  readonly count: number;
}

interface MailCriterion {
  readonly query: {
    readonly class: string | null;
    readonly collectionId: string | null;
    readonly words: string | null;
  };
  readonly options: { readonly deep: true | null } | null;
}

function failed(status: number): Element {
  return group("Find:Find", leaf("Find:Status", status));
}

type StoreName = "Mailbox" | "GAL";

function found(store: StoreName, status: number, ...children: readonly Element[]): Element {
  const response = group(
    "Find:Response",
    leaf("ItemOperations:Store", store),
    leaf("Find:Status", status),
    ...children,
  );
  return group("Find:Find", leaf("Find:Status", OK), response);
}

async function findInPeople(
  query: string,
  wantsPicture: boolean,
  { start, count }: Span,
  context: Context,
): Promise<Element> {
  const people = await findPeople(query, context);
  const wanted = people.slice(start, start + count);
  return results(
    "GAL",
    wanted.map((person) =>
      group("Find:Result", group("Find:Properties", ...personElements(person, wantsPicture, context))),
    ),
    start,
    people.length,
  );
}

function results(store: StoreName, elements: readonly Element[], start: number, total: number): Element {
  const range = elements.length === 0 ? [] : [leaf("Find:Range", `${start}-${start + elements.length - 1}`)];
  return found(store, OK, ...elements, ...range, leaf("Find:Total", total));
}

async function findInMail(
  { query, options }: MailCriterion,
  { start, count }: Span,
  context: Context,
): Promise<Element> {
  const { class: kind, collectionId, words } = query;
  const condition = words === null ? undefined : readKql(words);
  if (!condition) return failed(MALFORMED);
  if (kind !== null && kind !== "Email") return results("Mailbox", [], start, 0);
  if (collectionId !== null && !foldersNow(context).some(({ id }) => id === collectionId)) return failed(FOLDER_SYNC);
  const asked = {
    condition,
    folders: collectionId === null ? [] : [collectionId],
    isDeep: options?.deep === true,
  };
  const mails = await findMails(asked, start, Math.min(count, RESULTS_MAX - start), context);
  if (!mails) return failed(FOLDER_SYNC);
  const elements = (await readKept(mails.messages, context)).flatMap((kept) => {
    // One that is damaged, or went meanwhile, keeps no other from being found.
    if (kept instanceof EngineError) return [];
    const { message, header, summary } = kept;
    const { state, row } = message;
    const flags = state.flagNames(row);
    const names = (field: string): string => displayNames(mailboxesOf(header, field));
    const [from] = mailboxesOf(header, "from");
    return group(
      "Find:Result",
      leaf("AirSync:Class", "Email"),
      leaf("AirSync:ServerId", formatItemId(state.lastingNameOf(row))),
      leaf("AirSync:CollectionId", formatFolderId(state.mailboxOf(row).id)),
      group(
        "Find:Properties",
        leaf("Email:Subject", clean(decodeUnstructured(header.values("subject")[0] ?? ""))),
        leaf("Email:DateReceived", dashed(state.receivedOf(row).timeMs)),
        leaf("Email:DisplayTo", names("to")),
        leaf("Find:DisplayCc", names("cc")),
        leaf("Find:DisplayBcc", flags.includes("\\Draft") ? names("bcc") : ""),
        leaf("Email:Importance", importanceOf(header)),
        leaf("Email:Read", flags.includes("\\Seen") ? 1 : 0),
        leaf("Email2:IsDraft", flags.includes("\\Draft") ? 1 : 0),
        leaf("Find:Preview", previewOf(summary).slice(0, PREVIEW_CHARS_MAX)),
        leaf("Find:HasAttachments", summary.format === 2 && summary.hasAttachment ? 1 : 0),
        leaf("Email:From", from ? addressText(from) : ""),
      ),
    );
  });
  return results("Mailbox", elements, start, mails.total);
}

const PREVIEW_CHARS_MAX = 255;
