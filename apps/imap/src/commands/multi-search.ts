import type { MailboxView } from "@restante/engine";
import { isTurnOver, takeTurn } from "@restante/host";
import { fitting } from "../mailbox-filter.ts";
import { conditionOf } from "../search.ts";
import { asksModSeq, esearch, tellingProgress } from "../search-answers.ts";
import type { Session } from "../session.ts";
import { type MailboxFilter, parseFilter } from "../wire/notify-events.ts";
import { ImapSyntaxError, type Parser } from "../wire/parser.ts";
import { BadCharset, parseSearchProgram } from "../wire/search-keys.ts";
import { parseSearchReturn, RETURN_ALL } from "../wire/search-return.ts";
import { type Command, defineCommand, ok, SIGNED_IN } from "./command.ts";
import { badCharset } from "./sort.ts";

/** Filters of one ESEARCH. */
const FILTERS_MAX = 100;

/** ESEARCH: RFC 7377 §2: a search of several mailboxes, of which those are told that hold something. */
export const multiSearch: Command<unknown> = defineCommand({
  name: "ESEARCH",
  in: SIGNED_IN,
  capabilities: ["MULTISEARCH"],
  parse(parser) {
    parser.space();
    const filters = parseSources(parser);
    const wanted = parseSearchReturn(parser) ?? RETURN_ALL;
    // What is saved is of one mailbox.
    if (wanted.save) throw new ImapSyntaxError("SAVE is for the selected mailbox alone");
    try {
      return { filters, wanted, key: parseSearchProgram(parser) };
    } catch (error) {
      if (!(error instanceof BadCharset)) throw error;
      parser.skip(parser.rest().length);
      return { filters, wanted, key: error };
    }
  },
  async run({ filters, wanted, key }, session, form) {
    if (key instanceof BadCharset) return badCharset;
    await session.refresh();
    const { mail } = session;
    const pace = { isOver: isTurnOver, take: takeTurn };
    const byModSeq = asksModSeq(key);
    for (const path of pathsOf(session, filters)) {
      if (!mail.state.findPath(path)) continue;
      const there = at(session, mail.openView(path, { readOnly: true }));
      const condition = conditionOf(key, there, session.link.nowMs());
      const places = await tellingProgress(session, form, () => mail.search(there.view, condition, { pace }));
      if (places.length === 0) continue;
      const of = ` MAILBOX ${session.formatName(path)} UIDVALIDITY ${there.view.uidValidity}`;
      session.untagged(esearch(there, places, { ...form, uid: true }, { wanted, byModSeq, of }));
      if (session.output.isFull) await session.output.flush();
    }
    return ok("ESEARCH completed");
  },
});

/** A mailbox as SEARCH sees it. Sequence numbers are the selected mailbox's alone, and so is what was saved. */
function at(session: Session, view: MailboxView): Session {
  const nothing = { selected: undefined, savedUids: [], isUidOnly: true };
  return Object.create(session, {
    view: { value: view },
    selected: { value: nothing.selected },
    savedUids: { value: nothing.savedUids },
    isUidOnly: { value: nothing.isUidOnly },
  }) as Session;
}

function pathsOf({ mail, selected, isUtf8 }: Session, filters: readonly MailboxFilter[]): string[] {
  const fits = filters.map((filter) => fitting(filter, isUtf8));
  const ofSelected = filters.some(({ kind }) => kind === "selected");
  const { subscriptions } = mail.state;
  return mail.state
    .liveMailboxes()
    .filter(({ id, path }) => {
      if (ofSelected && id === selected?.view.id) return true;
      return fits.some((is) => is(path, subscriptions.has(path)));
    })
    .map(({ path }) => path);
}

/** `["IN" SP "(" filter *(SP filter) ")" SP]`: the selected mailbox, if none is named. */
function parseSources(parser: Parser): readonly MailboxFilter[] {
  if (!/^IN \(/i.test(parser.rest(4))) return [{ kind: "selected" }];
  parser.keyword();
  parser.space();
  const filters = parser.list(() => parseFilter(parser), { max: FILTERS_MAX });
  parser.space();
  if (filters.some(({ kind }) => kind === "selected-delayed")) throw new ImapSyntaxError("Unknown filter");
  return filters;
}
