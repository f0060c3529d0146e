import type { ThreadAlgorithm, Threads } from "@restante/engine";
import { PACE } from "@restante/host";
import { KeptTexts } from "../kept-texts.ts";
import { conditionOf } from "../search.ts";
import { tellingProgress } from "../search-answers.ts";
import { ImapSyntaxError } from "../wire/parser.ts";
import { BadCharset } from "../wire/search-keys.ts";
import { type Command, defineCommand, ok } from "./command.ts";
import { numberingOf } from "./message-set.ts";
import { refuseCharset } from "./run-search.ts";
import { parseProgram } from "./sort.ts";

const ALGORITHMS: Readonly<Record<string, ThreadAlgorithm>> = {
  ORDEREDSUBJECT: "ordered-subject",
  REFERENCES: "references",
  REFS: "refs",
};

const texts = new KeptTexts<Threads>();

/** THREAD: RFC 5256 §3 and §4; REFS as some servers have it, which no RFC tells. */
export const thread: Command<unknown> = defineCommand({
  name: "THREAD",
  in: ["selected"],
  uid: true,
  capabilities: ["THREAD=ORDEREDSUBJECT", "THREAD=REFERENCES", "THREAD=REFS"],
  expunges: "must-not",
  parse(parser) {
    parser.space();
    const name = parser.keyword();
    if (!Object.hasOwn(ALGORITHMS, name)) throw new ImapSyntaxError("Unknown algorithm");
    return { algorithm: ALGORITHMS[name]!, key: parseProgram(parser) };
  },
  async run({ algorithm, key }, session, form) {
    if (key instanceof BadCharset) return refuseCharset(undefined, session);
    const { view, mail } = session;
    const condition = conditionOf(key, session, session.link.nowMs());
    const threads = await tellingProgress(session, form, () => mail.thread(view, algorithm, condition, { pace: PACE }));
    const text = texts.get(threads, form.uid ? "uids" : "numbers", () =>
      formatThreads(threads, numberingOf(view, form.uid)),
    );
    session.untagged(text === "" ? "THREAD" : `THREAD ${text}`);
    return ok("THREAD completed");
  },
});

/** `1*("(" … ")")`: RFC 5256 §5. A node with one child stands in one list with it; several children have a list each. However deep
 * a thread is it is walked through node by node. */
export function formatThreads({ places, children }: Threads, numberOf: (place: number) => number): string {
  let text = "";
  /** Lists around the present one that wait for so many more of the same level. */
  const waiting: number[] = [];
  let separator = "(";
  for (const [node, place] of places.entries()) {
    const count = children[node]!;
    text += place >= 0 ? separator + numberOf(place) : separator;
    if (count === 1) separator = place >= 0 ? " " : "";
    else if (count > 1) {
      text += place >= 0 ? " " : "";
      separator = "(";
      waiting.push(count);
    } else {
      text += ")";
      separator = "(";
      while (waiting.length > 0) {
        const left = waiting.pop()! - 1;
        if (left > 0) {
          waiting.push(left);
          break;
        }
        text += ")";
      }
    }
  }
  return text;
}
