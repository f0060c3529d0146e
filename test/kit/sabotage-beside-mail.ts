import {
  type AccountSession,
  Accounts,
  Dropbox,
  type EngineError,
  type ObjectStore,
  type Platform,
  type RecipientRecord,
  restoreAccount,
  rotateAccount,
  Unsettled,
  VouchedUsers,
} from "@restante/engine";
import { MemoryPlace } from "@restante/engine/node";
import {
  dropbox,
  FIRST,
  isSameRecord,
  mailText,
  makeRing,
  recipientRecord,
  setUpAda,
  signer,
  stream,
} from "@restante/engine/testing";
import { expect } from "vitest";
import type { Target } from "./sabotage.ts";
import { keeper, type Seen } from "./sabotaged-account.ts";

/** Objects of an account that hold no mail, as a saboteur of its store finds them. */
export type BesideKind = "device" | "facts" | "restored";
export interface BesideScene {
  readonly objects: ReadonlyMap<string, Uint8Array>;
  readonly target: Target;
  /** Objects that were there before. */
  readonly gone: ReadonlyMap<string, Uint8Array>;
  /** Words of each reader after the deed; fails where anything is shown wrongly. Each call of `store` is a process. */
  look(store: () => ObjectStore): Promise<readonly string[]>;
}

export const BESIDE_SCENES: Readonly<Record<BesideKind, () => Promise<BesideScene>>> = {
  device: makeDevice,
  facts: makeFacts,
  restored: makeRestored,
};

const ADDRESS = "ada@example.org";
const PHONE = { device: "a phone", place: "Inbox" };

type Ada = Awaited<ReturnType<typeof setUpAda>>;
/** A row of the table: what, the deed, who saw it and was told how, what still opens. */
export type Row = readonly [string, string, string, string];

function placeOf(objects: ReadonlyMap<string, Uint8Array>): MemoryPlace {
  const place = new MemoryPlace(Date.now);
  for (const [name, bytes] of objects) place.write(name, bytes);
  return place;
}

const prefixOf = (objects: ReadonlyMap<string, Uint8Array>): string => [...objects.keys()][0]!.slice(0, 33);

function objectsIn(place: MemoryPlace): Map<string, Uint8Array> {
  return new Map([...place.objects].map(([name, { bytes }]) => [name, bytes]));
}

async function withSession<T>(accounts: Accounts, work: (session: AccountSession) => Promise<T>): Promise<T> {
  const session = await accounts.login(ADDRESS, FIRST, "");
  try {
    return await work(session);
  } finally {
    session.close();
    await accounts.dispose();
  }
}

const first = (objects: ReadonlyMap<string, Uint8Array>, part: string): [string, Uint8Array] => {
  const found = [...objects].find(([name]) => name.includes(part));
  if (!found) throw new Error(`no object ${part}`);
  return found;
};

/** A phone's present state, and the one before. */
async function makeDevice(): Promise<BesideScene> {
  const states = { first: Buffer.from("what it held"), second: Buffer.from("what it holds") };
  const make = async (): Promise<{ ada: Ada; gone: Map<string, Uint8Array> }> => {
    const ada = await setUpAda();
    await dropbox(ada.place, ada.user()).deliver(new Uint8Array(0), stream(mailText(1)));
    let gone = new Map<string, Uint8Array>();
    await withSession(ada.accounts(), async ({ devices }) => {
      await devices.write(PHONE, "zeroth", states.first);
      gone = objectsIn(ada.place);
      await devices.remove(PHONE, ["zeroth"]);
      await devices.write(PHONE, "first", states.first);
      await devices.write(PHONE, "second", states.second);
    });
    return { ada, gone };
  };
  const [{ ada, gone }, stranger] = [await make(), await make()];
  const objects = objectsIn(ada.place);
  const [[name, bytes], [otherName, otherBytes]] = [first(objects, "/second"), first(objects, "/first")];
  return {
    objects,
    target: {
      name,
      bytes,
      other: { name: otherName, bytes: otherBytes },
      foreign: first(objectsIn(stranger.ada.place), "/second")[1],
    },
    gone: new Map([...gone].filter(([old]) => old.includes("/device/"))),
    look: async (store) => {
      const words: string[] = [];
      const log: Platform["log"] = ({ event }) => words.push(`log: ${event}`);
      await withSession(
        new Accounts({ ...ada.tools, store: store(), platform: { ...ada.tools.platform, log } }),
        async (session) => {
          const { devices } = session;
          for (const key of ["first", "second"] as const) {
            const state = await devices.read(PHONE, key);
            if (state) expect(Buffer.from(state)).toEqual(states[key]);
            else words.push(`phone: its key ${key === "first" ? "before" : "of now"} is unknown, it starts again`);
          }
          expect(await textsOfInbox(session)).toEqual([mailText(1)]);
        },
      );
      return words;
    },
  };
}

/** A full account's facts, as delivering processes read them: one that was there before, and a new one. */
async function makeFacts(): Promise<BesideScene> {
  const quota = { messagesMax: 3, bytesMax: undefined };
  const make = async (): Promise<{ ada: Ada; gone: Map<string, Uint8Array> }> => {
    const ada = await setUpAda();
    const platform = { ...ada.tools.platform, quota };
    let gone = new Map<string, Uint8Array>();
    for (const count of [1, 2]) {
      gone = objectsIn(ada.place);
      for (let n = 0; n < count; n++)
        await dropbox(ada.place, ada.user()).deliver(new Uint8Array(0), stream(mailText(count * 10 + n)));
      await withSession(new Accounts({ ...ada.tools, store: ada.place.open(), platform }), async (session) => {
        await session.refresh();
        await expect
          .poll(() => [...objectsIn(ada.place)].find(([name]) => name.endsWith("/public/record"))?.[1])
          .not.toEqual([...gone].find(([name]) => name.endsWith("/public/record"))?.[1]);
      });
    }
    return { ada, gone };
  };
  const [{ ada, gone }, stranger] = [await make(), await make()];
  const objects = objectsIn(ada.place);
  const [name, bytes] = first(objects, "/public/record");
  return {
    objects,
    target: { name, bytes, other: undefined, foreign: first(objectsIn(stranger.ada.place), "/public/record")[1] },
    gone: new Map([...gone].filter(([old]) => old === name)),
    look: async (store) => {
      const words: string[] = [];
      const log: Platform["log"] = ({ event }) => words.push(`log of a delivering process: ${event}`);
      const platform = { ...ada.tools.platform, quota, log };
      const unsettled = new Unsettled(platform);
      const box = new Dropbox({ store: store(), platform, signer, unsettled, users: ada.users }, ada.user());
      await box.deliver(new Uint8Array(0), stream(mailText(99)), unsettled.connect()).then(
        () => words.push("delivery: taken, though the account is full"),
        (error: EngineError) => expect(error.code).toBe("over-quota"),
      );
      return words;
    },
  };
}

/** A host that saw mail 2, and a store from before that mail which its operator brought back and said so. */
async function bringBack() {
  const ada = await setUpAda();
  const [seen, restores]: [Map<string, Seen>, Set<string>] = [new Map(), new Set()];
  const open = (store: ObjectStore, platform: Partial<Platform>): Accounts =>
    new Accounts({ ...ada.tools, store, platform: { ...ada.tools.platform, ...platform } });
  const visit = (objects: ReadonlyMap<string, Uint8Array>): Promise<void> =>
    withSession(open(placeOf(objects).open(), { witnesses: keeper(seen, restores) }), (session) => session.refresh());
  const deliver = (n: number): Promise<void> =>
    dropbox(ada.place, ada.user()).deliver(new Uint8Array(0), stream(mailText(n)));
  const restore = async (backup: ReadonlyMap<string, Uint8Array>): Promise<Map<string, Uint8Array>> => {
    const to = new MemoryPlace(Date.now);
    const { random } = ada.tools.platform.crypto;
    await restoreAccount({ from: placeOf(backup).open(), to: to.open(), prefix: prefixOf(backup), signer, random });
    return objectsIn(to);
  };
  await deliver(1);
  await withSession(open(ada.place.open(), {}), (session) => session.refresh());
  const backup = objectsIn(ada.place);
  // A restore that the host went along with, before it saw more.
  const earlier = await restore(backup);
  await visit(earlier);
  await deliver(2);
  await withSession(open(ada.place.open(), {}), (session) => session.refresh());
  await visit(objectsIn(ada.place));
  return { open, seen, restores, earlier, objects: await restore(backup) };
}

async function makeRestored(): Promise<BesideScene> {
  const [{ open, seen, restores, earlier, objects }, stranger] = [await bringBack(), await bringBack()];
  const [name, bytes] = first(objects, "/public/restored");
  return {
    objects,
    target: { name, bytes, other: undefined, foreign: first(stranger.objects, "/public/restored")[1] },
    gone: new Map([first(earlier, "/public/restored")]),
    look: async (store) => {
      const words: string[] = [];
      const log: Platform["log"] = ({ event }) => words.push(`log: ${event}`);
      const witnesses = keeper(new Map(seen), new Set(restores));
      await withSession(open(store(), { witnesses, log }), async (session) => {
        if (session.barred !== undefined) words.push(`opening: ${session.barred}`);
        expect(await textsOfInbox(session)).toEqual([mailText(1)]);
      });
      return words;
    },
  };
}

/** Rows of recipient records that the users folder, or a directory, shows beside an address: told to a host that delivered
 * there before, and to its owner. */
export async function recordRows(): Promise<Row[]> {
  const rows: Row[] = [];
  const deeds: Record<
    string,
    (mine: RecipientRecord, first: RecipientRecord, crypto: Platform["crypto"]) => RecipientRecord
  > = {
    "another's key, signed by nobody": (mine, _, crypto) => ({
      ...mine,
      kemPublicKey: recipientRecord(makeRing(crypto)).kemPublicKey,
      proof: undefined,
    }),
    "another's key, signed by other keys": ({ account }, _, crypto) =>
      recipientRecord({ ...makeRing(crypto), account }),
    "another's key, under the owner's signature": (mine, _, crypto) => ({
      ...mine,
      kemPublicKey: recipientRecord(makeRing(crypto)).kemPublicKey,
    }),
    "the owner's own of before new keys": (_, first) => first,
    "its signatures taken away": (mine) => ({ ...mine, proof: undefined }),
  };
  for (const [what, deed] of Object.entries(deeds)) {
    const { tools, users, user, accounts, place } = await setUpAda();
    const first = user().record;
    await rotateAccount(tools, user(), FIRST);
    const box = dropbox(place, user());
    await box.deliver(new Uint8Array(0), stream(mailText(1)));
    const seen = Object.assign(Object.create(users), { users: [user()] }) as typeof users;
    const mine = user().record;
    users.users = [{ ...user(), record: deed(mine, first, tools.platform.crypto) }];
    const words = { delivery: [] as string[], opening: [] as string[] };
    const vouched = new VouchedUsers(users, seen, () => undefined);
    await vouched.find(user().address).catch((error: EngineError) => words.delivery.push(error.message));
    const server = accounts();
    const session = await server.login("ada", FIRST, "");
    await session.refresh();
    for (const text of await textsOfInbox(session)) {
      const subject = /^Subject: (Your address .*)\r$/m.exec(text)?.[1];
      if (subject !== undefined) words.opening.push(`message: ${subject}`);
    }
    await server.dispose();
    // It is the owner's again, and delivered to.
    expect(isSameRecord(user().record, mine), what).toBe(true);
    await new VouchedUsers(users, seen, () => undefined).find(user().address);
    const told = Object.entries(words).flatMap(([who, said]) => said.map((text) => `${who}: ${text}`));
    rows.push(["recipient record", what, told.length > 0 ? told.join("; ") : "not seen", "all"]);
  }
  return rows;
}

async function textsOfInbox(session: AccountSession): Promise<string[]> {
  const view = session.openView(session.getMailbox("INBOX").id, { readOnly: true });
  const texts: string[] = [];
  for (let position = 0; position < view.length; position++) {
    const body = await session.openBody(view.message(position));
    const pieces: Buffer[] = [];
    for await (const piece of body.read(0, body.size)) pieces.push(Buffer.from(piece));
    texts.push(Buffer.concat(pieces).toString("latin1"));
  }
  return texts;
}
