import { extent } from "@restante/engine/testing";
import fc from "fast-check";
import { expect, test } from "vitest";
import { HeldFolder, mailText, openPhone, type TestPhone } from "../activesync-kit.ts";
import { group, leaf } from "../protocol/elements.ts";

// A phone that takes everything in as it is told holds what a fresh one gets, whatever happens meanwhile.

type Step =
  | { readonly do: "add"; readonly age: number }
  | { readonly do: "flag" | "unflag" | "seen" | "delete" | "move" | "back"; readonly at: number }
  | { readonly do: "flag-all" | "delete-some" }
  | { readonly do: "sync"; readonly window: number }
  | { readonly do: "lost"; readonly window: number }
  | { readonly do: "filter"; readonly filter: number }
  | { readonly do: "own"; readonly at: number; readonly what: "read" | "delete" }
  | { readonly do: "restart" }
  | { readonly do: "wait"; readonly days: number };

const at = fc.nat({ max: 30 });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant("add" as const), age: fc.nat({ max: 40 }) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constantFrom("flag", "unflag", "seen", "delete", "move", "back"),
      at,
    }) as fc.Arbitrary<Step>,
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("flag-all" as const, "delete-some" as const) }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant("sync" as const), window: fc.constantFrom(1, 2, 3, 7, 512) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("lost" as const), window: fc.constantFrom(1, 3, 512) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("filter" as const), filter: fc.nat({ max: 5 }) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("own" as const),
      at,
      what: fc.constantFrom("read", "delete"),
    }) as fc.Arbitrary<Step>,
  },
  { weight: 1, arbitrary: fc.constant({ do: "restart" } as const) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("wait" as const), days: fc.constantFrom(1, 4, 9) }) },
);
const DAY_MS = 86_400_000;
const START_MS = 1_700_000_000_000;

/** Changes by another session; positions count round. */
async function change(phone: TestPhone, step: Step & { readonly at: number }): Promise<void> {
  const from = step.do === "back" ? "Archive" : "INBOX";
  const view = phone.session.openView(phone.session.getMailbox(from).id, { readOnly: false });
  if (view.length === 0) return;
  const position = step.at % view.length;
  switch (step.do) {
    case "flag":
    case "unflag":
      await view.setFlags([position], { mode: step.do === "flag" ? "add" : "remove", flags: ["\\Flagged"] });
      break;
    case "seen":
      await view.setFlags([position], { mode: "add", flags: ["\\Seen", "red=20one"] });
      break;
    case "delete":
      await view.setFlags([position], { mode: "add", flags: ["\\Deleted"] });
      if (step.at % 3 > 0) await view.expunge([position]);
      break;
    default:
      await view.move([position], phone.session.getMailbox(step.do === "back" ? "INBOX" : "Archive").id);
  }
}

/** Changes of many by one op: they bear one modseq. */
async function changeMany(phone: TestPhone, what: "flag-all" | "delete-some"): Promise<void> {
  const view = phone.session.openView(phone.session.getMailbox("INBOX").id, { readOnly: false });
  const all = Array.from({ length: view.length }, (_, position) => position);
  const some = what === "flag-all" ? all : all.filter((position) => position % 2 === 0);
  if (some.length === 0) return;
  await view.setFlags(some, { mode: "add", flags: what === "flag-all" ? ["\\Seen"] : ["\\Deleted"] });
  if (what === "delete-some") await view.expunge(some);
}

test("after each of many random changes a phone holds what a fresh one gets", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60 }), async (steps) => {
      const { phone: first, another } = await openPhone();
      let phone = first;
      const other = await another("other");
      const inbox = await phone.folder(2);
      const held = new HeldFolder();
      let [filter, count, nowMs] = [0, 0, START_MS];
      const clock = (): number => nowMs;
      phone.now = clock;
      for (const one of steps)
        switch (one.do) {
          case "add":
            await other.append(mailText(count++), "INBOX", [], nowMs - one.age * DAY_MS);
            break;
          case "sync":
            held.take(await phone.sync(inbox, held.key, held.key === "0" ? {} : { window: one.window }));
            break;
          case "lost":
            // The answer never came: the same is asked again.
            if (held.key !== "0") await phone.sync(inbox, held.key, { window: one.window });
            break;
          case "filter":
            ({ filter } = one);
            if (held.key !== "0") held.take(await phone.sync(inbox, held.key, { filter, window: 2 }));
            break;
          case "own": {
            if (held.key === "0") break;
            const ids = [...held.items.keys()];
            const id = ids[one.at % Math.max(1, ids.length)];
            if (id === undefined) break;
            await act(phone, inbox, held, id, one.what);
            break;
          }
          case "restart": {
            phone = await another();
            phone.now = clock;
            break;
          }
          case "flag-all":
          case "delete-some":
            await changeMany(other, one.do);
            break;
          case "wait":
            nowMs += one.days * DAY_MS;
            break;
          default:
            await change(other, one);
        }
      await phone.session.refresh();
      await phone.catchUp(inbox, held, { filter, window: 5 });
      const fresh = new HeldFolder();
      const newcomer = await another("fresh");
      newcomer.now = clock;
      await newcomer.catchUp(inbox, fresh, { filter, window: 512 });
      const shown = (folder: HeldFolder) =>
        [...folder.items].map(([id, item]) => [id, ...FOLLOWED.map((tag) => item.get(tag))]).sort();
      expect(shown(held)).toEqual(shown(fresh));
      expect(held.starts).toBe(0);
    }),
    { numRuns: extent(150, 25) },
  );
});

const FOLLOWED = ["Email:Subject", "Email:Read", "Email:Flag", "Email:Categories", "Email:DateReceived"];

/** A phone does something itself, and knows of it before it is answered. */
async function act(
  phone: TestPhone,
  inbox: string,
  held: HeldFolder,
  id: string,
  what: "read" | "delete",
): Promise<void> {
  const command =
    what === "read"
      ? group("AirSync:Change", leaf("AirSync:ServerId", id), group("AirSync:ApplicationData", leaf("Email:Read", 1)))
      : group("AirSync:Delete", leaf("AirSync:ServerId", id));
  if (what === "delete") held.items.delete(id);
  else held.items.get(id)!.set("Email:Read", "1");
  held.take(await phone.sync(inbox, held.key, { commands: [command], window: 3 }), what === "delete" ? id : undefined);
}
