import { asModSeq, type ReadState } from "@restante/engine";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Session } from "./session.ts";
import { Watch } from "./watch.ts";
import { parseNotify } from "./wire/notify-events.ts";
import { Parser } from "./wire/parser.ts";

interface Box {
  readonly id: string;
  path: string;
  uidNext: number;
  uidValidity: number;
  highestModSeq: number;
  messages: { length: number };
  unseen: number;
}

/** An account of mailboxes alone, which others change. */
class Account {
  modSeq = 1;
  boxes: Box[] = [];
  /** Annotations, by the id of each; when it was written. */
  readonly notes: Map<string, number> = new Map();
  readonly #told = {
    records: {
      since: (_type: string, modSeq: number) =>
        [...this.notes].filter(([, written]) => written > modSeq).map(([id]) => ({ id })),
    },
    subscriptions: new Set<string>(),
  };
  #made = 0;

  get state(): ReadState {
    return Object.assign(this.#told, {
      modSeq: asModSeq(this.modSeq),
      liveMailboxes: () => this.boxes,
      findMailbox: (id: string) => this.boxes.find((box) => box.id === id),
    }) as unknown as ReadState;
  }

  at(path: string): Box | undefined {
    return this.boxes.find((box) => box.path === path);
  }

  make(path: string): void {
    if (this.at(path)) return;
    const id = `${++this.#made}`;
    const numbers = { uidNext: 1, uidValidity: this.#made, highestModSeq: ++this.modSeq };
    this.boxes.push({ id, path, ...numbers, messages: { length: 0 }, unseen: 0 });
  }

  remove(path: string): void {
    this.boxes = this.boxes.filter((box) => box.path !== path);
    this.modSeq++;
  }

  rename(from: string, to: string): void {
    const box = this.at(from);
    if (box && !this.at(to)) Object.assign(box, { path: to, highestModSeq: ++this.modSeq });
  }

  append(path: string): void {
    const box = this.at(path);
    if (!box) return;
    box.uidNext++;
    box.messages.length++;
    box.unseen++;
    box.highestModSeq = ++this.modSeq;
  }

  /** The mailboxes and their numbers. */
  get shown(): Record<string, string> {
    const numbers = ({ messages, uidNext, uidValidity }: Box): string =>
      messages.length === 0 ? "empty" : `${messages.length} ${uidNext} ${uidValidity}`;
    return Object.fromEntries(this.boxes.map((box) => [box.path, numbers(box)]));
  }
}

/** A client that watches all mailboxes, and what it takes them for by what it was told. */
function watching(account: Account, events = "MailboxName MessageNew MessageExpunge") {
  const texts: string[] = [];
  const known = new Map(Object.entries(account.shown));
  const session = {
    mail: account,
    output: { isFull: false },
    isUtf8: false,
    formatName: (path: string) => path,
    untagged(text: string) {
      texts.push(text);
      const [, gone, path, before] =
        /^LIST \((\\NonExistent)?\) "\/" (\S+)(?: \("OLDNAME" \((.*)\)\))?$/.exec(text) ?? [];
      const counts = /^STATUS (\S+) \(MESSAGES (\d+) UIDNEXT (\d+) UIDVALIDITY (\d+) /.exec(text);
      if (counts) known.set(counts[1]!, `${counts[2]} ${counts[3]} ${counts[4]}`);
      else if (gone) known.delete(path!);
      else {
        const numbers = before === undefined ? "empty" : known.get(before)!;
        known.delete(before!);
        known.set(path!, numbers);
      }
    },
  } as unknown as Session;
  const words = ` SET (personal (${events}))`;
  const parser = new Parser({ lines: [Buffer.from(words)], literals: [] });
  parser.space();
  const watch = new Watch(session, parseNotify(parser).interests);
  return { tell: () => watch.tell(), shown: () => Object.fromEntries(known), texts };
}

const path = fc.constantFrom("A", "B", "C", "D");
const act = fc.oneof(
  fc.record({ kind: fc.constant("make" as const), path }),
  fc.record({ kind: fc.constant("remove" as const), path }),
  fc.record({ kind: fc.constant("rename" as const), path, to: path }),
  fc.record({ kind: fc.constant("append" as const), path }),
  fc.constant({ kind: "tell" as const }),
);

test("whoever is told of all mailboxes knows them, however much happens in between", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(act, { maxLength: 30 }), async (acts) => {
      const account = new Account();
      for (const path of ["A", "B", "C"]) account.make(path);
      const [often, seldom] = [watching(account), watching(account)];
      for (const one of acts) {
        if (one.kind === "make") account.make(one.path);
        else if (one.kind === "remove") account.remove(one.path);
        else if (one.kind === "append") account.append(one.path);
        else if (one.kind === "rename") account.rename(one.path, one.to);
        else await often.tell();
      }
      for (const client of [often, seldom]) {
        await client.tell();
        expect(client.shown()).toEqual(account.shown);
      }
    }),
    { numRuns: 300 },
  );
});

test("annotations are told when they changed, and once", async () => {
  const account = new Account();
  account.make("A");
  account.notes.set("1 /private/before", ++account.modSeq);
  const { tell, texts } = watching(account, "MailboxMetadataChange ServerMetadataChange");
  for (const id of ["1 /private/one", " /private/two", "9 /private/of-none"]) {
    account.notes.set(id, ++account.modSeq);
    await tell();
    await tell();
  }
  expect(texts).toEqual(["METADATA A /private/one", 'METADATA "" /private/two']);
});
