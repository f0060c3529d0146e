import { Accounts, MandateStore } from "@restante/engine";
import { FIRST, setUpAda } from "@restante/engine/testing";
import { describe, expect, test } from "vitest";
import { openClient, TestClient } from "../jmap-kit.ts";
import { sessionObject } from "../session-object.ts";
import { PUSH_WORDS } from "./words.ts";

const AT_ONCE = { requests: 4, uploads: 4 };
const VAPID = "urn:ietf:params:jmap:webpush-vapid";
const KEYS = {
  p256dh: "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
  auth: "BTBZMqHH6r4Tts7J_aSIgg",
};
const ASKED = { deviceClientId: "phone", url: "https://push.example.net/x", keys: KEYS };

async function client() {
  const { tools, place } = await setUpAda();
  const { platform } = tools;
  const options = { store: place.open(), platform, serverKey: new Uint8Array(32).fill(7), pushKey: "BKEY" };
  const mandates = new MandateStore(options);
  const accounts = new Accounts({ ...tools, store: place.open(), platform: { ...platform, mandates } });
  return new TestClient(await accounts.login("ada@example.org", FIRST, "127.0.0.1"));
}

/** The verification code of the only subscription, as it was pushed. */
const codeOf = async ({ session }: TestClient): Promise<string> => (await session.pushSubscriptions())[0]!.code;

describe("PushSubscription", () => {
  test("is made, verified, changed, shown without its address and keys, and ended", async () => {
    const ada = await client();
    const made = await ada.call("PushSubscription/set", { create: { a: { ...ASKED, types: ["Email"] } } });
    const { id } = made.created.a;
    expect(made.created.a).toEqual({ id, verificationCode: null, expires: expect.stringMatching(/Z$/) });
    expect(made).not.toHaveProperty("newState");
    expect(made).not.toHaveProperty("accountId");
    const get = (more = {}) => ada.call("PushSubscription/get", more);
    const shown = { id, deviceClientId: "phone", verificationCode: null, types: ["Email"] };
    expect(await get()).toEqual({ list: [{ ...shown, expires: made.created.a.expires }], notFound: [] });
    expect(await ada.error("PushSubscription/get", { properties: ["id", "url"] })).toBe("forbidden");
    expect(await ada.error("PushSubscription/get", { properties: ["keys"] })).toBe("forbidden");
    const update = (patch: object) => ada.call("PushSubscription/set", { update: { [id]: patch } });
    expect((await update({ verificationCode: "wrong" })).notUpdated[id]).toEqual({
      type: "invalidProperties",
      properties: ["verificationCode"],
    });
    const code = await codeOf(ada);
    expect((await update({ verificationCode: code })).updated).toEqual({ [id]: null });
    expect((await get()).list[0].verificationCode).toBe(code);
    expect((await update({ types: null, expires: "2999-01-01T00:00:00Z" })).updated[id].expires).toMatch(/^20/);
    expect((await get({ ids: [id, "w0"], properties: ["types"] })).list).toEqual([{ id, types: null }]);
    for (const wrong of [
      { url: ASKED.url },
      { keys: null },
      { deviceClientId: "x" },
      { "types/0": "x" },
      { expires: 1 },
    ])
      expect((await update(wrong)).notUpdated[id].type).toBe("invalidProperties");
    const [whole] = (await get()).list;
    expect((await update({ ...whole, types: ["Mailbox"] })).updated).toEqual({ [id]: null });
    expect((await get()).list).toEqual([{ ...whole, types: ["Mailbox"] }]);
    const ended = await ada.call("PushSubscription/set", { destroy: [id, "w0", "x"] });
    expect(ended.destroyed).toEqual([id]);
    expect(Object.keys(ended.notDestroyed)).toEqual(["w0", "x"]);
    expect((await get()).list).toEqual([]);
  });

  test("that can't be so is refused by its property", async () => {
    const ada = await client();
    const wrong = {
      url: { ...ASKED, url: "http://push.example.net/" },
      deviceClientId: { ...ASKED, deviceClientId: 1 },
      keys: { ...ASKED, keys: { ...KEYS, auth: "x" } },
      types: { ...ASKED, types: "Email" },
      expires: { ...ASKED, expires: "2001-01-01T00:00:00Z" },
      verificationCode: { ...ASKED, verificationCode: "x" },
      id: { ...ASKED, id: "w1" },
    };
    const { notCreated } = await ada.call("PushSubscription/set", { create: wrong });
    for (const property of Object.keys(wrong))
      expect(notCreated[property]).toMatchObject({ type: "invalidProperties", properties: [property] });
    const many = Object.fromEntries(Array.from({ length: 25 }, (_, n) => [`c${n}`, ASKED]));
    const full = await ada.call("PushSubscription/set", { create: many });
    expect(Object.keys(full.created)).toHaveLength(20);
    expect(full.notCreated.c24.type).toBe("overQuota");
  });

  test("is announced with the key that services know this server by: RFC 9749", async () => {
    const ada = await client();
    expect(sessionObject(ada.session, "https://x", AT_ONCE).capabilities).toHaveProperty([VAPID], {
      applicationServerKey: "BKEY",
    });
    const other = await openClient();
    expect(sessionObject(other.session, "https://x", AT_ONCE).capabilities).not.toHaveProperty([VAPID]);
    const set = await other.call("PushSubscription/set", { create: { a: ASKED } });
    expect(set.notCreated.a.type).toBe("forbidden");
  });

  test("tells by names alone: mail as mail, all else as something that changed", () => {
    const account = "0".repeat(32);
    const changeOf = (news: { readonly note?: string; readonly entry?: string }, types?: readonly string[]) =>
      PUSH_WORDS.change(account, { note: undefined, entry: undefined, ...news }, types);
    expect(changeOf({ note: "note/1" })).toEqual({
      "@type": "StateChange",
      changed: {
        [`a${account}`]: { Email: "nnote_1", EmailDelivery: "nnote_1", Mailbox: "nnote_1", Thread: "nnote_1" },
      },
    });
    expect(changeOf({ entry: "log/7", note: "note/1" }, ["Email", "Identity"])).toMatchObject({
      changed: { [`a${account}`]: { Email: "nnote_1", Identity: "nlog_7" } },
    });
    expect(changeOf({ entry: "log/7" }, ["EmailDelivery"])).toBeUndefined();
    expect(PUSH_WORDS.verification("1", "c")).toEqual({
      "@type": "PushVerification",
      pushSubscriptionId: "w1",
      verificationCode: "c",
    });
  });
});
