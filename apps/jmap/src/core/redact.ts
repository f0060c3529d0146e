/** Characters of one value in a trace. */
const CHARS_MAX = 4096;
/** Elements of one list that a trace shows. */
const ITEMS_MAX = 8;
/** Names of values that a trace shows: the server made them, or the protocol names them. Of all other text only the length is
 * shown. */
const TOLD: ReadonlySet<string> = new Set([
  "accountId",
  "blobId",
  "blobIds",
  "canceled",
  "created",
  "destroy",
  "destroyed",
  "emailId",
  "emailIds",
  "id",
  "ids",
  "ifInState",
  "inMailbox",
  "newState",
  "notFound",
  "oldState",
  "operator",
  "properties",
  "property",
  "queryState",
  "resultOf",
  "role",
  "sinceQueryState",
  "sinceState",
  "state",
  "threadId",
  "type",
  "undoStatus",
  "updated",
]);
const PLAIN = /^[\w#$/.-]{1,64}$/;
const NAME = /^[\w#$:/.*-]{1,64}$/;

/** A value as JSON for a trace: names, numbers and what the server made; of texts the length, of long lists the beginning. */
export function redactJson(value: unknown): string {
  let left = CHARS_MAX;
  const parts: string[] = [];
  const say = (text: string): void => {
    left -= text.length;
    parts.push(text);
  };
  // As deep as what was parsed, which has its own bound.
  const write = (one: unknown, isTold: boolean): void => {
    if (left <= 0) return;
    if (typeof one === "string") say(isTold && PLAIN.test(one) ? JSON.stringify(one) : `[${one.length}]`);
    else if (Array.isArray(one)) {
      say("[");
      for (const [at, item] of one.slice(0, ITEMS_MAX).entries()) {
        if (at > 0) say(",");
        write(item, isTold);
      }
      say(one.length > ITEMS_MAX ? `,… ${one.length}]` : "]");
    } else if (typeof one === "object" && one !== null) {
      say("{");
      for (const [at, [name, inside]] of Object.entries(one).entries()) {
        if (left <= 0) break;
        say(`${at > 0 ? "," : ""}${NAME.test(name) ? name : `[${name.length}]`}:`);
        write(inside, TOLD.has(name));
      }
      say("}");
    } else say(String(one));
  };
  write(value, false);
  return left <= 0 ? `${parts.join("").slice(0, CHARS_MAX)}…` : parts.join("");
}
