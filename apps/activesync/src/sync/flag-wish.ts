import { boolean, type Element } from "wbxml";
import { categoryKeywords, readCategories, readFlag } from "../mail/marks.ts";
import { childOf } from "../protocol/elements.ts";
import { CONVERSION_ERROR, CommandError } from "../protocol/status.ts";

export interface FlagsWish {
  readonly add: readonly string[];
  readonly remove: readonly string[];
  readonly flag: ReturnType<typeof readFlag> | undefined;
}

/** Properties that follow from a mail, and that no client sets: MS-ASEMAIL §2.2.2. */
const NEVER_SET: ReadonlySet<string> = new Set([
  ...["Email2:ConversationId", "Email2:ConversationIndex", "Email2:Sender", "Email2:ReceivedAsBcc"],
]);

/** The flags that a phone wants a mail to have; other properties have no effect. Throws CommandError 6. */
export function readFlagWish(data: Element, flags: readonly string[]): FlagsWish {
  const add: string[] = [];
  const remove: string[] = [];
  const set = (flag: string, on: boolean): void => void (on ? add : remove).push(flag);
  if (data.children.some(({ tag }) => NEVER_SET.has(tag))) throw new CommandError(CONVERSION_ERROR);
  const read = childOf(data, "Email:Read");
  if (read) set("\\Seen", boolean.read(read));
  const flagged = childOf(data, "Email:Flag");
  const flag = flagged && readFlag(flagged);
  if (flag) set("\\Flagged", flag.isFlagged);
  const categories = childOf(data, "Email:Categories");
  if (categories) {
    const wanted = readCategories(categories);
    if (!wanted) throw new CommandError(CONVERSION_ERROR, "a category that can't be kept");
    for (const keyword of categoryKeywords(flags)) if (!wanted.includes(keyword)) set(keyword, false);
    for (const keyword of wanted) set(keyword, true);
  }
  return { add, remove, flag };
}
