import { INBOX_ID, type MailboxId, PATH_DELIMITER } from "../ops/names.ts";
import type { FolderStep, OpOf } from "../ops/op.ts";
import type { Refusal } from "../ops/outcome.ts";
import { DELETED } from "../state/flags.ts";
import type { ReadMailbox, ReadState } from "../state/read-state.ts";
import { normalizeInbox } from "../state/state.ts";
import { holdsClaim, refuse, type Verdict } from "./verdict.ts";

/**
 * All steps together: what the paths come to once all are done is what counts, so names may be swapped. The first step
 * that can't be is told, and none is done.
 */
export function judgeFolders(state: ReadState, op: OpOf<"folders">): Verdict {
  if (!holdsClaim(state, op.ifState)) return refuse("changed");
  const paths = new Map<string, MailboxId | number>();
  const moved = new Map(state.allMailboxes().map(({ id, path }) => [id, path]));
  for (const step of op.steps)
    if (step.do === "destroy") moved.delete(step.mailbox);
    else if (step.do === "set" && step.path !== undefined && moved.has(step.mailbox))
      moved.set(step.mailbox, normalizeInbox(step.path));
  // A mailbox that stays at its path has it before one that comes to it.
  const stays = (id: MailboxId, path: string): boolean => state.findMailbox(id)?.path === path;
  for (const [id, path] of moved) if (stays(id, path)) paths.set(path, id);
  for (const [id, path] of moved) if (!paths.has(path)) paths.set(path, id);
  for (const [at, step] of op.steps.entries()) {
    const refusal = judgeStep(state, op, step, { at, paths, moved });
    if (refusal) return { outcome: { refusal, step: at } };
  }
  return { op };
}

interface Result {
  readonly at: number;
  /** The holder of each path in the end: a mailbox, or the step that makes it. The first one has it. */
  readonly paths: Map<string, MailboxId | number>;
  /** The paths of those that are there and stay. */
  readonly moved: ReadonlyMap<MailboxId, string>;
}

function judgeStep(state: ReadState, op: OpOf<"folders">, step: FolderStep, result: Result): Refusal | undefined {
  const { at, paths, moved } = result;
  if (step.do === "create") {
    const path = normalizeInbox(step.path);
    if (path === "INBOX" || paths.has(path)) return "path-taken";
    paths.set(path, at);
    return undefined;
  }
  const mailbox = state.findMailbox(step.mailbox);
  if (!mailbox) return "no-mailbox";
  const below = state.below(mailbox.path);
  if (step.do === "destroy") {
    if (mailbox.id === INBOX_ID) return "inbox";
    if (step.ifEmpty && !isEmpty(state, mailbox)) return "not-empty";
    return below.some(({ id }) => moved.get(id)?.startsWith(`${mailbox.path}${PATH_DELIMITER}`))
      ? "has-child"
      : undefined;
  }
  if (step.path === undefined) return undefined;
  if (mailbox.id === INBOX_ID) return "inbox";
  const path = normalizeInbox(step.path);
  if (path === "INBOX" || paths.get(path) !== mailbox.id) return "path-taken";
  if (path.startsWith(`${mailbox.path}${PATH_DELIMITER}`)) return "path-taken";
  // A child that its author did not know would be left behind: author it again.
  const isNamed = (id: MailboxId): boolean => op.steps.some((other) => other.do !== "create" && other.mailbox === id);
  return path !== mailbox.path && below.some(({ id }) => !isNamed(id)) ? "stale" : undefined;
}

/** No email is shown in it: those with \Deleted go with it. */
function isEmpty(state: ReadState, { messages }: ReadMailbox): boolean {
  for (let position = 0; position < messages.length; position++)
    if ((state.bitsOf(messages.at(position)) & DELETED) === 0) return false;
  return true;
}
