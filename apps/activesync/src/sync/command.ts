import { EngineError } from "@restante/engine";
import { type Element, element, empty, optional, readValues, SchemaError, schema, group as shapeOf, text } from "wbxml";
import { COMMANDS_MAX, ID_CHARS_MAX } from "../limits.ts";
import { HtmlTrouble } from "../mail/html-thread.ts";
import { group, leaf } from "../protocol/elements.ts";
import { CONVERSION_ERROR, CommandError } from "../protocol/status.ts";
import { isGone } from "./drafts.ts";
import { PROTOCOL_ERROR } from "./options.ts";

/** Statuses of items: MS-ASCMD §2.2.3.177.17. */
export const OK = 1;
export const CONFLICT = 7;
export const NOT_FOUND = 8;
const NO_ROOM = 9;
export const TRY_AGAIN = 16;

/** One command of a client. */
export interface Command {
  readonly verb: Verb;
  readonly serverId: string | null;
  readonly clientId: string | null;
  readonly class: string | null;
  readonly send: true | null;
  readonly data: Element | null;
}
const COMMAND = shapeOf({
  serverId: optional("AirSync:ServerId", text(ID_CHARS_MAX * 4)),
  clientId: optional("AirSync:ClientId", text(ID_CHARS_MAX)),
  class: optional("AirSync:Class", text(ID_CHARS_MAX)),
  instance: optional("AirSyncBase:InstanceId", text(ID_CHARS_MAX)),
  send: optional("Email2:Send", empty),
  data: optional("AirSync:ApplicationData", element),
});
export type Verb = "Add" | "Change" | "Delete" | "Fetch";
const VERBS: Readonly<Record<string, Verb>> = {
  "AirSync:Add": "Add",
  "AirSync:Change": "Change",
  "AirSync:Delete": "Delete",
  "AirSync:Fetch": "Fetch",
};

/** Reads the commands of a folder. Throws SchemaError, and CommandError 4: too many, an unknown one, one item twice. */
export function readCommands(elements: readonly Element[]): Command[] {
  if (elements.length > COMMANDS_MAX) throw new CommandError(PROTOCOL_ERROR, "too many commands");
  const commands = elements.map((one): Command => {
    const verb = VERBS[one.tag];
    if (!verb) throw new CommandError(PROTOCOL_ERROR, "no command");
    const values = readValues(schema(one.tag, COMMAND), one);
    const isAdd = verb === "Add";
    if ((isAdd ? values.clientId : values.serverId) === null) throw new SchemaError("missing", one.tag, one.offset);
    if ((isAdd || verb === "Change") && !values.data) throw new SchemaError("missing", one.tag, one.offset);
    return { ...values, verb };
  });
  const named = commands.filter(({ verb }) => verb !== "Fetch").flatMap(({ serverId }) => serverId ?? []);
  if (new Set(named).size < named.length) throw new CommandError(PROTOCOL_ERROR, "two commands for one item");
  return commands;
}

/** The answer to a command for a folder that takes nothing. */
export function refusedCommand({ verb, clientId, serverId }: Command): Element {
  const isAdd = verb === "Add";
  return group(
    `AirSync:${verb}`,
    isAdd ? leaf("AirSync:ClientId", clientId!) : leaf("AirSync:ServerId", serverId!),
    statusLeaf(isAdd ? CONVERSION_ERROR : NOT_FOUND),
  );
}

export function statusLeaf(status: number): Element {
  return leaf("AirSync:Status", status);
}

/** An error's status for one item; undefined for an error that is not about one item. */
export function statusOf(error: unknown): number | undefined {
  if (error instanceof SchemaError || error instanceof HtmlTrouble) return CONVERSION_ERROR;
  if (error instanceof CommandError) return error.status;
  if (!(error instanceof EngineError)) return undefined;
  if (isGone(error)) return NOT_FOUND;
  if (error.code === "over-quota" || error.code === "too-large") return NO_ROOM;
  return error.code === "invalid" || error.code === "corrupt" ? CONVERSION_ERROR : undefined;
}
