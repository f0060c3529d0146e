import type { Vacation } from "@restante/engine";
import { EngineError } from "@restante/engine";
import { stripHtml } from "@restante/mime";
import {
  type Element,
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
import { htmlOfText } from "../mail/texts.ts";
import { dashed, readDate } from "../protocol/dates.ts";
import { empty, group, leaf } from "../protocol/elements.ts";

/** Statuses: MS-ASCMD §2.2.3.177.15. */
const OK = 1;
const PROTOCOL = 2;
const BAD_ARGUMENTS = 5;

/** OofState: MS-ASCMD §2.2.3.119. */
const OFF = 0;
const ON = 1;
const BETWEEN = 2;

const MESSAGE = shapeOf({
  internal: optional("Settings:AppliesToInternal", text(16)),
  known: optional("Settings:AppliesToExternalKnown", text(16)),
  unknown: optional("Settings:AppliesToExternalUnknown", text(16)),
  enabled: optional("Settings:Enabled", text(16)),
  reply: optional("Settings:ReplyMessage", text(64 * 1024)),
  type: optional("Settings:BodyType", text(16)),
});
const OOF = schema(
  "Settings:Oof",
  shapeOf({
    get: optional("Settings:Get", shapeOf({ type: optional("Settings:BodyType", text(16)) })),
    set: optional(
      "Settings:Set",
      shapeOf({
        state: one("Settings:OofState", integer(OFF, BETWEEN)),
        start: optional("Settings:StartTime", text(64)),
        end: optional("Settings:EndTime", text(64)),
        messages: many("Settings:OofMessage", MESSAGE, 8),
      }),
    ),
  }),
);
type Wish = NonNullable<ReturnType<(typeof OOF)["shape"]["read"]>["set"]>;

/** Out of office is the vacation's answer, the same for all audiences: MS-ASCMD §2.2.3.116. */
export async function outOfOffice(asked: Element, { session }: Context): Promise<Element> {
  try {
    const { get, set } = readValues(OOF, asked);
    if (!get === !set) return answer(PROTOCOL);
    if (get) return answer(OK, told(await session.vacation(), get.type ?? "Text"));
    const vacation = wanted(set!, await session.vacation());
    if (!vacation) return answer(BAD_ARGUMENTS);
    await session.setVacation(vacation);
    return answer(OK);
  } catch (error) {
    if (error instanceof SchemaError) return answer(PROTOCOL);
    if (error instanceof EngineError && (error.code === "invalid" || error.code === "too-large"))
      return answer(BAD_ARGUMENTS);
    throw error;
  }
}

function answer(status: number, ...more: readonly Element[]): Element {
  return group("Settings:Oof", leaf("Settings:Status", status), ...more);
}

const AUDIENCES = ["AppliesToInternal", "AppliesToExternalKnown", "AppliesToExternalUnknown"];

function told({ isEnabled, fromMs, untilMs, text: plain, html }: Vacation, type: string): Element {
  const isHtml = type.toUpperCase() === "HTML";
  const words = isHtml ? (html ?? htmlOfText(plain ?? "")) : (plain ?? stripHtml(html ?? ""));
  const hasSpan = fromMs !== undefined && untilMs !== undefined;
  const messages = AUDIENCES.map((audience) =>
    group(
      "Settings:OofMessage",
      empty(`Settings:${audience}`),
      leaf("Settings:Enabled", isEnabled ? 1 : 0),
      words === "" ? undefined : leaf("Settings:ReplyMessage", words),
      leaf("Settings:BodyType", isHtml ? "HTML" : "Text"),
    ),
  );
  return group(
    "Settings:Get",
    leaf("Settings:OofState", isEnabled ? (hasSpan ? BETWEEN : ON) : OFF),
    hasSpan ? leaf("Settings:StartTime", dashed(fromMs)) : undefined,
    hasSpan ? leaf("Settings:EndTime", dashed(untilMs)) : undefined,
    ...messages,
  );
}

/** The vacation response that a phone asks for; undefined if the request contradicts itself. Texts that it leaves out stay as
 * before. */
function wanted({ state, start, end, messages }: Wish, before: Vacation): Vacation | undefined {
  const [fromMs, untilMs] = [start, end].map((date) => (date === null ? undefined : readDate(date)));
  if (state === BETWEEN && (fromMs === undefined || untilMs === undefined || untilMs <= fromMs)) return undefined;
  if (messages.some(({ reply, type }) => reply !== null && type === null)) return undefined;
  // There is one text for all senders: that for unknown outsiders, if there is one, since it tells least.
  const said = messages.filter(({ reply, enabled }) => reply && enabled !== "0");
  const message = said.find(({ unknown }) => unknown !== null) ?? said.find(({ known }) => known !== null) ?? said[0];
  const isHtml = message?.type?.toUpperCase() === "HTML";
  const reply = message?.reply ?? undefined;
  const texts =
    reply === undefined
      ? { text: before.text, html: before.html }
      : isHtml
        ? { text: stripHtml(reply), html: reply }
        : { text: reply, html: undefined };
  const span = state === BETWEEN ? { fromMs, untilMs } : { fromMs: undefined, untilMs: undefined };
  return { isEnabled: state !== OFF, ...span, subject: before.subject, ...texts };
}
