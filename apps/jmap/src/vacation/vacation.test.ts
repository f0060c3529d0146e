import { Accounts, MandateStore } from "@restante/engine";
import { FIRST, setUpAda } from "@restante/engine/testing";
import { describe, expect, test } from "vitest";
import { openClient, TestClient } from "../jmap-kit.ts";
import { sessionObject } from "../session-object.ts";

const AT_ONCE = { requests: 4, uploads: 4 };
const CAPABILITY = "urn:ietf:params:jmap:vacationresponse";
const NOTHING = {
  id: "singleton",
  isEnabled: false,
  fromDate: null,
  toDate: null,
  subject: null,
  textBody: null,
  htmlBody: null,
};

/** A client of a server that answers. */
async function client(): Promise<TestClient & { readonly place: { readonly objects: ReadonlyMap<string, unknown> } }> {
  const { tools, place } = await setUpAda();
  const { platform } = tools;
  const mandates = new MandateStore({ store: place.open(), platform, serverKey: new Uint8Array(32).fill(7) });
  const accounts = new Accounts({ ...tools, store: place.open(), platform: { ...platform, mandates } });
  return Object.assign(new TestClient(await accounts.login("ada@example.org", FIRST, "127.0.0.1")), { place });
}

describe("VacationResponse", () => {
  test("is there, and off, where nothing was ever said", async () => {
    const ada = await client();
    const { list, notFound } = await ada.call("VacationResponse/get", { ids: ["singleton", "other"] });
    expect(list).toEqual([NOTHING]);
    expect(notFound).toEqual(["other"]);
    expect((await ada.call("VacationResponse/get", { properties: ["subject"] })).list).toEqual([
      { id: "singleton", subject: null },
    ]);
  });

  test("keeps all that is said, dates and HTML too, and what is not said stays", async () => {
    const ada = await client();
    const said = {
      isEnabled: true,
      fromDate: "2026-12-24T00:00:00Z",
      toDate: "2027-01-02T12:30:01Z",
      subject: "weg ö",
      textBody: "a\r\nb",
      htmlBody: "<b>a</b>",
    };
    const before = (await ada.call("VacationResponse/get")).state;
    const set = await ada.call("VacationResponse/set", { update: { singleton: said } });
    expect(set).toMatchObject({ oldState: before, updated: { singleton: null } });
    expect(set.newState).not.toBe(before);
    const got = await ada.call("VacationResponse/get");
    expect(got).toMatchObject({ state: set.newState, list: [{ id: "singleton", ...said }] });
    await ada.call("VacationResponse/set", { update: { singleton: { fromDate: null, htmlBody: null } } });
    expect((await ada.call("VacationResponse/get")).list).toEqual([
      { id: "singleton", ...said, fromDate: null, htmlBody: null },
    ]);
    expect([...ada.place.objects.keys()].filter((name) => name.startsWith("outbound/vacation/"))).toHaveLength(1);
    await ada.call("VacationResponse/set", { update: { singleton: { isEnabled: false } } });
    expect([...ada.place.objects.keys()].filter((name) => name.startsWith("outbound/vacation/"))).toEqual([]);
  });

  test("is one: none is made, none destroyed, and what it can't be is told by name", async () => {
    const ada = await client();
    const wrong = { isEnabled: null, fromDate: "2026-13-24T00:00:00Z", toDate: 5, subject: 1, textBody: {}, x: 1 };
    const set = await ada.call("VacationResponse/set", {
      create: { a: { isEnabled: true } },
      update: { singleton: wrong, other: {} },
      destroy: ["another"],
    });
    expect(set.notCreated).toEqual({ a: { type: "singleton" } });
    expect(set.notDestroyed).toEqual({ another: { type: "notFound" } });
    expect(set.notUpdated).toEqual({
      singleton: { type: "invalidProperties", properties: Object.keys(wrong) },
      other: { type: "notFound" },
    });
    expect((await ada.call("VacationResponse/set", { destroy: ["singleton"] })).notDestroyed).toEqual({
      singleton: { type: "singleton" },
    });
    const late = await ada.call("VacationResponse/set", {
      update: { singleton: { subject: "two\r\nlines", "textBody/x": "y" } },
    });
    expect(late.notUpdated.singleton.type).toBe("invalidProperties");
    const lines = await ada.call("VacationResponse/set", { update: { singleton: { subject: "two\r\nlines" } } });
    expect(lines.notUpdated.singleton.type).toBe("invalidProperties");
    const long = await ada.call("VacationResponse/set", { update: { singleton: { textBody: "x".repeat(60_000) } } });
    expect(long.notUpdated.singleton.type).toBe("tooLarge");
    expect((await ada.call("VacationResponse/get")).list).toEqual([NOTHING]);
  });

  test("is changed in the state that is named, or not at all", async () => {
    const ada = await client();
    const { state } = await ada.call("VacationResponse/get");
    const update = { singleton: { subject: "x" } };
    expect(await ada.error("VacationResponse/set", { ifInState: "0.99", update })).toBe("stateMismatch");
    expect((await ada.call("VacationResponse/set", { ifInState: state, update })).updated).toEqual({ singleton: null });
    expect(await ada.error("VacationResponse/set", { ifInState: state, update })).toBe("stateMismatch");
  });

  test("is announced where the server answers, and refused where it does not", async () => {
    const ada = await client();
    const object = sessionObject(ada.session, "https://x", AT_ONCE) as Record<string, Record<string, unknown>>;
    expect(object.capabilities).toHaveProperty([CAPABILITY], {});
    expect(object.primaryAccounts).toHaveProperty([CAPABILITY], ada.accountId);
    const other = await openClient();
    expect(sessionObject(other.session, "https://x", AT_ONCE).capabilities).not.toHaveProperty([CAPABILITY]);
    const set = await other.call("VacationResponse/set", { update: { singleton: { isEnabled: true } } });
    expect(set.notUpdated.singleton.type).toBe("forbidden");
  });
});
