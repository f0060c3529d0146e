import {
  boolean,
  type Element,
  element,
  integer,
  many,
  one,
  optional,
  readValues,
  SchemaError,
  schema,
  group as shapeOf,
  text,
} from "wbxml";
import type { Context } from "../context.ts";
import { foldersNow } from "../folders/state.ts";
import { COLLECTIONS_MAX, ID_CHARS_MAX } from "../limits.ts";
import { group, leaf } from "../protocol/elements.ts";
import { CommandError, STATUS } from "../protocol/status.ts";
import { FILTER_MS, readOptions, type SyncOptions } from "../sync/options.ts";
import { findState } from "../sync/store.ts";
import { countPending } from "../sync/window.ts";

const ESTIMATE = schema(
  "GetItemEstimate:GetItemEstimate",
  shapeOf({
    collections: one(
      "GetItemEstimate:Collections",
      shapeOf({
        list: many(
          "GetItemEstimate:Collection",
          shapeOf({
            class: optional("GetItemEstimate:Class", text(ID_CHARS_MAX)),
            key: optional("AirSync:SyncKey", text(ID_CHARS_MAX)),
            id: optional("GetItemEstimate:CollectionId", text(ID_CHARS_MAX)),
            byConversation: optional("AirSync:ConversationMode", boolean),
            filter: optional("AirSync:FilterType", integer(0, 255)),
            options: many("AirSync:Options", element, 2),
          }),
          COLLECTIONS_MAX,
        ),
      }),
    ),
  }),
);

const OK = 1;
const FOLDER_INVALID = 2;
const NOT_PRIMED = 3;
const KEY_INVALID = 4;
const FILTER_MAX = 8;

/** GetItemEstimate: MS-ASCMD §2.2.1.9. Nothing is remembered of it. */
export async function getItemEstimate(body: Element | undefined, context: Context): Promise<Element> {
  if (!body) throw new CommandError(STATUS.invalidXml);
  const { collections } = readValues(ESTIMATE, body);
  if (collections.list.length === 0) throw new CommandError(STATUS.invalidXml);
  const responses: Element[] = [];
  for (const asked of collections.list) {
    if (asked.id === null || asked.key === null) throw new CommandError(STATUS.invalidXml);
    const { status, estimate } = await estimateOf(asked.id, asked.key, asked, context);
    responses.push(
      group(
        "GetItemEstimate:Response",
        leaf("GetItemEstimate:Status", status),
        estimate === undefined
          ? undefined
          : group(
              "GetItemEstimate:Collection",
              context.version < 14 ? leaf("GetItemEstimate:Class", asked.class ?? "Email") : undefined,
              leaf("GetItemEstimate:CollectionId", asked.id),
              leaf("GetItemEstimate:Estimate", estimate),
            ),
      ),
    );
  }
  return group("GetItemEstimate:GetItemEstimate", ...responses);
}

interface Asked {
  readonly byConversation: boolean | null;
  readonly filter: number | null;
  readonly options: readonly Element[];
}

async function estimateOf(
  id: string,
  key: string,
  asked: Asked,
  context: Context,
): Promise<{ readonly status: number; readonly estimate?: number | undefined }> {
  const folder = foldersNow(context).find((one) => one.id === id);
  if (!folder) return { status: FOLDER_INVALID };
  if (asked.byConversation === true && folder.class !== "Email") throw new CommandError(STATUS.invalidXml);
  if (key === "0") return { status: NOT_PRIMED };
  const found = await findState(context, id, key, false);
  if (!found) return { status: KEY_INVALID };
  if (!folder.mailbox) return { status: OK, estimate: 0 };
  const options = optionsOf(asked, found.state.options);
  const { state } = context.session;
  const estimate = countPending(state, folder.mailbox, found.state, options, context.now());
  return estimate === undefined ? { status: KEY_INVALID } : { status: OK, estimate };
}

/** Throws CommandError 103 for a filter that is none. */
function optionsOf({ options, filter, byConversation }: Asked, known: SyncOptions): SyncOptions {
  if (filter !== null && filter > FILTER_MAX) throw new CommandError(STATUS.invalidXml);
  const read = options.map((block) => {
    try {
      return readOptions(block, byConversation ?? known.byConversation);
    } catch (error) {
      if (error instanceof SchemaError || error instanceof CommandError) throw new CommandError(STATUS.invalidXml);
      throw error;
    }
  });
  const given = read.find((one) => one !== undefined);
  if (given) return given;
  if (filter !== null && FILTER_MS[filter] !== undefined) return { ...known, filter };
  return byConversation === null ? known : { ...known, byConversation };
}
