import { fold, foldField } from "../mail/contents/fold.ts";
import { placeOf } from "./compile.ts";
import type { Condition } from "./condition.ts";
import { Needle } from "./needle.ts";

/** Texts that a condition looks for, each once in each place. */
export interface Wanted {
  /** By place, see {@link placeOf}. */
  readonly fields: ReadonlyMap<string, readonly Needle[]>;
  /** In all headers: the message's own, and those of parts. */
  readonly header: readonly Needle[];
  readonly body: readonly Needle[];
  readonly attachment: boolean;
  readonly sent: boolean;
}

/** True if a condition asks for no text of a message. */
export function asksNoText(condition: Condition): boolean {
  const { fields, header, body, attachment } = wantedBy(condition);
  return fields.size === 0 && header.length === 0 && body.length === 0 && !attachment;
}

export function wantedBy(condition: Condition): Wanted {
  const fields = new Map<string, Map<string, Needle>>();
  const header = new Map<string, Needle>();
  const body = new Map<string, Needle>();
  let attachment = false;
  let sent = false;
  const add = (to: Map<string, Needle>, folded: string): void => {
    if (folded !== "" && !to.has(folded)) to.set(folded, new Needle(folded));
  };
  const walk = (inner: Condition): void => {
    switch (inner.kind) {
      case "and":
      case "or":
        for (const one of inner.of) walk(one);
        break;
      case "not":
        walk(inner.of);
        break;
      case "header":
      case "subject":
      case "from":
      case "to":
      case "cc":
      case "bcc": {
        const place = placeOf(inner)!;
        const needles = fields.get(place) ?? new Map<string, Needle>();
        fields.set(place, needles);
        add(needles, foldField(inner.text));
        break;
      }
      case "text":
        add(header, foldField(inner.text));
        add(body, fold(inner.text));
        break;
      case "body":
        add(body, fold(inner.text));
        break;
      case "attachment":
        attachment = true;
        break;
      case "date":
        if (inner.of === "sent") sent = true;
        break;
      case "all":
      case "keyword":
      case "thread-keyword":
      case "mailbox":
      case "uids":
      case "emails":
      case "threads":
      case "modSeq":
      case "size":
        break;
    }
  };
  walk(condition);
  return {
    fields: new Map([...fields].map(([field, needles]) => [field, [...needles.values()]])),
    header: [...header.values()],
    body: [...body.values()],
    attachment,
    sent,
  };
}
