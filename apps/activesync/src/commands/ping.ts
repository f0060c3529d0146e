import { type Element, integer, many, optional, readValues, SchemaError, schema, group as shapeOf, text } from "wbxml";
import type { Context } from "../context.ts";
import { areFoldersNews, foldersNow } from "../folders/state.ts";
import type { Folder } from "../folders/tree.ts";
import { COLLECTIONS_MAX, ID_CHARS_MAX } from "../limits.ts";
import type { PingRequest } from "../phones.ts";
import { group, leaf } from "../protocol/elements.ts";
import type { WaitEnd } from "../push/wait.ts";
import { SECONDS_MAX } from "../sync/request.ts";
import { lastState } from "../sync/store.ts";
import { countPending } from "../sync/window.ts";

/** Statuses: MS-ASCMD §2.2.3.177.11. */
const TIME_PASSED = 1;
const CHANGES = 2;
const INCOMPLETE = 3;
const MALFORMED = 4;
const INTERVAL = 5;
const TOO_MANY = 6;
const FOLDER_SYNC = 7;

const PING = schema(
  "Ping:Ping",
  shapeOf({
    autd: optional("Ping:AutdState", text()),
    seconds: optional("Ping:HeartbeatInterval", integer(-SECONDS_MAX, SECONDS_MAX)),
    folders: optional(
      "Ping:Folders",
      shapeOf({
        list: many(
          "Ping:Folder",
          shapeOf({
            id: optional("Ping:Id", text(ID_CHARS_MAX)),
            class: optional("Ping:Class", text(ID_CHARS_MAX)),
          }),
          COLLECTIONS_MAX,
        ),
      }),
    ),
  }),
);

/** The result of a Ping: an answer, or folders to wait for. */
export type PingAnswer =
  | { readonly kind: "answer"; readonly root: Element; readonly holdBackMs: number }
  | { readonly kind: "wait"; readonly folders: readonly Folder[]; readonly seconds: number };

/** Ping: MS-ASCMD §2.2.1.13. Changes since the last Sync are told at once. */
export async function ping(body: Element | undefined, context: Context): Promise<PingAnswer> {
  const { phone, waits, session } = context;
  const asked = body ? readPing(body) : undefined;
  if (asked === MALFORMED) return answer(MALFORMED);
  if (asked === TOO_MANY) return answer(TOO_MANY, leaf("Ping:MaxFolders", COLLECTIONS_MAX));
  const request: PingRequest = {
    seconds: asked?.seconds ?? phone.lastPing?.seconds,
    folders: asked?.folders ?? phone.lastPing?.folders ?? [],
  };
  const { seconds } = request;
  if (seconds === undefined || (asked?.folders === undefined && !phone.lastPing)) return answer(INCOMPLETE);
  if (seconds < waits.secondsMin) return answer(INTERVAL, leaf("Ping:HeartbeatInterval", waits.secondsMin));
  if (seconds > waits.secondsMax) return answer(INTERVAL, leaf("Ping:HeartbeatInterval", waits.secondsMax));
  if (new Set(request.folders).size < request.folders.length) return answer(MALFORMED);
  phone.lastPing = request;
  const all = foldersNow(context);
  const byId = new Map(all.map((folder) => [folder.id, folder]));
  const folders = request.folders.map((id) => byId.get(id));
  if (folders.includes(undefined)) return answer(FOLDER_SYNC);
  if (phone.folders && areFoldersNews(phone.folders.folders, all)) return answer(FOLDER_SYNC);
  const changed: string[] = [];
  for (const folder of folders as Folder[]) {
    if (!folder.mailbox) continue;
    const known = await lastState(context, folder.id);
    if (!known) continue;
    const count = countPending(session.state, folder.mailbox, known, known.options, context.now());
    if (count !== 0) changed.push(folder.id);
  }
  if (changed.length > 0) return { ...changes(changed), holdBackMs: phone.pinged() };
  return { kind: "wait", folders: folders as Folder[], seconds };
}

interface Asked {
  readonly seconds: number | undefined;
  readonly folders: string[] | undefined;
}

function readPing(body: Element): Asked | typeof MALFORMED | typeof TOO_MANY {
  try {
    const { seconds, folders } = readValues(PING, body);
    const ids = folders?.list.map(({ id }) => id);
    if (ids?.some((id) => id === null || id === "")) return MALFORMED;
    return { seconds: seconds ?? undefined, folders: ids as string[] | undefined };
  } catch (error) {
    if (error instanceof SchemaError) return error.code === "many" ? TOO_MANY : MALFORMED;
    throw error;
  }
}

function answer(status: number, ...more: readonly Element[]): PingAnswer & { readonly kind: "answer" } {
  return { kind: "answer", root: group("Ping:Ping", leaf("Ping:Status", status), ...more), holdBackMs: 0 };
}

function changes(ids: readonly string[]): PingAnswer & { readonly kind: "answer" } {
  return answer(CHANGES, group("Ping:Folders", ...ids.map((id) => leaf("Ping:Folder", id))));
}

/** The answer when a wait has ended. */
export function pingEnd(end: WaitEnd): Element {
  if (end.kind === "folders") return answer(FOLDER_SYNC).root;
  if (end.kind === "changes") return changes(end.folders).root;
  return answer(TIME_PASSED).root;
}
