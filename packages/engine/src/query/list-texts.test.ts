import fc from "fast-check";
import { expect, test } from "vitest";
import { position } from "../bay/position.ts";
import { LIST_FIELDS, TextRunWriter } from "../mail/contents/list-text.ts";
import type { Message } from "../mail/mailbox-view.ts";
import { asRow, type Row } from "../mail/numbers.ts";
import { MailState } from "../mail/state/state.ts";
import { bareEmail } from "../testing/email-kit.ts";
import { ListTexts } from "./list-texts.ts";
import { Needle } from "./needle.ts";

const pace = { isOver: () => false, take: async () => undefined };
const losePage = (): void => undefined;
const contents = { readTexts: () => Promise.reject(new Error("there is none")), losePage };
const tools = { contents, pace };

/** A state of so many emails, each of which is a message of its own. */
function stateOf(emails: number): MailState {
  const state = new MailState();
  for (let n = 0; n < emails; n++)
    state.addEmail(bareEmail([n >> 16, n >> 8, n & 255]), { entry: position(0), op: 0, index: 0 });
  return Object.assign(state, { emailOf: (row: number) => row });
}
const at = (state: MailState, row: Row): Message => ({ position: row, row, state });
const wanted = (place: string, ...texts: readonly string[]) =>
  new Map([[place, texts.map((text) => new Needle(text))]]);

test("what was learned is found where it stands, and of all else nothing is said", async () => {
  const text = fc.string({ unit: fc.constantFrom("a", "b", "\0", "é"), maxLength: 6 });
  const learned = fc.array(fc.tuple(fc.nat({ max: 9000 }), fc.array(text, { maxLength: 2 })), { maxLength: 60 });
  await fc.assert(
    fc.asyncProperty(
      fc.array(learned, { minLength: 1, maxLength: 4 }),
      fc.array(text, { minLength: 1 }),
      async (all, sought) => {
        const state = stateOf(9001);
        const texts = new ListTexts(state);
        const known = new Map<number, readonly string[]>();
        for (const some of all) {
          for (const [row, values] of some) {
            texts.learn(at(state, asRow(row)), "field subject", values);
            const isKept = values.length < 2 && !values[0]?.includes("\0");
            if (isKept && !known.has(row)) known.set(row, values);
          }
          texts.settle();
          const needles = sought.filter((one) => one !== "");
          const found = await texts.find(wanted("field subject", ...needles), tools);
          for (const one of ["", ...needles])
            for (const row of [...known.keys(), 17, 4096, 9000]) {
              const values = known.get(row);
              const verdict = found("field subject", one)?.(at(state, asRow(row)));
              if (one.includes("\0")) expect(verdict).toBe(undefined);
              else expect([row, verdict]).toEqual([row, values?.some((value) => value.includes(one))]);
            }
        }
      },
    ),
    { numRuns: 40 },
  );
});

test("what can't be told by one short text of the present state is left to the header", async () => {
  const state = stateOf(5000);
  const texts = new ListTexts(state);
  texts.learn(at(state, asRow(1)), "field subject", ["x".repeat(4096)]);
  texts.learn(at(state, asRow(2)), "field subject", ["x".repeat(4097)]);
  texts.learn(at(state, asRow(3)), "field subject", ["x", "y"]);
  texts.learn(at(state, asRow(4)), "field list-id", ["x"]);
  texts.learn(at(stateOf(10), asRow(5)), "field subject", ["x"]);
  // Nothing is looked at before it is settled.
  const early = await texts.find(wanted("field subject", "x"), tools);
  expect(early("field subject", "x")?.(at(state, asRow(1)))).toBe(undefined);
  texts.settle();
  texts.learn(at(state, asRow(6)), "field subject", ["x"]);
  const found = await texts.find(wanted("field subject", "x"), tools);
  expect(found("field subject", "x")?.(at(state, asRow(6)))).toBe(undefined);
  const told = [1, 2, 3, 5].map((row) => found("field subject", "x")?.(at(state, asRow(row))));
  expect(told).toEqual([true, undefined, undefined, undefined]);
  expect(found("field subject", "x")?.(at(stateOf(10), asRow(1)))).toBe(undefined);
  expect(found("addresses from", "x")).toBe(undefined);
  expect((await texts.find(wanted("field list-id", "x"), tools))("field list-id", "x")).toBe(undefined);
});

test("what is learned is joined now and then, and ends with its account", async () => {
  const state = stateOf(9000);
  const texts = new ListTexts(state);
  for (let row = 0; row < 4096; row++) texts.learn(at(state, asRow(row)), "addresses to", [`${row}`]);
  const verdict = async () =>
    (await texts.find(wanted("addresses to", "4095"), tools))("addresses to", "4095")?.(at(state, asRow(4095)));
  expect(await verdict()).toBe(true);
  texts.dispose();
  expect(await verdict()).toBe(undefined);
});

test("looking through very much takes turns, and ends when it is told to", async () => {
  const state = stateOf(9000);
  const texts = new ListTexts(state);
  for (let row = 0; row < 9000; row++) texts.learn(at(state, asRow(row)), "field subject", ["text"]);
  texts.settle();
  const ended = new AbortController();
  let turns = 0;
  const taking = {
    isOver: () => true,
    take: async () => {
      if (++turns === 2) ended.abort(new Error("gone"));
    },
  };
  await expect(
    texts.find(wanted("field subject", "x", "y"), { ...tools, pace: taking, signal: ended.signal }),
  ).rejects.toThrow("gone");
  expect(turns).toBe(2);
});

test("a page is opened though something was learned of it before, and both are known", async () => {
  const state = stateOf(10);
  state.pages = { ...state.pages, texts: ["page/0"] };
  const writer = new TextRunWriter(8);
  for (const one of [1, 2, 3]) writer.set(one, `stored ${one}`);
  const page = LIST_FIELDS.map(() => writer.end());
  const texts = new ListTexts(state);
  texts.learn(at(state, asRow(2)), "field subject", ["stored 2"]);
  texts.learn(at(state, asRow(8)), "field subject", ["learned 8"]);
  texts.settle();
  // One that is not settled yet.
  texts.learn(at(state, asRow(9)), "field subject", ["learned 9"]);
  texts.learn(at(state, asRow(0)), "field subject", []);
  const reading = { ...tools, contents: { readTexts: async () => page, losePage } };
  const found = await texts.find(wanted("field subject", "d 2", "learned"), reading);
  texts.settle();
  const rows = Array.from({ length: 10 }, (_, row) => row);
  const none = undefined;
  expect(rows.map((row) => found("field subject", "d 2")!(at(state, asRow(row))))).toEqual([
    false,
    false,
    true,
    false,
    none,
    none,
    none,
    none,
    false,
    false,
  ]);
  expect(rows.map((row) => found("field subject", "learned")!(at(state, asRow(row))))).toEqual([
    false,
    false,
    false,
    false,
    none,
    none,
    none,
    none,
    true,
    true,
  ]);
  expect([0, 1].map((row) => found("field subject", "")!(at(state, asRow(row))))).toEqual([false, true]);
  expect(texts.isOpen(wanted("field subject"))).toBe(true);
  const again = await texts.find(wanted("field subject", "stored"), tools);
  expect([1, 2, 3].map((row) => again("field subject", "stored")!(at(state, asRow(row))))).toEqual([true, true, true]);
});

test("pages are opened once, those that there are, and until that is ended", async () => {
  const state = stateOf(9000);
  Object.assign(state, { emailNumbers: 9000 });
  state.pages = { ...state.pages, texts: ["page/0", "", "page/2"] };
  const read: string[] = [];
  const writer = new TextRunWriter(4096);
  writer.set(7, "text");
  const page = LIST_FIELDS.map(() => writer.end());
  const ended = new AbortController();
  const reading = {
    ...tools,
    contents: {
      losePage,
      readTexts: async (name: string) => {
        read.push(name);
        return page;
      },
    },
    signal: ended.signal,
  };
  const texts = new ListTexts(state);
  const find = async (place: string) => (await texts.find(wanted(place, "tex"), reading))(place, "tex")!;
  const verdict = await find("field subject");
  expect([7, 8, 4103, 8199].map((row) => verdict(at(state, asRow(row))))).toEqual([true, undefined, undefined, true]);
  expect(read).toEqual(["page/0", "page/2"]);
  // A page that is open needs no scan.
  expect([texts.isOpen(wanted("field subject")), texts.isOpen(wanted("addresses cc"))]).toEqual([true, false]);
  expect((await find("field subject"))(at(state, asRow(7)))).toBe(true);
  expect(read).toHaveLength(2);
  await find("addresses cc");
  expect(read).toHaveLength(4);
  const take = async () => ended.abort(new Error("gone"));
  const opening = texts.find(wanted("addresses to", "x"), { ...reading, pace: { isOver: () => true, take } });
  await expect(opening).rejects.toThrow("gone");
  const again = { ...reading, signal: undefined };
  const later = await texts.find(wanted("addresses from", "tex"), again);
  expect(later("addresses from", "tex")?.(at(state, asRow(8199)))).toBe(true);
});
