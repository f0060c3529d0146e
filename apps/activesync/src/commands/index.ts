import type { Element } from "wbxml";
import type { Context } from "../context.ts";
import { getItemEstimate } from "./estimate.ts";
import { find } from "./find.ts";
import { folderCreate, folderDelete, folderUpdate } from "./folder-change.ts";
import { folderSync } from "./folder-sync.ts";
import { meetingResponse } from "./meeting-response.ts";
import { moveItems } from "./move-items.ts";
import { resolveRecipients } from "./recipients.ts";
import { search } from "./search.ts";
import { settings } from "./settings.ts";
import { validateCert } from "./validate-cert.ts";

/** A command that is answered by one document, at once. */
export type Command = (body: Element | undefined, context: Context) => Promise<Element>;

/** Commands that take an element and give one. Sync, Ping, Provision, ItemOperations, GetAttachment and those that send
 * answer in other ways. */
export const COMMANDS: ReadonlyMap<string, Command> = new Map<string, Command>([
  ["FolderSync", folderSync],
  ["FolderCreate", folderCreate],
  ["FolderUpdate", folderUpdate],
  ["FolderDelete", folderDelete],
  ["GetItemEstimate", getItemEstimate],
  ["MoveItems", moveItems],
  ["Search", search],
  ["Find", find],
  ["Settings", settings],
  ["ResolveRecipients", resolveRecipients],
  ["MeetingResponse", meetingResponse],
  ["ValidateCert", validateCert],
]);

/** As OPTIONS tells them: MS-ASHTTP §2.2.4. */
export const COMMAND_NAMES: readonly string[] = [
  ...["Sync", "SendMail", "SmartForward", "SmartReply", "GetAttachment", "FolderSync", "FolderCreate", "FolderDelete"],
  ...["FolderUpdate", "MoveItems", "GetItemEstimate", "MeetingResponse", "Search", "Settings", "Ping"],
  ...["ItemOperations", "Provision", "ResolveRecipients", "ValidateCert", "Find"],
];
