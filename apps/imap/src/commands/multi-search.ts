import type { MailboxView, ReadMailbox } from "@restante/engine";
import { PACE } from "@restante/host";
import { fitting } from "../mailbox-filter.ts";
import { asksModSeq, esearch, savedOf, tellingProgress } from "../search-answers.ts";
import type { Session } from "../session.ts";
import { type MailboxFilter, parseFilter } from "../wire/notify-events.ts";
import { ImapSyntaxError, type Parser } from "../wire/parser.ts";
import { BadCharset, parseSearchProgram } from "../wire/search-keys.ts";
import { parseSearchReturn, RETURN_ALL, tells } from "../wire/search-return.ts";
import { type Command, defineCommand, ok, SIGNED_IN } from "./command.ts";
import { assertFreeTag, follow, prepare, refuseCharset, refuseUpdates } from "./run-search.ts";

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
    const ofSelected = filters.every(({ kind }) => kind === "selected");
    if (wanted.save && !ofSelected) throw new ImapSyntaxError("SAVE is for the selected mailbox alone");
    try {
      return { filters, wanted, key: parseSearchProgram(parser) };
    } catch (error) {
      if (!(error instanceof BadCharset)) throw error;
      parser.skip(parser.rest().length);
      return { filters, wanted, key: error };
    }
  },
  async run({ filters, wanted, key }, session, form) {
    const { mail, selected } = session;
    const asksSelected = wanted.update || filters.some(({ kind }) => kind === "selected");
    if (asksSelected && !selected) throw new ImapSyntaxError("No mailbox is selected");
    assertFreeTag(wanted, session, form);
    if (key instanceof BadCharset) return refuseCharset(wanted, session);
    await session.refresh();
    const byModSeq = asksModSeq(key);
    const byUid = { ...form, uid: true };
    let updates = "";
    for (const { id, path } of mailboxesOf(session, filters)) {
      if (!mail.state.findPath(path)) continue;
      const isSelected = id === selected?.view.id;
      const there = isSelected ? session : at(session, mail.openView(mail.getMailbox(path).id, { readOnly: true }));
      const { condition, lasting } = prepare(key, wanted, there);
      const places = await tellingProgress(session, form, () => mail.search(there.view, condition, { pace: PACE }));
      if (wanted.save) session.save(savedOf(session, places, wanted));
      if (wanted.update && isSelected) updates = follow({ key: lasting }, places, session, byUid);
      if (places.length === 0 || (wanted.save && !tells(wanted))) continue;
      const of = ` MAILBOX ${session.formatName(path)} UIDVALIDITY ${there.view.uidValidity}`;
      session.untagged(esearch(there, places, byUid, { wanted, byModSeq, of }));
      if (session.output.isFull) await session.output.flush();
    }
    if (wanted.update && updates === "")
      updates = refuseUpdates(session, form.tag, "Only the selected mailbox is followed");
    return ok(`ESEARCH completed${updates}`);
  },
});

/** A mailbox as SEARCH sees it. `$` is the selected mailbox's alone. */
function at(session: Session, view: MailboxView): Session {
  return Object.create(session, {
    view: { value: view },
    selected: { value: undefined },
    savedUids: { value: [] },
  }) as Session;
}

function mailboxesOf({ mail, selected, isUtf8 }: Session, filters: readonly MailboxFilter[]): ReadMailbox[] {
  const fits = filters.map((filter) => fitting(filter, isUtf8));
  const ofSelected = filters.some(({ kind }) => kind === "selected");
  const { subscriptions } = mail.state;
  return mail.state.liveMailboxes().filter(({ id, path }) => {
    if (ofSelected && id === selected?.view.id) return true;
    return fits.some((is) => is(path, subscriptions.has(path)));
  });
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
